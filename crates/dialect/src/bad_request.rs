//! Refusals of a request that cannot be read, in OpenAI's words, each naming its member.

/// A request that cannot be taken, in OpenAI's words: status 400, type `invalid_request_error`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// What is wrong, as the caller reads it. Holds no prompt text.
    pub message: String,
    /// The member that is wrong, where it is one.
    pub param: Option<String>,
    /// OpenAI's code for the mistake, where it has one.
    pub code: Option<&'static str>,
}

impl BadRequest {
    pub(crate) fn new(param: &str, code: &'static str, message: String) -> Self {
        Self { message, param: Some(param.to_owned()), code: Some(code) }
    }

    /// The body as a whole is wrong.
    pub(crate) fn body(why: impl std::fmt::Display) -> Self {
        Self {
            message: format!("We could not parse the JSON body of your request: {why}."),
            param: None,
            code: None,
        }
    }

    /// The form in the body is wrong.
    pub(crate) fn form(why: impl std::fmt::Display) -> Self {
        Self {
            message: format!(
                "We could not read the form (multipart/form-data) in the body of your request: {why}."
            ),
            param: None,
            code: None,
        }
    }

    pub(crate) fn missing(param: &str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self::new(param, "missing_required_parameter", message)
    }

    pub(crate) fn mistyped(param: &str, expected: &str, got: impl std::fmt::Display) -> Self {
        let message = format!("Invalid type for '{param}': expected {expected}, but got {got} instead.");
        Self::new(param, "invalid_type", message)
    }

    pub(crate) fn empty_array(param: &str) -> Self {
        let message = format!(
            "Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        );
        Self::new(param, "empty_array", message)
    }

    pub(crate) fn long_array(param: &str, max: usize, got: usize) -> Self {
        let message = format!(
            "Invalid '{param}': array too long. Expected an array with maximum length {max}, but got an array with \
             length {got} instead."
        );
        Self::new(param, "array_above_max_length", message)
    }

    pub(crate) fn empty_string(param: &str) -> Self {
        let message = format!(
            "Invalid '{param}': empty string. Expected a string with minimum length 1, but got an empty string instead."
        );
        Self::new(param, "empty_string", message)
    }

    pub(crate) fn long_string(param: &str, max: usize, got: usize) -> Self {
        let message = format!(
            "Invalid '{param}': string too long. Expected a string with maximum length {max}, but got a string with \
             length {got} instead."
        );
        Self::new(param, "string_above_max_length", message)
    }

    pub(crate) fn below(param: &str, min: u64, got: &str) -> Self {
        let message = format!(
            "Invalid '{param}': integer below minimum value. Expected a value >= {min}, but got {got} instead."
        );
        Self::new(param, "integer_below_min_value", message)
    }

    pub(crate) fn above(param: &str, max: u64, got: &str) -> Self {
        let message = format!(
            "Invalid '{param}': integer above maximum value. Expected a value <= {max}, but got {got} instead."
        );
        Self::new(param, "integer_above_max_value", message)
    }

    /// Only a stream has options for streams.
    pub(crate) fn options_without_stream() -> Self {
        Self {
            message: "The 'stream_options' parameter is only allowed when 'stream' is enabled.".to_owned(),
            param: Some("stream_options".to_owned()),
            code: None,
        }
    }

    /// A header that belongs to the call is missing or wrong.
    pub fn header(name: &'static str, why: &str) -> Self {
        Self { message: format!("{name}: {why}"), param: Some(name.to_owned()), code: None }
    }

    /// What the provider charges for and tells in no answer.
    pub(crate) fn unmetered(param: &str, what: &str) -> Self {
        let message =
            format!("Unsupported parameter: '{param}'. This gateway does not meter {what}; leave it out.");
        Self::new(param, "unsupported_parameter", message)
    }

    /// A value that its type allows and its meaning does not.
    pub(crate) fn word(param: &str, expected: &str) -> Self {
        Self::new(param, "invalid_value", format!("Invalid value for '{param}': expected {expected}."))
    }

    /// Exactly one of two members must be there.
    pub(crate) fn one_of(param: &str, other: &str) -> Self {
        let message = format!("Give either '{param}' or '{other}', not both.");
        Self::new(param, "invalid_value", message)
    }

    /// The body names another model than the address.
    pub(crate) fn other_than_address(param: &str) -> Self {
        let message = format!("Invalid '{param}': it names another model than the address; leave it out.");
        Self::new(param, "invalid_value", message)
    }

    pub(crate) fn duplicate(param: &str) -> Self {
        let message = format!("Duplicate parameter: '{param}' is given more than once.");
        Self::new(param, "duplicate_parameter", message)
    }

    /// A member that decides something elsewhere, and nothing here.
    pub(crate) fn untaken(param: &str) -> Self {
        let message = format!("Unsupported parameter: '{param}' is not taken here; leave it out.");
        Self::new(param, "unsupported_parameter", message)
    }

    pub(crate) fn disguised(param: &str, meant: &str) -> Self {
        let message = format!("Unknown parameter: '{param}'. Did you mean '{meant}'?");
        Self::new(param, "unknown_parameter", message)
    }
}
