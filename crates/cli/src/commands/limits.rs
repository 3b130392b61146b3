//! `limits`: what binds a key.

use super::operator::Operator;
use crate::args::{LimitsCommand, LimitsShowArgs};
use crate::client::Call;
use crate::failure::Failure;
use crate::views;

impl Operator<'_> {
    /// `limits …`
    pub(crate) fn limits(&mut self, command: LimitsCommand) -> Result<(), Failure> {
        let LimitsCommand::Show(LimitsShowArgs { key, user, gateway }) = command;
        let user = user.map(|user| format!("?user={}", encoded(&user))).unwrap_or_default();
        let call = Call::get(format!("/admin/v1/keys/{key}/limits{user}"));
        self.call::<views::EffectiveLimits>(&gateway, call)
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
