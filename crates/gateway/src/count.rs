//! How long a prompt is: asked of the provider where it counts for whoever asks, else counted here.
//!
//! It knows one question and its answer, which cost nothing: no hold is made and nothing is booked. What the caller may
//! ask, and how often, was decided before.

use std::sync::Arc;

use bytes::Bytes;
use dialect::{Endpoint, UpstreamError, tokens};
use domain::{Money, Usage};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response};
use providers::TransportFailure;

use crate::answer::Answer;
use crate::attempt::{ERROR_BYTES_MAX, JSON, collect, renew_token, upstream_request};
use crate::decision::Trail;
use crate::evidence::{Began, Plan};
use crate::failure::{Failure, UpstreamFailure};
use crate::observer::Finished;
use crate::pipeline::Gateway;
use crate::rates::Pace;
use crate::routes::Target;
use crate::settle::off_thread;

/// Whose count it is, where it is not the provider's.
const COUNT: HeaderName = HeaderName::from_static("x-tollkeeper-token-count");
const APPROXIMATE: HeaderValue = HeaderValue::from_static("approximate");

/// The member of an answer that tells the count.
fn member(endpoint: Endpoint) -> &'static str {
    if endpoint == Endpoint::CountContent { "totalTokens" } else { "input_tokens" }
}

impl Gateway {
    /// Answers how many tokens a request for messages, or for content, has.
    pub(crate) async fn count(
        &self,
        began: Began,
        plan: &Plan,
        pace: Pace,
        mut trail: Trail,
    ) -> Response<Answer> {
        let told = *pace.told();
        trail.passed_rates(&pace);
        let counted = match plan.target().provider.outbound(plan.call.endpoint()) {
            Some(_) => self.ask(&began, plan).await.map_err(|failure| {
                let Target { provider, access, .. } = plan.target();
                Failure::Upstream(Box::new(failure.of_key(access.as_deref(), &provider.name)))
            }),
            None => self.count_here(plan).await,
        };
        // There will be no row to tell of it, so the decision waits for what came of it.
        self.shared.recorder.record(match &counted {
            Ok(_) => trail.counted(plan),
            Err(failure) => trail.stopped(failure),
        });
        // It counts among the requests, and has used no tokens.
        pace.end(&Usage::default(), 0, None);
        let (outcome, response) = match counted {
            Ok(mut response) => {
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, JSON);
                headers.insert(crate::failure::REQUEST_ID, crate::failure::id_value(began.id));
                told.write(plan.call.endpoint().dialect(), headers);
                ("ok", response)
            }
            Err(failure) => {
                (failure.outcome(), failure.into_response(plan.call.endpoint().dialect(), began.id))
            }
        };
        self.shared.observer.finished(&Finished {
            request: began.id,
            endpoint: plan.call.endpoint().as_str(),
            provider: Some(Arc::clone(&plan.target().provider.name)),
            outcome,
            status: response.status().as_u16(),
            streamed: false,
            duration_us: self.shared.clock.monotonic_micros().saturating_sub(began.micros),
            first_byte_us: 0,
            usage: Usage::default(),
            cost: Money::ZERO,
            estimated: false,
            attempts: 0,
            substituted: false,
        });
        response
    }

    /// The provider's own answer, as it came.
    async fn ask(&self, began: &Began, plan: &Plan) -> Result<Response<Answer>, UpstreamFailure> {
        let request = upstream_request(began, plan, None).map_err(|_| UpstreamFailure::unsendable())?;
        let dialect = plan.call.endpoint().dialect();
        let (provider, first_byte) = (Arc::clone(&plan.target().provider), plan.target().rules.first_byte);
        let now = self.shared.clock.now();
        renew_token(&self.client, &provider, self.shared.tasks.as_ref(), now);
        let sent = self.client.send(&provider, dialect, request, now, first_byte).await;
        let (head, body) = sent.map_err(UpstreamFailure::of_transport)?.into_parts();
        let idle = self.client.timeouts().idle;
        let bytes = collect(body, ERROR_BYTES_MAX, idle).await.map_err(UpstreamFailure::of_transport)?;
        if !head.status.is_success() {
            let status = head.status.as_u16();
            return Err(UpstreamFailure::of_answer(status, UpstreamError::read(status, &bytes), None));
        }
        let answer: Result<serde_json::Value, _> = serde_json::from_slice(&bytes);
        let name = member(plan.call.endpoint());
        let is_count = answer.is_ok_and(|answer| answer.get(name).is_some_and(|count| count.is_u64()));
        if !is_count {
            return Err(UpstreamFailure::of_transport(TransportFailure::Garbage));
        }
        Ok(Response::new(Answer::from(bytes)))
    }

    /// Our count, by a dictionary that is not the model's own.
    async fn count_here(&self, plan: &Plan) -> Result<Response<Answer>, Failure> {
        let (body, model) = (plan.call.body().clone(), Arc::clone(&plan.target().model));
        let bytes = body.len();
        let endpoint = plan.call.endpoint();
        let count = move || tokens::count_prompt(endpoint, &body, &model);
        let tokens = off_thread(self.shared.tasks.as_ref(), bytes, count).await.ok_or(Failure::Draining)?;
        let answer = format!("{{\"{}\":{tokens}}}", member(endpoint));
        let mut response = Response::new(Answer::from(Bytes::from(answer)));
        response.headers_mut().insert(COUNT, APPROXIMATE);
        Ok(response)
    }
}
