//! Names with a star, as lists of models have them.

/// Whether a name is meant by a pattern: the name itself, or with a `*` at its end everything that begins so.
pub fn name_fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_every_end() {
        for (pattern, name, fits) in [
            ("gpt-5*", "gpt-5.4-mini", true),
            ("gpt-5*", "gpt-5", true),
            ("*", "", true),
            ("gpt-5", "gpt-5", true),
            ("gpt-5", "gpt-5.4", false),
            ("gpt-5*", "gpt-4", false),
            ("g*t", "gpt", false),
            ("", "gpt", false),
        ] {
            assert_eq!(name_fits(pattern, name), fits, "{pattern} {name}");
        }
    }
}
