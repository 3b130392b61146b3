//! What the address of a call tells: its endpoint, and for Gemini's calls also the model and how the answer is framed,
//! which other dialects say in the body.
//!
//! It knows paths and queries; it must never know who calls or which keys an address may hold.

use crate::endpoint::Endpoint;

/// Where Gemini's models are: the version of the API that its SDKs call, and the one before.
const MODELS: [&str; 2] = ["/v1beta/models/", "/v1/models/"];

/// What an address tells of a call whose body does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed {
    /// The model that is asked for, decoded.
    pub model: String,
    /// How the answer comes.
    pub framing: Framing,
}

/// How an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// All at once.
    Whole,
    /// As server-sent events.
    Events,
    /// As one JSON array, an element for each event: Gemini's way for whoever does not ask for events.
    Array,
}

impl Addressed {
    /// What the address of one of Gemini's calls tells; `None` for any other.
    pub fn of(path: &str, query: Option<&str>) -> Option<Self> {
        let (model, action) = gemini(path)?;
        let framing = match action {
            Action::Stream if wants_events(query.unwrap_or_default()) => Framing::Events,
            Action::Stream => Framing::Array,
            Action::Generate | Action::Count => Framing::Whole,
        };
        Some(Self { model: percent_decode(model), framing })
    }
}

/// What can be done with a model of Gemini's.
enum Action {
    Generate,
    Stream,
    Count,
}

/// The model, as it stands in the path, and what is to be done with it. A model's own name may have colons.
fn gemini(path: &str) -> Option<(&str, Action)> {
    let rest = MODELS.iter().find_map(|models| path.strip_prefix(models))?;
    let (model, action) = rest.rsplit_once(':')?;
    let action = match action {
        "generateContent" => Action::Generate,
        "streamGenerateContent" => Action::Stream,
        "countTokens" => Action::Count,
        _ => return None,
    };
    Some((model, action))
}

/// The endpoint of a path of Gemini's.
pub(crate) fn gemini_endpoint(path: &str) -> Option<Endpoint> {
    Some(match gemini(path)?.1 {
        Action::Generate | Action::Stream => Endpoint::GenerateContent,
        Action::Count => Endpoint::CountContent,
    })
}

/// Google's APIs know the parameter under both names.
fn wants_events(query: &str) -> bool {
    query.split('&').any(|pair| matches!(pair, "alt=sse" | "$alt=sse" | "%24alt=sse"))
}

/// Decodes `%2F` and its like; what is no code stays as it is.
pub fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code =
            after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
