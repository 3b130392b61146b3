//! The only place that prints: data on standard output, words on standard error.

use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};

/// How data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For eyes.
    Human,
    /// One JSON object a line, for scripts.
    Json,
}

/// Something that can be shown to a person.
pub(crate) trait View {
    /// The data, without the last line break; empty when there is nothing to show.
    fn human(&self) -> String;

    /// What to know or do next; not data, so it goes to standard error.
    fn note(&self) -> Option<String> {
        None
    }
}

/// Where output goes and in which form.
pub(crate) struct Output {
    data: Box<dyn Write>,
    words: Box<dyn Write>,
    form: Form,
    color: bool,
}

impl Output {
    /// The output of this process. `json` was asked for; `plain` is whether NO_COLOR is set.
    pub(crate) fn of_process(json: bool, plain: bool) -> Self {
        let form = if json || !io::stdout().is_terminal() { Form::Json } else { Form::Human };
        let color = !plain && io::stderr().is_terminal();
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), form, color)
    }

    /// An output to anywhere.
    pub(crate) fn new(data: Box<dyn Write>, words: Box<dyn Write>, form: Form, color: bool) -> Self {
        Self { data, words, form, color }
    }

    /// Shows what a gateway answered: as it came, on one line, or read as a `T` and shown to a person.
    pub(crate) fn answer<T: View + DeserializeOwned>(&mut self, answer: &RawValue) -> Result<(), Failure> {
        match self.form {
            // Between two tokens JSON allows line breaks and inside a text it has none, so this only joins lines.
            Form::Json => self.data(&answer.get().replace(['\n', '\r'], "")),
            Form::Human => {
                let view: T = serde_json::from_str(answer.get()).map_err(|error| {
                    Failure::new(Exit::Failure, format!("the gateway's answer could not be read: {error}"))
                        .next("use a `tollkeeper` of the gateway's own version, or --json")
                })?;
                self.human(&view)
            }
        }
    }

    /// Shows something of this command's own.
    pub(crate) fn own<T: View + Serialize>(&mut self, view: &T) -> Result<(), Failure> {
        match self.form {
            Form::Json => match serde_json::to_string(view) {
                Ok(line) => self.data(&line),
                Err(error) => Err(Failure::new(Exit::Failure, format!("cannot write as JSON: {error}"))),
            },
            Form::Human => self.human(view),
        }
    }

    /// Says something to a person, if one is there.
    pub(crate) fn say(&mut self, words: &str) {
        if self.form == Form::Human {
            // The command goes on whether or not it is heard.
            let _ = writeln!(self.words, "{}", printable(words));
        }
    }

    /// Whether somebody is there to answer questions.
    pub(crate) fn hears(&self) -> bool {
        self.form == Form::Human && io::stdin().is_terminal()
    }

    /// Asks until the answer can be read.
    pub(crate) fn ask<T>(&mut self, question: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, Failure> {
        loop {
            let _ = write!(self.words, "{} ", printable(question));
            let _ = self.words.flush();
            let mut answer = String::new();
            match io::stdin().read_line(&mut answer) {
                Ok(bytes) if bytes > 0 => {}
                Ok(_) | Err(_) => return Err(Failure::new(Exit::Usage, "the question was not answered")),
            }
            if let Some(answer) = read(&answer.trim().to_lowercase()) {
                return Ok(answer);
            }
        }
    }

    /// Asks whether what cannot be undone is meant. Fails where nobody can answer, and where the answer is no.
    pub(crate) fn confirm(&mut self, question: &str) -> Result<(), Failure> {
        if !io::stdin().is_terminal() {
            let message = format!("{question} Nobody is there to say so");
            return Err(Failure::new(Exit::Usage, message).next("give --yes if it is meant"));
        }
        let _ = write!(self.words, "{} Type yes: ", printable(question));
        let _ = self.words.flush();
        let mut answer = String::new();
        match io::stdin().read_line(&mut answer) {
            Ok(_) if is_yes(&answer) => Ok(()),
            Ok(_) | Err(_) => Err(Failure::new(Exit::Failure, "not confirmed; nothing was done")),
        }
    }

    /// Prints why the command failed. The one printer of errors.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        let (red, bold, off) = if self.color { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let mut text = format!("{red}error:{off} {}\n", printable(&failure.message));
        if let Some(next_step) = &failure.next_step {
            text.push_str(&format!("{bold}next:{off}  {}\n", printable(next_step)));
        }
        // Where not even the error can be printed, the exit code still tells.
        let _ = self.words.write_all(text.as_bytes());
    }

    fn human(&mut self, view: &impl View) -> Result<(), Failure> {
        let text = view.human();
        if !text.is_empty() {
            self.data(&printable(&text))?;
        }
        if let Some(note) = view.note() {
            self.say(&note);
        }
        Ok(())
    }

    /// Prints data as it is, and a line break.
    pub(crate) fn data(&mut self, line: &str) -> Result<(), Failure> {
        match writeln!(self.data, "{line}").and_then(|()| self.data.flush()) {
            Ok(()) => Ok(()),
            // The reader, such as `head`, has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => {
                Err(Failure::new(Exit::Failure, format!("cannot write to standard output: {error}")))
            }
        }
    }
}

/// Only the word is a yes: what cannot be undone is not done for a slip of a finger.
pub(crate) fn is_yes(answer: &str) -> bool {
    answer.trim().eq_ignore_ascii_case("yes")
}

/// The text without what would act on a terminal: names and models come from other people.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
