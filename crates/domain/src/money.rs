//! Money as integers: amounts in nano-units of the billing currency, prices in pico-units.
//!
//! 1 unit (one dollar) = 10^9 nano = 10^12 pico. A wallet's amounts are [`Money`] (i64 nano, up to 9.22 billion
//! units); a price is a [`Price`] (pico per token, image, second or request); the cost of a request is summed
//! exactly as [`Pico`] and rounded *up* to [`Money`] once, by [`Pico::ceil_to_money`]. Rounding up is monotone,
//! so a cost below a ceiling never rounds above it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::decimal::scaled;

const NANO_PER_UNIT: i128 = 1_000_000_000;
const PICO_PER_NANO: i128 = 1_000;
const NANO_DIGITS: usize = 9;
const PICO_DIGITS: usize = 12;

/// An amount in nano-units of the billing currency. May be negative as a difference, never as a balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

/// Why a text or a sum is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The text is not a plain decimal number.
    #[error("`{0}` is not a decimal amount; write it like 5.00")]
    NotDecimal(String),
    /// More decimals than the unit can hold.
    #[error("`{text}` has more than {digits_max} decimals, the smallest unit there is")]
    TooPrecise {
        /// The text as given.
        text: String,
        /// Decimals allowed.
        digits_max: usize,
    },
    /// Outside what 64 bits of nano-units hold.
    #[error("amount out of range")]
    Overflow,
    /// A price below zero.
    #[error("`{0}` is negative; a price is zero or more")]
    Negative(String),
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that can be written.
    pub const MAX: Self = Self(i64::MAX);

    /// An amount of `nano` nano-units.
    pub const fn from_nano(nano: i64) -> Self {
        Self(nano)
    }

    /// The amount in nano-units.
    pub const fn nano(self) -> i64 {
        self.0
    }

    /// Whether the amount is zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether the amount is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Exact sum; `None` when it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Exact difference; `None` when it does not fit.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The same amount with the other sign; `None` for the one value that has none.
    #[must_use]
    pub fn checked_neg(self) -> Option<Self> {
        self.0.checked_neg().map(Self)
    }

    /// Sum of many amounts; `None` when it does not fit.
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    /// Parses a decimal such as `5`, `5.00`, `-0.000000001`: at most nine decimals, no exponent, no separators.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let nano = parse_scaled(text, NANO_DIGITS)?;
        i64::try_from(nano).map(Self).map_err(|_| MoneyError::Overflow)
    }
}

impl fmt::Display for Money {
    /// A decimal with at least two and at most nine decimals: `5.00`, `0.000012345`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write_scaled(f, sign, i128::from(self.0).unsigned_abs(), NANO_DIGITS)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An exact cost in pico-units, before the one rounding a request gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pico(i128);

impl Pico {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// A cost of `pico` pico-units.
    pub const fn new(pico: i128) -> Self {
        Self(pico)
    }

    /// The cost in pico-units.
    pub const fn get(self) -> i128 {
        self.0
    }

    /// Exact sum; `None` when it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Reads an amount that a provider states as a JSON number, exactly from its text; decimals beyond pico-units are
    /// rounded up, as a cost's are. `units_per_currency_digits` is 0 for a number of dollars and 10 for one of
    /// ten-billionths. `None` for a text that is no number, or one that does not fit.
    pub fn of_number(text: &str, units_per_currency_digits: u16) -> Option<Self> {
        let read = scaled(text, 12_u16.checked_sub(units_per_currency_digits)?)?;
        let up = i128::from(!read.is_exact && !text.starts_with('-'));
        read.whole.checked_add(up).map(Self)
    }

    /// The one rounding of a request: up to whole nano-units. `None` when it does not fit.
    #[must_use]
    pub fn ceil_to_money(self) -> Option<Money> {
        let floor = self.0.div_euclid(PICO_PER_NANO);
        let up = i128::from(self.0.rem_euclid(PICO_PER_NANO) != 0);
        i64::try_from(floor.checked_add(up)?).ok().map(Money)
    }
}

impl fmt::Display for Pico {
    /// A decimal with at least two and at most twelve decimals: `0.00`, `0.000000000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write_scaled(f, sign, self.0.unsigned_abs(), PICO_DIGITS)
    }
}

