//! A stream of content, event by event. Nothing but the end of the stream ends it, and every event may tell a usage, of
//! which the last is that of the whole.

use domain::Usage;

use super::cut::Cut;
use super::response::Response;
use super::usage::WireUsage;
use crate::cut::CutCall;
use crate::dialect::Dialect;
use crate::json::{self, Kind};
use crate::stream::{Fate, StreamFault, Told};
use crate::upstream_error::UpstreamError;

/// Candidates whose ends are kept in mind: more than Google gives.
const ENDED_MAX: usize = 64;

/// Reads the events of an answer.
#[derive(Default)]
pub(crate) struct Reader {
    id: Option<String>,
    /// The candidates that have told why they ended.
    ended: Vec<u64>,
}

impl Reader {
    /// Reads the data of one event.
    pub(crate) fn read(&mut self, data: &str, told: &mut Told) -> Result<Fate, StreamFault> {
        let mut response = Response::new(&mut told.output);
        json::read(data, &mut response).map_err(|_| StreamFault::Garbage)?;
        let searches = response.searches();
        let Response { kind, id, model, usage, ended, is_blocked, has_candidates, has_error, .. } = response;
        if has_error {
            told.error = Some(UpstreamError::read(200, data.as_bytes()));
            return Ok(Fate::Pass);
        }
        match kind {
            Kind::Object => {}
            // An error may stand in an array of its own, where no client looks for it.
            Kind::Array => {
                let error = told.error.insert(UpstreamError::read(200, data.as_bytes()));
                return Ok(Fate::Replace(error.to_body(502).told_in(Dialect::Gemini).stream_event()));
            }
            Kind::Null | Kind::Boolean | Kind::Integer | Kind::Decimal | Kind::String => {
                return Err(StreamFault::Garbage);
            }
        }
        told.chunks += u64::from(has_candidates || is_blocked);
        self.id = self.id.take().or(id);
        told.model = told.model.take().or(model);
        // The queries are told anew with each event that has any.
        told.searches = told.searches.max(searches);
        if self.ended.len() < ENDED_MAX {
            self.ended.extend(&ended);
        }
        told.finish_seen |= !ended.is_empty() || is_blocked;
        if let Some(usage) = usage {
            Self::learn(&usage, told);
        }
        // The last event that brings anything waits for the settlement, and nobody knows which one it is until the stream
        // has ended: each lets the one before it go.
        Ok(if told.finish_seen { Fate::Usage(None) } else { Fate::Pass })
    }

    /// What an event tells before the answer has ended is what it is so far: thoughts stand there and nowhere else.
    fn learn(usage: &WireUsage, told: &mut Told) {
        told.service_tier = usage.service_tier.clone().or(told.service_tier.take());
        let Some(buckets) = usage.to_usage() else { return };
        told.so_far = Some(Usage { searches: told.searches, ..buckets });
        if told.finish_seen {
            told.usage = told.so_far;
        }
    }

    /// The end for a client whose stream is cut off here.
    pub(crate) fn cut(&self, told: &Told, call: CutCall<'_>) -> Cut {
        Cut::new(self.id.as_deref(), &self.ended, told, call)
    }
}
