//! Decimal numbers that are times or factors, as thousandths: no float comes near what is charged.

/// A number such as `8.470000267` in thousandths, rounded up. Nothing for a negative one, one with an exponent, one that
/// fits no count, and what is no number.
pub(super) fn thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(part) {
        return None;
    }
    let (kept, rest) = part.split_at_checked(3).unwrap_or((part, ""));
    let kept: u64 = format!("{kept:0<3}").parse().ok()?;
    let up = u64::from(rest.bytes().any(|byte| byte != b'0'));
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(kept)?.checked_add(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_thousandths() {
        for (text, number) in [
            ("0", Some(0)),
            ("9", Some(9_000)),
            ("0.25", Some(250)),
            ("8.470000267028809", Some(8_471)),
            ("8.470000", Some(8_470)),
            ("1.", Some(1_000)),
            ("18446744073709551615", None),
            ("1e3", None),
            ("-1", None),
            (".5", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(thousandths(text), number, "{text}");
        }
    }
}
