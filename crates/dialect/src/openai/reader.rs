//! A chat's stream, event by event.

use super::KEEP_ALIVES;
use super::chunk::{Chunk, Complaint, Head};
use super::cut::Cut;
use crate::cut::CutCall;
use crate::endpoint::Endpoint;
use crate::json::{self, Kind};
use crate::stream::{Fate, StreamFault, StreamOptions, Told};
use crate::upstream_error::UpstreamError;

/// Reads the events of a chat.
pub(crate) struct Reader {
    options: StreamOptions,
    head: Head,
}

impl Reader {
    pub(crate) fn new(options: StreamOptions) -> Self {
        Self { options, head: Head::default() }
    }

    /// Reads the data of one event.
    pub(crate) fn read(
        &mut self,
        data: &str,
        event: Option<&str>,
        told: &mut Told,
    ) -> Result<Fate, StreamFault> {
        if data.starts_with("[DONE]") {
            return Ok(Fate::Done(None));
        }
        let mut chunk = Chunk::new(&mut self.head, told);
        let read = json::read(data, &mut chunk);
        let Chunk { kind, choices, usage, mut complaint, .. } = chunk;
        let named_error = event == Some("error");
        if read.is_err() || kind != Kind::Object {
            return if named_error { Ok(complain(data, told)) } else { Err(StreamFault::Garbage) };
        }
        if named_error && choices.is_none() {
            complaint = complaint.or(Some(Complaint::Flat));
        }
        // An error brings nothing that could be charged.
        told.chunks += u64::from(complaint.is_none());
        told.reported_cost = usage.and_then(|usage| usage.reported()).or(told.reported_cost);
        told.usage = usage.and_then(|usage| usage.to_usage(Endpoint::Chat)).or(told.usage);
        Ok(match complaint {
            Some(Complaint::Nested) => {
                told.error = Some(UpstreamError::read(200, data.as_bytes()));
                Fate::PassUnnamed
            }
            Some(Complaint::Bare | Complaint::Flat) => complain(data, told),
            None if usage.is_some() && choices.is_none_or(|count| count == 0) => {
                if self.options.client_asked_usage { Fate::Usage(None) } else { Fate::Drop }
            }
            None if choices.is_none() && event.is_some_and(|name| KEEP_ALIVES.contains(&name)) => Fate::Drop,
            None => Fate::Pass,
        })
    }

    /// The end for a client whose stream is cut off here.
    pub(crate) fn cut(&self, told: &Told, call: CutCall<'_>) -> Cut {
        Cut::new(&self.head, told, self.options.client_asked_usage, call)
    }
}

/// Puts an error that some clients would overlook into the form that none does.
fn complain(data: &str, told: &mut Told) -> Fate {
    let error = told.error.insert(UpstreamError::read(200, data.as_bytes()));
    Fate::Replace(error.to_body(502).stream_event())
}
