//! `limits …`: the rates of an organization, and what binds a key.

use serde_json::Value;

use super::operator::{Operator, object};
use crate::args::{LimitsCommand, LimitsSetArgs, LimitsShowArgs};
use crate::client::Call;
use crate::failure::Failure;
use crate::views;

impl Operator<'_> {
    /// `limits …`
    pub(crate) fn limits(&mut self, command: LimitsCommand) -> Result<(), Failure> {
        match command {
            LimitsCommand::Set(args) => self.set_limit(args),
            LimitsCommand::Show(LimitsShowArgs { key, user, gateway }) => {
                let user = user.map(|user| format!("?user={}", encoded(&user))).unwrap_or_default();
                let call = Call::get(format!("/admin/v1/keys/{key}/limits{user}"));
                self.call::<views::EffectiveLimits>(&gateway, call)
            }
            LimitsCommand::List(args) => {
                let call = Call::get(format!("/admin/v1/organizations/{}/limits", args.org));
                self.call::<views::Limits>(&args.gateway, call)
            }
            LimitsCommand::Remove(args) => {
                let path = format!("/admin/v1/organizations/{}/limits/{}", args.org, args.limit);
                self.call::<views::Gone>(&args.gateway, Call::delete(path))
            }
        }
    }

    fn set_limit(&mut self, args: LimitsSetArgs) -> Result<(), Failure> {
        let body = object([
            ("subject", Some(Value::from(args.of))),
            ("which", args.which.map(Value::from)),
            ("model", Some(Value::from(args.model))),
            ("requests_per_minute", args.requests_per_minute.map(Value::from)),
            ("tokens_per_minute", args.tokens_per_minute.map(Value::from)),
            ("input_tokens_per_minute", args.input_tokens_per_minute.map(Value::from)),
            ("output_tokens_per_minute", args.output_tokens_per_minute.map(Value::from)),
            ("images_per_minute", args.images_per_minute.map(Value::from)),
            ("requests_per_day", args.requests_per_day.map(Value::from)),
            ("tokens_per_day", args.tokens_per_day.map(Value::from)),
            ("concurrent_requests", args.concurrent_requests.map(Value::from)),
        ]);
        let call = Call::put(format!("/admin/v1/organizations/{}/limits", args.org), body);
        self.call::<views::Limit>(&args.gateway, call)
    }
}

/// A text as a query can hold it.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
