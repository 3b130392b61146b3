//! However a stream is cut into pieces, the client gets the same bytes and the facts are the same.

use bytes::Bytes;
use proptest::prelude::*;

use super::responses_stream;
use super::stream::{corpus, run, whole};

pub(super) fn cut(stream: &str, mut at: Vec<usize>) -> Vec<Bytes> {
    let stream = Bytes::copy_from_slice(stream.as_bytes());
    at.retain(|at| *at <= stream.len());
    at.extend([0, stream.len()]);
    at.sort_unstable();
    at.windows(2).map(|ends| stream.slice(ends[0]..ends[1])).collect()
}

#[track_caller]
fn check(stream: &str, at: Vec<usize>) {
    for asked in [false, true] {
        assert_eq!(run(asked, cut(stream, at.clone())), whole(asked, stream), "{stream:?} cut at {at:?}");
    }
    responses_stream::check_pieces(stream, at);
}

#[test]
fn cut_at_every_byte_and_into_single_bytes() {
    let streams = corpus().into_iter().chain(responses_stream::corpus());
    for stream in streams.filter(|stream| stream.len() < 10_000) {
        for at in 0..stream.len() {
            check(&stream, vec![at]);
        }
        check(&stream, (0..stream.len()).collect());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn cut_anywhere(
        which in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        at in prop::collection::vec(0_usize..4_000, 0..40),
        ends in "(\n|\r|\r\n){0,3}",
    ) {
        let corpus = corpus().into_iter().chain(responses_stream::corpus());
        let corpus: Vec<String> = corpus.filter(|stream| stream.len() < 10_000).collect();
        let stream: String = which.iter().map(|index| index.get(&corpus).as_str()).collect::<Vec<_>>().join(&ends);
        check(&stream, at);
    }

    /// Line ends and fields in any order: whatever it is, it is the same in pieces.
    #[test]
    fn cut_soup(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "data:", "data: {}", "data: {\"a\"", ":1}", "data: [DONE]", "id: 1", "event: error", "event: ping",
                "retry", ": c", "x", " ", "\n", "\n", "\n\n", "\r", "\r\n", "\r\n\r\n", "\u{feff}",
                "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}",
                "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}",
                "data: {\"type\":\"error\",\"message\":\"m\"}",
            ]),
            0..24,
        ),
        at in prop::collection::vec(0_usize..200, 0..24),
    ) {
        check(&parts.concat(), at);
    }
}
