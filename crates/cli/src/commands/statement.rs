//! `credits statement`: a month on paper.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use server::statement::{Line, Sheet};

use super::operator::Operator;
use crate::args::CreditsStatementArgs;
use crate::client::{Call, send};
use crate::failure::{Exit, Failure};
use crate::output::View;
use crate::table::{Column, fields, rows};
use crate::views::below;

/// A statement for eyes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Statement(Sheet);

impl View for Statement {
    fn human(&self) -> String {
        let Self(sheet) = self;
        let head = fields(&[
            ("account", format!("{} ({})", sheet.name, sheet.organization)),
            ("month", format!("{} in {}", sheet.month, sheet.time_zone)),
            ("currency", sheet.currency.clone()),
            ("opening balance", sheet.opening_balance.to_string()),
            ("closing balance", sheet.closing_balance.to_string()),
        ]);
        let columns = [
            Column::Text("DATE"),
            Column::Text("WHAT"),
            Column::Number("CALLS"),
            Column::Number("LIST"),
            Column::Number("AMOUNT"),
        ];
        let lines = rows(&columns, sheet.lines.iter().map(cells));
        let payers = sheet.payers.iter().map(|borne| vec![borne.payer.to_string(), borne.amount.to_string()]);
        let payers = rows(&[Column::Text("PAID BY"), Column::Number("AMOUNT")], payers);
        below(below(head, lines), payers)
    }

    fn note(&self) -> Option<String> {
        (!self.0.complete).then(|| "the month is not over: this is what was booked so far".to_owned())
    }
}

fn cells(line: &Line) -> Vec<String> {
    match line {
        Line::Booking(line) => {
            let why = line.payment.as_ref().or(line.reason.as_ref()).map(|why| format!(", {why}"));
            let what = format!("{}{}", line.title().to_lowercase(), why.unwrap_or_default());
            vec![line.date.clone(), what, String::new(), String::new(), line.amount.to_string()]
        }
        Line::Usage(line) => {
            let project = line.project_name.clone().unwrap_or_else(|| line.project.to_string());
            let what = format!("{project}: {}", line.model);
            let (calls, listed) = (line.calls.to_string(), line.list_price.to_string());
            vec!["usage".to_owned(), what, calls, listed, line.amount.to_string()]
        }
    }
}

/// A file that was written.
#[derive(Debug, Serialize)]
struct Written {
    object: &'static str,
    file: String,
}

impl View for Written {
    fn human(&self) -> String {
        fields(&[("written", self.file.clone())])
    }
}

impl Operator<'_> {
    /// `credits statement`
    pub(super) fn statement(&mut self, args: CreditsStatementArgs) -> Result<(), Failure> {
        let format = match (&args.format, &args.out) {
            (Some(format), _) => Some(format.as_str()),
            (None, Some(file)) => Some(format_of(file)?),
            (None, None) => None,
        };
        let path = format!("/admin/v1/organizations/{}/statement?month={}", args.org, args.month);
        let answer = send(&args.gateway.url, self.key, Call::get(path))?;
        let sheet = || {
            serde_json::from_str::<Sheet>(answer.get()).map_err(|error| {
                Failure::new(Exit::Failure, format!("the gateway's answer could not be read: {error}"))
                    .next("use a `tollkeeper` of the gateway's own version, or --format json")
            })
        };
        let text = match format {
            Some("csv") => sheet()?.csv(),
            Some("html") => sheet()?.html(),
            None => return self.output.answer::<Statement>(&answer),
            Some(_) => format!("{answer}\n"),
        };
        let Some(file) = &args.out else { return self.output.data(text.strip_suffix('\n').unwrap_or(&text)) };
        write_new(file, &text)?;
        self.output.own(&Written { object: "file", file: file.display().to_string() })
    }
}

/// The format that a file's name asks for.
fn format_of(file: &Path) -> Result<&'static str, Failure> {
    let end = file.extension().and_then(|end| end.to_str()).unwrap_or_default();
    ["csv", "html", "json"].into_iter().find(|known| end.eq_ignore_ascii_case(known)).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{} does not say in its name what it is to be", file.display()))
            .next("end --out in .html, .csv or .json, or give --format")
    })
}

fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).open(file);
    opened.and_then(|mut opened| opened.write_all(text.as_bytes())).map_err(|error| {
        let shown = file.display();
        if error.kind() == ErrorKind::AlreadyExists {
            Failure::new(Exit::Failure, format!("{shown} exists already and was left as it is"))
                .next("give --out another name")
        } else {
            Failure::new(Exit::Failure, format!("cannot write {shown}: {error}"))
                .next("name a file in a folder that exists and can be written")
        }
    })
}
