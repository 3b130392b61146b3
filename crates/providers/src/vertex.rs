//! Where models are at Google's Vertex AI: by the location, by the project that pays, and by the publisher of the model.
//!
//! By <https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations> and Google's and Anthropic's own clients. It
//! knows addresses alone.

use dialect::Endpoint;

use crate::provider::in_path;

/// The address of the API in this location; nothing where it is none.
pub(crate) fn base_url(location: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if location.is_empty() || location.len() > 63 || !location.bytes().all(is_plain) {
        return None;
    }
    Some(match location {
        "global" => GLOBAL_URL.to_owned(),
        // Not one region, but any of several.
        "us" | "eu" => format!("https://aiplatform.{location}.rep.googleapis.com/v1"),
        _ => format!("https://{location}-aiplatform.googleapis.com/v1"),
    })
}

/// The address that needs no location, which is where a key without a project is taken ("express mode").
pub(crate) const GLOBAL_URL: &str = "https://aiplatform.googleapis.com/v1";

/// What stands between the address and the publishers for this project in this location; nothing where the project is
/// none.
pub(crate) fn folder(project: &str, location: &str) -> Option<String> {
    // Projects of a domain's are named `example.com:name`.
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.');
    let is_one = !project.is_empty() && project.len() <= 128 && project.bytes().all(is_plain);
    is_one.then(|| format!("/projects/{project}/locations/{location}"))
}

/// The path of a call to this model of a publisher's, below the address and the folder.
pub(crate) fn path(publisher: &str, endpoint: Endpoint, model: &str, stream: bool) -> String {
    // The version of a model follows an `@`, which a path may have.
    let model = in_path(model).replace("%40", "@");
    let (model, action) = match (endpoint, stream) {
        (Endpoint::Messages, false) => (&*model, ":rawPredict"),
        (Endpoint::Messages, true) => (&*model, ":streamRawPredict"),
        // One counts for all of Anthropic's models; which one is meant stands in the body.
        (Endpoint::CountTokens, _) => ("count-tokens", ":rawPredict"),
        (Endpoint::GenerateContent, true) => (&*model, ":streamGenerateContent?alt=sse"),
        (other, _) => (&*model, other.path()),
    };
    format!("/publishers/{publisher}/models/{model}{action}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_have_addresses() {
        for (location, url) in [
            ("global", Some("https://aiplatform.googleapis.com/v1")),
            ("us", Some("https://aiplatform.us.rep.googleapis.com/v1")),
            ("eu", Some("https://aiplatform.eu.rep.googleapis.com/v1")),
            ("us-east5", Some("https://us-east5-aiplatform.googleapis.com/v1")),
            ("europe-west1", Some("https://europe-west1-aiplatform.googleapis.com/v1")),
            ("", None),
            ("EU", None),
            ("us east5", None),
            ("x.example/", None),
        ] {
            assert_eq!(base_url(location).as_deref(), url, "{location}");
        }
    }

    #[test]
    fn projects_have_folders() {
        for (project, wanted) in [
            ("my-project-1", Some("/projects/my-project-1/locations/global")),
            ("example.com:mine", Some("/projects/example.com:mine/locations/global")),
            ("", None),
            ("My Project", None),
            ("a/b", None),
        ] {
            assert_eq!(folder(project, "global").as_deref(), wanted, "{project}");
        }
    }

    #[test]
    fn models_have_paths() {
        const GENERATE: Endpoint = Endpoint::GenerateContent;
        for (publisher, endpoint, model, stream, wanted) in [
            ("google", GENERATE, "gemini-2.5-pro", false, "google/models/gemini-2.5-pro:generateContent"),
            ("google", GENERATE, "a/b", true, "google/models/a%2Fb:streamGenerateContent?alt=sse"),
            ("google", Endpoint::CountContent, "m", false, "google/models/m:countTokens"),
            ("anthropic", Endpoint::Messages, "m@20250929", false, "anthropic/models/m@20250929:rawPredict"),
            (
                "anthropic",
                Endpoint::Messages,
                "m@20250929",
                true,
                "anthropic/models/m@20250929:streamRawPredict",
            ),
            ("anthropic", Endpoint::CountTokens, "m@1", false, "anthropic/models/count-tokens:rawPredict"),
        ] {
            assert_eq!(path(publisher, endpoint, model, stream), format!("/publishers/{wanted}"));
        }
    }
}
