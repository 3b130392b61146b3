//! Answers in Stripe's shapes.

use serde_json::{Value, json};

/// An answer, and whether the request was carried out, so that its key remembers it.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) carried_out: bool,
    pub(crate) replayed: bool,
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, body, carried_out: true, replayed: false }
    }

    /// An error found before anything was done.
    pub(crate) fn refused(status: u16, kind: &str, code: Option<&str>, message: &str) -> Self {
        let mut error = json!({ "type": kind, "message": message });
        if let (Some(code), Some(error)) = (code, error.as_object_mut()) {
            error.insert("code".to_owned(), code.into());
        }
        Self { status, body: json!({ "error": error }), carried_out: false, replayed: false }
    }

    pub(crate) fn invalid(message: &str) -> Self {
        Self::refused(400, "invalid_request_error", None, message)
    }

    pub(crate) fn missing(what: &str, id: &str) -> Self {
        let message = format!("No such {what}: '{id}'");
        Self::refused(404, "invalid_request_error", Some("resource_missing"), &message)
    }

    /// A refused card.
    pub(crate) fn declined(error: Value) -> Self {
        Self { status: 402, body: json!({ "error": error }), carried_out: true, replayed: false }
    }

    /// Stripe broke down in the middle.
    pub(crate) fn broken() -> Self {
        let reply = Self::refused(500, "api_error", None, "An unknown error occurred.");
        Self { carried_out: true, ..reply }
    }
}
