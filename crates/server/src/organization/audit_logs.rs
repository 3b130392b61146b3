//! The audit log in OpenAI's shape.

use serde_json::Value;

use super::LIMIT_MAX;
use crate::admin::{Answered, Call, audit};

/// The query: all filters, and the two ways to turn a page.
pub(super) const QUERY: &[&str] = audit::FILTERS;

pub(super) fn list(call: &Call) -> Answered {
    let (lines, has_more) = audit::page(call, LIMIT_MAX)?;
    let name = |id| call.tenant.project(id).map(|project| project.name.as_str());
    let data: Vec<Value> =
        lines.iter().map(|line| audit::openai(line, line.project.and_then(name))).collect();
    Ok(super::list(&data, has_more))
}
