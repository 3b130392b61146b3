//! Google's Vertex AI: its paths, and who may call. What is answered there is Gemini's content and Anthropic's messages.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::access_token;
use crate::problem::Problem;

/// The version that messages must state in their body.
pub(crate) const VERSION: &str = "vertex-2023-10-16";

/// What is called there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// Whether the path has a project and a location.
    pub(crate) has_project: bool,
    pub(crate) publisher: &'a str,
    /// As it stands in the path.
    pub(crate) model: &'a str,
    pub(crate) action: &'a str,
}

/// The place at a path: `/v1/projects/P/locations/L/publishers/X/models/M:action`, or without project and location.
pub(crate) fn place(path: &str) -> Option<Place<'_>> {
    let rest = path.strip_prefix("/v1/")?;
    let (has_project, rest) = match rest.strip_prefix("projects/") {
        None => (false, rest),
        Some(rest) => {
            let (project, rest) = rest.split_once("/locations/")?;
            let (location, rest) = rest.split_once('/')?;
            let is_one = |name: &str| !name.is_empty() && !name.contains('/');
            (is_one(project) && is_one(location)).then_some((true, rest))?
        }
    };
    let (publisher, rest) = rest.strip_prefix("publishers/")?.split_once("/models/")?;
    let (model, action) = rest.rsplit_once(':')?;
    (!model.contains('/')).then_some(Place { has_project, publisher, model, action })
}

/// Whether the call may be made: with an access token of ours, or, for Google's own models, with any API key.
pub(crate) fn admit(headers: &HeaderMap, place: &Place<'_>, now_us: i64) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = text(AUTHORIZATION.as_str()).strip_prefix("Bearer ").unwrap_or_default();
    let by_key = place.publisher == "google" && !text("x-goog-api-key").is_empty();
    if by_key || (place.has_project && access_token::is_good(token, now_us)) {
        Ok(())
    } else {
        Err(Problem::no_token())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_who_publishes_what() {
        let full = |publisher, model, action| Some(Place { has_project: true, publisher, model, action });
        for (path, wanted) in [
            (
                "/v1/projects/p/locations/eu/publishers/google/models/m:countTokens",
                full("google", "m", "countTokens"),
            ),
            (
                "/v1/projects/a.b:p/locations/l/publishers/anthropic/models/m@1:rawPredict",
                full("anthropic", "m@1", "rawPredict"),
            ),
            (
                "/v1/publishers/google/models/m:generateContent",
                Some(Place {
                    has_project: false,
                    publisher: "google",
                    model: "m",
                    action: "generateContent",
                }),
            ),
            ("/v1/projects/p/publishers/google/models/m:countTokens", None),
            ("/v1/projects//locations/l/publishers/google/models/m:countTokens", None),
            ("/v1/projects/p/locations/l/models/m:countTokens", None),
            ("/v1/models/m:generateContent", None),
        ] {
            assert_eq!(place(path), wanted, "{path}");
        }
    }
}
