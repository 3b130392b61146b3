//! A response's stream, event by event.

use super::answer::{Response, Searches, Spoken};
use super::end::{Broken, Cut};
use super::event::Event;
use super::progress::Progress;
use crate::answer::short;
use crate::cut::CutCall;
use crate::json::{self, Kind};
use crate::openai::KEEP_ALIVES;
use crate::stream::{Fate, StreamFault, Told};
use crate::upstream_error::UpstreamError;

/// Events whose `delta` is no text that the model generated: sound in base64, and what a command put out.
const NOT_GENERATED: [&str; 2] = ["response.audio.delta", "response.shell_call_output_content.delta"];

/// Reads the events of a response.
#[derive(Default)]
pub(crate) struct Reader {
    progress: Progress,
    /// The stream told an error in an event of its own, after which nothing passes.
    complained: bool,
}

impl Reader {
    /// Reads the data of one event.
    pub(crate) fn read(
        &mut self,
        data: &str,
        event: Option<&str>,
        told: &mut Told,
    ) -> Result<Fate, StreamFault> {
        // No part of this protocol; some servers send it all the same, and it says nothing.
        if data.starts_with("[DONE]") {
            return Ok(Fate::Drop);
        }
        let mut read = Event::default();
        let result = json::read(data, &mut read);
        if result.is_err() || read.kind != Some(Kind::Object) {
            return if event == Some("error") {
                Ok(self.complain(data, told))
            } else {
                Err(StreamFault::Garbage)
            };
        }
        let name = match read.name.take() {
            Some(name) => name,
            None if read.has_error => "error".into(),
            None if event.is_some_and(|name| KEEP_ALIVES.contains(&name)) => return Ok(Fate::Drop),
            None => event.unwrap_or_default().to_owned().into(),
        };
        if name == "error" {
            return Ok(self.complain(data, told));
        }
        if self.complained {
            return Ok(Fate::Drop);
        }
        self.progress.note(&name, &read);
        Ok(match &*name {
            "response.created" | "response.in_progress" | "response.queued" => {
                hear(&read, told);
                Fate::Pass
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                let error = hear(&read, told);
                told.finish_seen = true;
                if name == "response.failed" {
                    let text = error.unwrap_or("{}");
                    told.error = Some(UpstreamError::read(200, text.as_bytes()));
                }
                Fate::Done(None)
            }
            _ => {
                told.chunks += 1;
                listen(&name, &read, told);
                Fate::Pass
            }
        })
    }

    /// The end for a client whose stream is cut off here.
    pub(crate) fn cut(&self, told: &Told, call: CutCall<'_>) -> Cut {
        Cut::new(self.progress.clone(), told, call)
    }

    /// The same for one whose stream breaks here, or cannot be booked.
    pub(crate) fn broken(&mut self, told: &Told, call: CutCall<'_>) -> Broken {
        Broken::new(std::mem::take(&mut self.progress), told, call)
    }

    /// Puts an error that some clients would overlook, or take for an event like any other, into a form that none does.
    fn complain(&mut self, data: &str, told: &mut Told) -> Fate {
        if std::mem::replace(&mut self.complained, true) {
            return Fate::Drop;
        }
        let error = told.error.insert(UpstreamError::read(200, data.as_bytes())).to_body(502);
        let nobody = CutCall { request_id: "", at: domain::Timestamp::from_micros(0), model: "", choices: 1 };
        Fate::Replace(Broken::new(self.progress.clone(), told, nobody).events(&error))
    }
}

/// Takes what an event's response says about itself. Answers its error, if there is one.
fn hear<'a>(event: &Event<'a>, told: &mut Told) -> Option<&'a str> {
    let mut response = Response::default();
    let text = event.response?.get();
    // What was read until an error is as much as there is.
    let _ = json::read(text, &mut response);
    let searched =
        |usage: domain::Usage| domain::Usage { searches: usage.searches.max(told.searches), ..usage };
    told.usage = response.usage().map(searched).or(told.usage);
    told.reported_cost = response.reported_cost().or(told.reported_cost);
    let first = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(short);
    told.model = told.model.take().or_else(|| first(response.model.as_deref()));
    // A request may have asked for `auto`, which the first events repeat; the last one has what was served.
    told.service_tier = first(response.service_tier.as_deref()).or(told.service_tier.take());
    response.error.map(serde_json::value::RawValue::get)
}

/// Gathers what an event brings that is charged: text, and searches.
fn listen(name: &str, event: &Event<'_>, told: &mut Told) {
    if let Some(delta) = event.delta.as_deref().filter(|_| !NOT_GENERATED.contains(&name)) {
        told.output.push(delta);
    }
    if let Some(item) = event.item.filter(|_| name == "response.output_item.added") {
        // A call's name; what else it says comes in pieces of its own.
        let _ = json::read(item.get(), &mut Spoken(&mut told.output));
    }
    if let Some(item) = event.item.filter(|_| name == "response.output_item.done") {
        let mut searches = Searches::default();
        let _ = json::read(item.get(), &mut searches);
        told.searches = told.searches.saturating_add(searches.0);
    }
}
