//! `prices import`: somebody else's list becomes a price file.

use std::io::ErrorKind;
use std::path::PathBuf;

use pricing::import::{Import, litellm, models_dev, openrouter};
use pricing::{Catalog, file_head};
use serde::Serialize;

use super::{mistakes, read};
use crate::args::{PricesImportArgs, PricesSource};
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};

/// What became of a list.
#[derive(Debug, Serialize)]
struct Imported {
    object: &'static str,
    file: PathBuf,
    provider: String,
    models: Vec<String>,
    skipped: Vec<Skipped>,
    left_out: Vec<LeftOut>,
}

#[derive(Debug, Serialize)]
struct Skipped {
    model: String,
    reason: String,
}

#[derive(Debug, Serialize)]
struct LeftOut {
    model: String,
    fields: Vec<String>,
}

impl View for Imported {
    fn human(&self) -> String {
        let mut lines = vec![format!("{} models in {}", self.models.len(), self.file.display())];
        lines.extend(
            self.skipped.iter().map(|Skipped { model, reason }| format!("not taken: {model} {reason}")),
        );
        lines.extend(
            self.left_out
                .iter()
                .map(|LeftOut { model, fields }| format!("left out of {model}: {}", fields.join(", "))),
        );
        lines.join("\n")
    }

    fn note(&self) -> Option<String> {
        let file = self.file.display();
        Some(format!(
            "look at it with tollkeeper prices diff {file}, then name it in the configuration: [prices] files = [\"{file}\"]"
        ))
    }
}

pub(super) fn run(args: PricesImportArgs, output: &mut Output) -> Result<(), Failure> {
    let list = read(&args.list)?;
    let provider = match (args.provider, args.from) {
        (Some(provider), _) => provider,
        (None, PricesSource::Openrouter) => "openrouter".to_owned(),
        (None, PricesSource::Litellm | PricesSource::ModelsDev) => {
            return Err(Failure::new(Exit::Usage, "this list has many providers")
                .next("say which with --provider, such as --provider openai"));
        }
    };
    let (read, source) = match args.from {
        PricesSource::Litellm => (litellm(&list, &provider), "litellm, model_prices_and_context_window.json"),
        PricesSource::ModelsDev => (models_dev(&list, &provider), "models.dev, api.json"),
        PricesSource::Openrouter => (openrouter(&list), "openrouter, /api/v1/models"),
    };
    let Import { entries, skipped, left_out } =
        read.map_err(|error| Failure::new(Exit::Failure, format!("{}: {error}", args.list.display())))?;
    let named = args.named.unwrap_or_else(|| provider.clone());
    let mut text = file_head(&named, source, &args.valid_from);
    for entry in &entries {
        text.push('\n');
        text.push_str(&entry.write(&args.valid_from));
    }
    let told: Vec<Skipped> = skipped.into_iter().map(|(model, reason)| Skipped { model, reason }).collect();
    if entries.is_empty() {
        let why: Vec<String> =
            told.iter().map(|Skipped { model, reason }| format!("{model} {reason}")).collect();
        return Err(Failure::new(
            Exit::Failure,
            format!("nothing in the list can be taken: {}", why.join("; ")),
        ));
    }
    // Beside the catalogue that is compiled in: what is written must be what a gateway takes.
    let name = args.to.display().to_string();
    Catalog::with_files(&[(&name, &text)]).map_err(|errors| mistakes(&errors))?;
    write_new(&args.to, &text)?;
    let models = entries.into_iter().map(|entry| entry.model).collect();
    let left_out = left_out.into_iter().map(|(model, fields)| LeftOut { model, fields }).collect();
    output.own(&Imported {
        object: "price_import",
        file: args.to,
        provider: named,
        models,
        skipped: told,
        left_out,
    })
}

/// Writes a file that is not there yet.
fn write_new(path: &PathBuf, text: &str) -> Result<(), Failure> {
    let written = std::fs::File::create_new(path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|error| {
        let failure = Failure::new(Exit::Failure, format!("{}: {error}", path.display()));
        if error.kind() == ErrorKind::AlreadyExists {
            return failure.next("name another file; prices that were charged are never replaced");
        }
        failure
    })
}
