//! Amounts as OpenRouter's API has them: JSON numbers. They are written and read as decimal digits, so that none of them
//! is ever a float.

use domain::Money;
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// An amount that is written as a JSON number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount(pub(super) Money);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.to_string();
        // `5.00` is a number, too, but not one that anybody writes.
        let text = text.trim_end_matches('0').trim_end_matches('.');
        RawValue::from_string(text.to_owned()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// The amount that a JSON number says.
///
/// # Errors
/// What is wrong with it and how to mend it.
pub(super) fn read(number: &RawValue) -> Result<Money, String> {
    let text = number.get();
    let plain =
        plain(text).ok_or_else(|| format!("`{}` is not a number; write it like 10.5", shown(text)))?;
    let amount: Money = plain.parse().map_err(|error: domain::MoneyError| error.to_string())?;
    if amount.is_negative() { Err("is below zero; the least is 0".to_owned()) } else { Ok(amount) }
}

/// A JSON number without its exponent, which clients write for small ones.
fn plain(text: &str) -> Option<String> {
    const DIGITS_MAX: u32 = 32;
    if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return Some(text.to_owned()) };
    let exponent: i32 =
        exponent.parse().ok().filter(|exponent: &i32| exponent.unsigned_abs() <= DIGITS_MAX)?;
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let shifted = match usize::try_from(point) {
        Ok(point) if point < digits.len() => {
            let (whole, fraction) = digits.split_at(point);
            format!("{}.{fraction}", if whole.is_empty() { "0" } else { whole })
        }
        Ok(point) => format!("{digits:0<point$}"),
        Err(_) => format!("0.{}{digits}", "0".repeat(usize::try_from(point.unsigned_abs()).ok()?)),
    };
    Some(format!("{sign}{shifted}"))
}

fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_numbers_of_exactly_their_digits() {
        for (nano, json) in [
            (0, "0"),
            (5_000_000_000, "5"),
            (100_000_000_000, "100"),
            (9_500_000_000, "9.5"),
            (1, "0.000000001"),
            (-1_250_000_000, "-1.25"),
            (i64::MAX, "9223372036.854775807"),
        ] {
            assert_eq!(serde_json::to_string(&Amount(Money::from_nano(nano))).unwrap(), json);
        }
    }

    #[test]
    fn numbers_are_read_digit_by_digit() {
        for (json, nano) in [
            ("0", Some(0)),
            ("10", Some(10_000_000_000)),
            ("9.5", Some(9_500_000_000)),
            ("1e1", Some(10_000_000_000)),
            ("1.5E+2", Some(150_000_000_000)),
            ("1e-05", Some(10_000)),
            ("12.5e-1", Some(1_250_000_000)),
            ("0.1e0", Some(100_000_000)),
            ("-1", None),
            ("0.30000000000000004", None),
            ("1e400", None),
            ("1e-33", None),
            // It has no absolute value.
            ("1e-2147483648", None),
            ("\"10\"", None),
            ("true", None),
            ("null", None),
        ] {
            let number = RawValue::from_string(json.to_owned()).unwrap();
            assert_eq!(read(&number).ok().map(Money::nano), nano, "{json}");
        }
    }
}
