//! Rate limits, as they are written down. How they are counted is not said here.

use domain::{KeyId, LimitId, OrganizationId, ProjectId};
use serde::{Deserialize, Serialize};

/// A cap on the rates of one part of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RateLimit {
    /// Its id.
    pub id: LimitId,
    /// The organization.
    pub organization: OrganizationId,
    /// Whose calls are counted.
    pub subject: LimitSubject,
    /// For which models: a name, or `prefix*` for all that begin so together; `*` is all models together.
    pub model: String,
    /// How much.
    pub caps: Caps,
}

/// Whose calls a limit counts. `None` is each one separately.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitSubject {
    /// All of the organization's.
    Organization,
    /// Those of a project.
    Project(Option<ProjectId>),
    /// Those of a key.
    Key(Option<KeyId>),
    /// Those for an end user, as the caller names them.
    User(Option<String>),
}

/// The most of each measure; `None` is no cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Caps {
    /// Requests in any minute.
    pub requests_per_minute: Option<u64>,
    /// Input and output tokens in any minute.
    pub tokens_per_minute: Option<u64>,
    /// Input tokens in any minute.
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens in any minute.
    pub output_tokens_per_minute: Option<u64>,
    /// Images in any minute.
    pub images_per_minute: Option<u64>,
    /// Requests on a day (UTC).
    pub requests_per_day: Option<u64>,
    /// Input and output tokens on a day (UTC).
    pub tokens_per_day: Option<u64>,
    /// Requests at once.
    pub concurrent_requests: Option<u64>,
}