/// A price: pico-units of currency for one unit of what is sold (token, image, second, request).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(u64);

impl Price {
    /// Free, as an explicit statement.
    pub const FREE: Self = Self(0);

    /// A price of `pico` pico-units per unit sold.
    pub const fn from_pico(pico: u64) -> Self {
        Self(pico)
    }

    /// Pico-units per unit sold.
    pub const fn pico(self) -> u64 {
        self.0
    }

    /// Parses a price quoted in currency per million units, such as `2.50` per million tokens: at most six decimals.
    ///
    /// # Errors
    /// When the text is no decimal, is negative, has more than six decimals or does not fit.
    pub fn per_million(text: &str) -> Result<Self, MoneyError> {
        let pico = parse_scaled(text, 6)?;
        if pico < 0 {
            return Err(MoneyError::Negative(text.to_owned()));
        }
        u64::try_from(pico).map(Self).map_err(|_| MoneyError::Overflow)
    }

    /// The price in currency per million units, as it is written in price files: `2.50`.
    pub fn to_per_million(self) -> String {
        struct PerMillion(u64);
        impl fmt::Display for PerMillion {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_scaled(f, "", u128::from(self.0), 6)
            }
        }
        PerMillion(self.0).to_string()
    }

    /// Parses a price of one unit with at most so many decimals, up to twelve, and divides it by what ten to the rest
    /// says: with nine decimals it is the price of a thousandth.
    ///
    /// # Errors
    /// When the text is no decimal, is negative, has more decimals or does not fit.
    pub fn of_one(text: &str, digits: usize) -> Result<Self, MoneyError> {
        let pico = parse_scaled(text, digits)?;
        if pico < 0 {
            return Err(MoneyError::Negative(text.to_owned()));
        }
        u64::try_from(pico).map(Self).map_err(|_| MoneyError::Overflow)
    }

    /// The price in currency of a thousand units, as [`Price::of_one`] reads it with nine decimals.
    pub fn of_a_thousand(self) -> String {
        decimal(self.0, 9)
    }

    /// The price in currency of one unit, exactly: `0.0000025`.
    pub fn to_per_unit(self) -> String {
        decimal(self.0, 12)
    }

    /// Parses what [`Price::to_per_unit`] writes; `None` for anything else.
    pub fn per_unit(text: &str) -> Option<Self> {
        let pico = parse_scaled(text, 12).ok()?;
        u64::try_from(pico).ok().map(Self)
    }

    /// The exact cost of `quantity` units; `None` when it does not fit.
    #[must_use]
    pub fn times(self, quantity: u64) -> Option<Pico> {
        i128::from(self.0).checked_mul(i128::from(quantity)).map(Pico)
    }
}

