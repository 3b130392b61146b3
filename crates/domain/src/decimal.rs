//! Decimal numbers as JSON writes them, read exactly from their text: a float would have lost a digit before anybody
//! could look.

/// A number times a power of ten, cut to a whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaled {
    /// The whole part, towards zero.
    pub whole: i128,
    /// Whether nothing was cut off.
    pub is_exact: bool,
}

/// Reads a JSON number such as `1.25e-06` times ten to the `digits`. `None` for a text that is no number, or one that
/// does not fit.
pub fn scaled(text: &str, digits: u16) -> Option<Scaled> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let written = format!("{whole}{fraction}");
    let significant = written.trim_start_matches('0');
    if significant.is_empty() {
        return Some(Scaled { whole: 0, is_exact: true });
    }
    let shift = i64::from(digits)
        .checked_add(i64::from(exponent))?
        .checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let (kept, is_exact) = cut(significant, shift)?;
    Some(Scaled { whole: if negative { kept.checked_neg()? } else { kept }, is_exact })
}

/// These digits times ten to the `shift`, cut to a whole number, and whether nothing but zeros was cut off.
fn cut(digits: &str, shift: i64) -> Option<(i128, bool)> {
    if let Ok(zeros) = u32::try_from(shift) {
        let power = 10_i128.checked_pow(zeros)?;
        return Some((digits.parse::<i128>().ok()?.checked_mul(power)?, true));
    }
    let gone = usize::try_from(shift.checked_neg()?).ok()?;
    let (kept, lost) = digits.split_at(digits.len().saturating_sub(gone));
    let whole = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    Some((whole, lost.bytes().all(|byte| byte == b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (text, digits, whole, is_exact) in [
            ("0", 12, 0, true),
            ("0e99999", 12, 0, true),
            ("1", 12, 1_000_000_000_000, true),
            ("1.25e-06", 12, 1_250_000, true),
            ("1.25E-6", 12, 1_250_000, true),
            ("2.5e+1", 0, 25, true),
            ("0.1", 12, 100_000_000_000, true),
            ("3e-13", 12, 0, false),
            ("-1.5", 0, -1, false),
            ("0.00014999999999999999", 12, 149_999_999, false),
            ("123000e-3", 0, 123, true),
            ("1e-400", 12, 0, false),
            ("37756000", 2, 3_775_600_000, true),
        ] {
            assert_eq!(scaled(text, digits), Some(Scaled { whole, is_exact }), "{text}");
        }
        for text in ["", "-", ".5", "5.", "1e", "e5", "0x1", "1,0", "NaN", "1e40", "--1", "1e99999999999"] {
            assert_eq!(scaled(text, 0), None, "{text:?}");
        }
    }
}
