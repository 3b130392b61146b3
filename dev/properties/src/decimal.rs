//! Decimal numbers of any length, as digits: another way to the same sums than the one that is tested.

/// A decimal number: its sign, and its digits without zeros in front, of which the last stands for ten to the power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    power: i64,
}

impl Decimal {
    /// Reads `-12.50` or `1.25e-06`: digits, of which some stand on both sides of a point if there is one.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (rest.get(..at)?, rest.get(at + 1..)?.parse::<i32>().ok()?),
            None => (rest, 0),
        };
        let parts: Vec<&str> = mantissa.split('.').collect();
        let (whole, fraction) = match parts[..] {
            [whole] => (whole, ""),
            [whole, fraction] if !fraction.is_empty() => (whole, fraction),
            _ => return None,
        };
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if whole.is_empty() || !all.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let power = i64::from(exponent) - i64::try_from(fraction.len()).ok()?;
        Some(Self::of(negative, all.iter().map(|digit| digit - b'0').collect(), power))
    }

    /// Without zeros at either end, so that equal numbers look the same.
    fn of(negative: bool, mut digits: Vec<u8>, mut power: i64) -> Self {
        while digits.last() == Some(&0) {
            digits.pop();
            power += 1;
        }
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        if digits.is_empty() {
            Self { negative: false, digits, power: 0 }
        } else {
            Self { negative, digits, power }
        }
    }

    /// The same number times ten to a power.
    pub(crate) fn shifted(self, power: i64) -> Self {
        Self::of(self.negative, self.digits, self.power + power)
    }

    /// Whether it has no more than so many decimals.
    pub(crate) const fn has_decimals(&self, most: i64) -> bool {
        self.power >= -most
    }

    /// Its whole part, if an `i128` can say it.
    pub(crate) fn whole(&self) -> Option<i128> {
        let length = i64::try_from(self.digits.len()).ok()? + self.power;
        // No number of forty digits fits, and one of many more would take long to see that.
        let mut digits = (0..length.min(40)).map(|at| self.digits.get(usize::try_from(at).ok()?));
        let value = digits.try_fold(0_i128, |sum, digit| {
            sum.checked_mul(10)?.checked_add(i128::from(digit.copied().unwrap_or(0)))
        })?;
        Some(if self.negative { -value } else { value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_they_say() {
        for (text, shift, whole, decimals) in [
            ("0", 12, 0, 0),
            ("1.25e-06", 12, 1_250_000, 0),
            ("-12.50", 0, -12, 1),
            ("-12.50", 2, -1_250, 0),
            ("0.00009", 3, 0, 2),
            ("123000e-3", 0, 123, 0),
        ] {
            let number = Decimal::read(text).unwrap().shifted(shift);
            assert_eq!(number.whole(), Some(whole), "{text}");
            assert!(
                number.has_decimals(decimals) && (decimals == 0 || !number.has_decimals(decimals - 1)),
                "{text}"
            );
        }
        assert_eq!(Decimal::read("1.50"), Decimal::read("0001.5e0"));
        assert_eq!(Decimal::read("1e38").unwrap().whole(), Some(10_i128.pow(38)));
        for text in ["2e38", "1e39", "1e2000000000"] {
            assert_eq!(Decimal::read(text).unwrap().whole(), None, "{text}");
        }
        for text in ["", "-", ".5", "5.", "1.2.3", "1e", "e5", "+1", "1,0"] {
            assert_eq!(Decimal::read(text), None, "{text:?}");
        }
    }
}
