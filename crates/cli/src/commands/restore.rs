//! `restore`: a backup put in the place of a gateway's database, after everything in it was checked.

use serde::Serialize;

use super::backup::Held;
use crate::args::RestoreArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};
use crate::table::fields;

/// A backup that was restored.
#[derive(Debug, Serialize)]
struct Restored {
    object: &'static str,
    data: String,
    /// Where the database is that was there before.
    aside: Option<String>,
    /// Whether `key.pepper` is in the folder.
    pepper: bool,
    #[serde(flatten)]
    held: Held,
}

impl View for Restored {
    fn human(&self) -> String {
        let mut lines = vec![("restored", self.data.clone())];
        lines.extend(self.held.lines());
        lines.extend(self.aside.clone().map(|aside| ("moved aside", aside)));
        fields(&lines)
    }

    fn note(&self) -> Option<String> {
        let mut notes = vec!["what was called and booked after the backup is not in it".to_owned()];
        if self.held.holds > 0 {
            let holds = self.held.holds;
            notes.push(format!(
                "{holds} calls ran when it was made: the next start settles them as estimated"
            ));
        }
        if !self.pepper {
            let put = "put the key.pepper of the old folder here before the next start: with another one no key works";
            notes.push(put.to_owned());
        }
        if !self.held.frozen.is_empty() {
            notes.push("some books are frozen: run `tollkeeper verify`".to_owned());
        }
        Some(notes.join("\n"))
    }
}

/// Restores a backup into the folder.
pub(crate) fn run(args: &RestoreArgs, output: &mut Output) -> Result<(), Failure> {
    let restored = server::restore(&args.from, &args.data, args.force).map_err(|error| failure(&error))?;
    output.own(&Restored {
        object: "restore",
        data: args.data.display().to_string(),
        aside: restored.aside.map(|path| path.display().to_string()),
        pepper: args.data.join("key.pepper").is_file(),
        held: Held::new(&restored.backup),
    })
}

fn failure(error: &server::BackupError) -> Failure {
    use server::BackupError::{Broken, Damaged, NotABackup};
    let bad = matches!(error, Broken { .. } | Damaged(_) | NotABackup(_));
    let exit = if bad { Exit::Findings } else { Exit::Failure };
    let failure = Failure::new(exit, format!("nothing was restored: {error}"));
    if bad {
        failure.next("take another backup; the folder is as it was")
    } else {
        failure.next("mend this and repeat it; the folder is as it was")
    }
}
