//! Multiples of a price: what a service tier or a region takes of the usual one.

use std::fmt;

use domain::Price;

/// A multiple in ten-thousandths, which are basis points: `1.1` is 11,000 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Factor(u64);

const ONE: u64 = 10_000;
/// Nobody charges more than so many times the usual price; a larger number is a slip.
const MOST: u64 = 100 * ONE;

impl Factor {
    /// Reads a multiple such as `0.5`, `1.1` or `2`: at most four decimals, at most 100. `None` for anything else.
    pub fn read(text: &str) -> Option<Self> {
        let read = domain::scaled(text, 4).filter(|read| read.is_exact && !text.contains(['e', 'E']))?;
        let parts = u64::try_from(read.whole).ok()?;
        (parts <= MOST).then_some(Self(parts))
    }

    /// So many times a price; `None` when that is no whole number of pico-units, or does not fit.
    pub(crate) fn times(self, price: Price) -> Option<Price> {
        let product = u128::from(price.pico()).checked_mul(u128::from(self.0))?;
        let is_whole = product.checked_rem(u128::from(ONE))? == 0;
        let quotient = u64::try_from(product.checked_div(u128::from(ONE))?).ok()?;
        is_whole.then_some(Price::from_pico(quotient))
    }
}

impl fmt::Display for Factor {
    /// As it is written: `1.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:05}", self.0);
        let (whole, part) = digits.split_at(digits.len().saturating_sub(4));
        f.write_str(format!("{whole}.{part}").trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_exact_both_ways() {
        for (text, of_ten) in [("0", 0), ("0.5", 5), ("1.1", 11), ("2.5", 25), ("100", 1_000)] {
            let factor = Factor::read(text).unwrap();
            assert_eq!(factor.to_string(), text);
            assert_eq!(factor.times(Price::from_pico(10)), Some(Price::from_pico(of_ten)), "{text}");
        }
        assert_eq!(Factor::read("0.5").unwrap().times(Price::from_pico(1)), None);
        assert_eq!(Factor::read("2").unwrap().times(Price::from_pico(u64::MAX)), None);
        for text in ["", "-1", "1e1", "0.00001", "100.0001", "half"] {
            assert_eq!(Factor::read(text), None, "{text}");
        }
    }
}
