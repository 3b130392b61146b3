//! The environment, read once: the only place that looks at it.

use std::collections::BTreeMap;

use secrecy::SecretString;

/// The process's environment as it was at the start, or a made-up one in tests.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

impl Environment {
    /// Reads the process's environment. Variables that are no text are left out.
    pub fn of_process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
        let variables = std::env::vars_os();
        Self(
            variables
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// A variable that is set to something.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// A secret by its reference: `env:NAME` or `file:PATH`.
    ///
    /// # Errors
    /// A sentence that names the reference and never a value.
    pub fn secret(&self, reference: &str) -> Result<SecretString, String> {
        if let Some(name) = reference.strip_prefix("env:") {
            let value =
                self.get(name).ok_or_else(|| format!("the environment variable {name} is not set"))?;
            return Ok(SecretString::from(value.trim()));
        }
        if let Some(path) = reference.strip_prefix("file:") {
            let text = std::fs::read_to_string(path).map_err(|error| format!("the file {path}: {error}"))?;
            return if text.trim().is_empty() {
                Err(format!("the file {path} is empty"))
            } else {
                Ok(SecretString::from(text.trim()))
            };
        }
        Err("must be a reference such as \"env:OPENAI_API_KEY\" or \"file:/run/secrets/openai\", never the value"
            .to_owned())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }
}