/// An integer scaled by ten to the `digits`, with as few decimals as it needs.
fn decimal(scaled: u64, digits: usize) -> String {
    let text = format!("{scaled:0>width$}", width = digits.saturating_add(1));
    let (whole, fraction) = text.split_at(text.len().saturating_sub(digits));
    format!("{whole}.{fraction}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads a decimal as an integer scaled by ten to the `digits_max`.
fn parse_scaled(text: &str, digits_max: usize) -> Result<i128, MoneyError> {
    let not_decimal = || MoneyError::NotDecimal(text.to_owned());
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let dangling_point = unsigned.ends_with('.');
    if whole.is_empty() || dangling_point || !digits_only(whole) || !digits_only(fraction) {
        return Err(not_decimal());
    }
    if fraction.len() > digits_max {
        return Err(MoneyError::TooPrecise { text: text.to_owned(), digits_max });
    }
    let scaled: i128 =
        format!("{whole}{fraction:0<digits_max$}").parse().map_err(|_| MoneyError::Overflow)?;
    if negative { scaled.checked_neg().ok_or(MoneyError::Overflow) } else { Ok(scaled) }
}

/// Writes an integer scaled by ten to the `digits` as a decimal with at least two decimals.
fn write_scaled(f: &mut fmt::Formatter<'_>, sign: &str, scaled: u128, digits: usize) -> fmt::Result {
    let text = format!("{scaled:0>width$}", width = digits.saturating_add(1));
    let (whole, fraction) = text.split_at(text.len().saturating_sub(digits));
    let kept = fraction.trim_end_matches('0').len().max(2);
    f.pad(&format!("{sign}{whole}.{}", fraction.get(..kept).unwrap_or(fraction)))
}

/// One currency unit in nano-units, checked against the scale of [`Money`]'s text form.
const _: () = assert!(NANO_PER_UNIT == 10_i128.pow(9));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_read_and_write() {
        for (text, nano, written) in [
            ("0", 0, "0.00"),
            ("5.00", 5_000_000_000, "5.00"),
            ("5", 5_000_000_000, "5.00"),
            ("0.01", 10_000_000, "0.01"),
            ("0.000000001", 1, "0.000000001"),
            ("-1.5", -1_500_000_000, "-1.50"),
            ("9223372036.854775807", i64::MAX, "9223372036.854775807"),
            ("-9223372036.854775808", i64::MIN, "-9223372036.854775808"),
        ] {
            let money: Money = text.parse().unwrap();
            assert_eq!(money.nano(), nano, "{text}");
            assert_eq!(money.to_string(), written, "{text}");
            assert_eq!(written.parse(), Ok(money), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "1e3",
            "1,000",
            " 1",
            "+1",
            "NaN",
            "1.0000000001",
            "9223372036.854775808",
        ] {
            assert!(text.parse::<Money>().is_err(), "{text:?} was accepted");
        }
        for text in ["-1", "0.0000001", "99999999999999999999"] {
            assert!(Price::per_million(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_price_of_one_unit_is_exact_both_ways() {
        for (pico, text) in [
            (0, "0"),
            (1, "0.000000000001"),
            (2_500_000, "0.0000025"),
            (1_000_000_000_000, "1"),
            (u64::MAX, "18446744.073709551615"),
        ] {
            assert_eq!(Price::from_pico(pico).to_per_unit(), text);
            assert_eq!(Price::per_unit(text), Some(Price::from_pico(pico)));
        }
        for text in ["", "-1", "1e-6", "0.0000000000001"] {
            assert_eq!(Price::per_unit(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_a_provider_states_is_read_to_the_pico() {
        for (text, digits, pico, written) in [
            ("0.00014999999999999999", 0, 150_000_000, "0.00015"),
            ("1.5e-05", 0, 15_000_000, "0.000015"),
            ("37756000", 10, 3_775_600_000, "0.0037756"),
            ("1e-12", 0, 1, "0.000000000001"),
            ("-0.25", 0, -250_000_000_000, "-0.25"),
            ("0", 0, 0, "0.00"),
        ] {
            let read = Pico::of_number(text, digits);
            assert_eq!(read, Some(Pico::new(pico)), "{text}");
            assert_eq!(read.map(|read| read.to_string()).as_deref(), Some(written), "{text}");
        }
        for text in ["", "\"1\"", "1e30", "nothing"] {
            assert_eq!(Pico::of_number(text, 0), None, "{text}");
        }
    }

    #[test]
    fn prices_are_exact_and_rounding_is_up_and_once() {
        let price = Price::per_million("0.0025").unwrap();
        assert_eq!(price.pico(), 2_500);
        assert_eq!(price.to_per_million(), "0.0025");
        assert_eq!(Price::per_million("2.50").unwrap().to_per_million(), "2.50");
        for (pico, nano) in
            [(0, 0), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (-1, 0), (-1_000, -1), (-1_001, -1)]
        {
            assert_eq!(Pico::new(pico).ceil_to_money(), Some(Money::from_nano(nano)), "{pico} pico");
        }
        assert_eq!(Pico::new(i128::MAX).ceil_to_money(), None);
    }
}
