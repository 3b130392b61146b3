//! The words the mock says, and how many tokens a text has under `o200k_base`.

/// One token each, also when joined in this order and round again, so that the delivered text has exactly as many
/// tokens as were generated and anybody's count of it can be held against the truth log.
const TOKENS: [&str; 16] = [
    " The", " keeper", " at", " the", " gate", " counts", " each", " token", ",", " takes", " the", " fare",
    " and", " lets", " it", ".",
];

/// Appends the tokens from number `from` up to, not including, `to`. Token 0 comes without its leading space.
pub(crate) fn append(text: &mut String, from: u64, to: u64) {
    let all = TOKENS.len() as u64;
    for number in from..to {
        let token = TOKENS[(number % all) as usize];
        text.push_str(if number == 0 { token.trim_start() } else { token });
    }
}

/// The exact number of tokens. The first call in a process loads the tokenizer.
pub(crate) fn count(text: &str) -> u64 {
    bpe_openai::o200k_base().count(text) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_has_as_many_tokens_as_it_claims() {
        for tokens in 0..100 {
            let mut text = String::new();
            append(&mut text, 0, tokens);
            assert_eq!(count(&text), tokens, "{text:?}");
        }
        let mut long = String::new();
        append(&mut long, 0, 5_000);
        assert_eq!(count(&long), 5_000);
    }

    #[test]
    fn pieces_join_to_the_whole() {
        let (mut whole, mut joined) = (String::new(), String::new());
        append(&mut whole, 0, 50);
        for (from, to) in [(0, 1), (1, 7), (7, 7), (7, 33), (33, 50)] {
            append(&mut joined, from, to);
        }
        assert_eq!(joined, whole);
        assert!(whole.starts_with("The keeper at the gate counts each token, takes"), "{whole}");
    }
}
