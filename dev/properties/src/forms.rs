//! What must hold of every form that a caller sends: it is read or refused; what is read is sent on byte for byte but for
//! the model's name, and is then a form that says the same.

use bytes::Bytes;
use dialect::{Call, Endpoint, Manners, Upstream, tokens};

use crate::input::Input;

/// The endpoints that take forms.
pub(crate) const FORMS: [Endpoint; 3] =
    [Endpoint::Transcriptions, Endpoint::Translations, Endpoint::ImageEdits];
/// What announces the form, where the bytes themselves do not.
pub(crate) const TYPE: &str = "multipart/form-data; boundary=x";

/// The slowest that anybody keeps sound that can be heard, in bytes a second: below it a form's bytes are taken for longer
/// than any recording of that length is.
const BYTES_A_SECOND_LEAST: u64 = 250;

/// Bytes as a form, with one byte that chooses the endpoint and one that says whether a line with its type comes first.
pub fn forms(data: &[u8]) {
    let mut input = Input(data);
    let Some(endpoint) = FORMS.get(usize::from(input.byte())).copied() else { return };
    let (content_type, body) = match input.byte() {
        0 => (TYPE, input.0),
        _ => match input.0.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                let (head, body) = input.0.split_at(end);
                let Ok(head) = std::str::from_utf8(head) else { return };
                (head, body.get(1..).unwrap_or_default())
            }
            None => return,
        },
    };
    let Ok(call) = Call::read_form(endpoint, content_type, Bytes::copy_from_slice(body)) else { return };
    check_facts(&call);
    for model in ["other", &"long".repeat(60), "a\"b"] {
        check_sent(&call, content_type, model);
    }
}

fn check_facts(call: &Call) {
    assert!((1..=256).contains(&call.model().len()), "the model's name has {} bytes", call.model().len());
    let prompt = call.form_prompt().expect("a form has one, if an empty one");
    let prompt = std::str::from_utf8(&prompt).expect("a prompt is text");
    let counted = tokens::count_text(tokens::Encoding::for_model(call.model()), prompt);
    let bound = call.prompt_tokens_bound();
    assert!(counted <= bound, "{counted} tokens counted, {bound} held for");
    // What its frames or nothing at all says of a recording is within what its bytes can last; a head says what it likes,
    // and holds more for its own caller.
    let (held, most) = (call.audio_ms(), call.heard_ms_max());
    let bytes = u64::try_from(call.body().len()).unwrap_or(u64::MAX);
    assert!(held <= most, "{held} ms held for, {most} ms at most");
    assert!(
        most <= held.max(bytes.saturating_mul(1_000) / BYTES_A_SECOND_LEAST),
        "{most} ms in {bytes} bytes"
    );
}

/// What goes upstream is the caller's form with another model, and means the same.
fn check_sent(call: &Call, content_type: &str, model: &str) {
    let to = Upstream { model, manners: Manners::default(), output_cap: None };
    let parts = call.upstream_body(&to);
    let length = parts.len();
    let body = parts.into_iter().collect::<Vec<Bytes>>().concat();
    assert_eq!(body.len(), length, "the length that is announced");
    assert_eq!(body.len() + call.model().len(), call.body().len() + model.len(), "nothing else has changed");
    let head = call.upstream_head(Manners::default()).find(|(name, _)| *name == "content-type");
    assert_eq!(head, Some(("content-type", content_type)));
    let again =
        Call::read_form(call.endpoint(), content_type, Bytes::from(body)).expect("it is a form again");
    assert_eq!(again.model(), model);
    let facts = |call: &Call| (call.stream(), call.images(), call.audio_ms(), call.form_prompt());
    assert_eq!(facts(&again), facts(call));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_are_forms() {
        for (name, seed) in crate::seeds::forms().unwrap() {
            let (choice, body) = seed.split_at(2);
            let endpoint = FORMS[usize::from(choice[0])];
            let (content_type, body) = if choice[1] == 0 {
                (TYPE, body)
            } else {
                let end = body.iter().position(|byte| *byte == b'\n').unwrap();
                (std::str::from_utf8(&body[..end]).unwrap(), &body[end + 1..])
            };
            let read = Call::read_form(endpoint, content_type, Bytes::copy_from_slice(body));
            assert!(read.is_ok(), "{name}: {read:?}");
        }
    }
}
