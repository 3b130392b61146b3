//! `tokens`: how many tokens a text is, and how sure that is.

use std::io::Read;

use serde::Serialize;

use crate::args::{TokensCommand, TokensCountArgs};
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};
use dialect::tokens::{Encoding, count_text};

/// What a count came to.
#[derive(Debug, Serialize)]
struct Counted {
    object: &'static str,
    model: String,
    encoding: &'static str,
    /// Whether the model itself would count the same.
    exact: bool,
    tokens: u64,
    characters: usize,
}

impl View for Counted {
    fn human(&self) -> String {
        self.tokens.to_string()
    }

    fn note(&self) -> Option<String> {
        let Self { model, encoding, .. } = self;
        Some(if self.exact {
            format!("exact: {encoding} is the encoding of {model}")
        } else {
            format!(
                "approximate: {encoding} stands in for the encoding of {model}, which is not OpenAI's; the provider's own \
                 count differs, more so for code and for languages other than English"
            )
        })
    }
}

/// Does what was asked.
pub(crate) fn run(command: TokensCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        TokensCommand::Count(args) => {
            let text = text(&args)?;
            output.own(&count(args.model, &text))
        }
    }
}

fn text(args: &TokensCountArgs) -> Result<String, Failure> {
    if let Some(text) = &args.text {
        return Ok(text.clone());
    }
    let mut bytes = Vec::new();
    let (read, place) = match &args.file {
        Some(file) => (std::fs::read(file).map(|read| bytes = read), file.display().to_string()),
        None => (std::io::stdin().read_to_end(&mut bytes).map(drop), "standard input".to_owned()),
    };
    read.map_err(|error| Failure::new(Exit::Failure, format!("{place}: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(Exit::Failure, format!("{place} is not UTF-8, from byte {at} on"))
            .next("give a text file in UTF-8")
    })
}

fn count(model: String, text: &str) -> Counted {
    let encoding = Encoding::for_model(&model);
    Counted {
        object: "token_count",
        encoding: encoding.as_str(),
        exact: Encoding::is_own_of(&model),
        tokens: count_text(encoding, text),
        characters: text.chars().count(),
        model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_say_whether_they_are_exact() {
        const SAYING: &str = "You miss 100% of the shots you don't take";
        for (model, encoding, exact, tokens) in [
            ("gpt-4o", "o200k_base", true, 11),
            ("openai/gpt-4", "cl100k_base", true, 12),
            ("claude-opus-5-5", "o200k_base", false, 11),
        ] {
            let counted = count(model.to_owned(), SAYING);
            let found = (counted.encoding, counted.exact, counted.tokens, counted.characters);
            assert_eq!(found, (encoding, exact, tokens, 41), "{model}");
            let note = counted.note().unwrap_or_default();
            assert!(note.starts_with(if exact { "exact: " } else { "approximate: " }), "{note}");
        }
    }
}
