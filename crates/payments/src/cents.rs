//! Whole cents: the unit in which providers take and report dollars.

use std::fmt;

use domain::Money;

/// One cent in nano-units.
const NANO_PER_CENT: i64 = 10_000_000;
/// Stripe takes at most eight digits of cents.
const CENTS_MAX: i64 = 99_999_999;

/// A payable amount: whole cents of a dollar, from 0.01 to 999,999.99.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cents(i64);

/// Why an amount cannot be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CentsError {
    /// It has a fraction of a cent.
    #[error("amount {0} is not in whole cents; write it with two decimals, like 25.00")]
    Fraction(Money),
    /// Nothing, less than nothing, or more than a provider takes in one payment.
    #[error("amount {0} cannot be paid at once; it must be from 0.01 to 999999.99")]
    OutOfRange(Money),
}

impl Cents {
    /// The amount in cents.
    pub const fn count(self) -> i64 {
        self.0
    }

    /// The amount as money, exactly.
    pub const fn money(self) -> Money {
        // Cannot saturate: at most 10^8 cents of 10^7 nano-units each.
        Money::from_nano(self.0.saturating_mul(NANO_PER_CENT))
    }
}

impl TryFrom<Money> for Cents {
    type Error = CentsError;

    fn try_from(amount: Money) -> Result<Self, CentsError> {
        if amount.nano().checked_rem(NANO_PER_CENT) != Some(0) {
            return Err(CentsError::Fraction(amount));
        }
        let cents = amount.nano().checked_div(NANO_PER_CENT).unwrap_or_default();
        if !(1..=CENTS_MAX).contains(&cents) {
            return Err(CentsError::OutOfRange(amount));
        }
        Ok(Self(cents))
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.money().fmt(f)
    }
}

/// A number of cents as a provider reports it, as money; `None` below zero or when it does not fit.
pub(crate) fn money_of(cents: i64) -> Option<Money> {
    if cents < 0 {
        return None;
    }
    cents.checked_mul(NANO_PER_CENT).map(Money::from_nano)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_are_exact_both_ways() {
        for (text, cents) in [("0.01", 1), ("5", 500), ("25.37", 2_537), ("999999.99", CENTS_MAX)] {
            let money: Money = text.parse().unwrap();
            let payable = Cents::try_from(money).unwrap();
            assert_eq!((payable.count(), payable.money()), (cents, money), "{text}");
            assert_eq!(money_of(cents), Some(money), "{text}");
        }
        assert_eq!(money_of(0), Some(Money::ZERO));
        assert_eq!(money_of(-1), None);
        assert_eq!(money_of(i64::MAX), None);
    }

    #[test]
    fn what_no_provider_takes_is_refused() {
        let fraction: fn(Money) -> CentsError = CentsError::Fraction;
        let range: fn(Money) -> CentsError = CentsError::OutOfRange;
        for (text, error) in [
            ("0.001", fraction),
            ("5.000000001", fraction),
            ("-0.005", fraction),
            ("0", range),
            ("-5", range),
            ("1000000", range),
        ] {
            let money: Money = text.parse().unwrap();
            assert_eq!(Cents::try_from(money), Err(error(money)), "{text}");
        }
    }
}
