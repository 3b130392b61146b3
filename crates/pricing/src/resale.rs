//! What a reseller's prices come to in the currency that is billed: its own unit, and what it adds on top.
//!
//! Resellers publish prices in three ways, and any mixture of them is one [`Resale`]: in a unit of their own that is bought
//! first (credits, points), so many for a thousand or a million tokens; as a percentage above the maker's list price; and
//! at list price, with a fee on each purchase of credit. The list price of the model behind it stays beside, so that what
//! was paid can be held against it.
//!
//! # Rounding
//!
//! Each price is worked out exactly and rounded up once, to the next pico-unit per token (a millionth of a millionth): a
//! million tokens cost at most a millionth of the currency's unit more than the exact price says. A request's cost is then
//! summed exactly, as of any other price.

use std::fmt;
use std::sync::Arc;

use domain::{Pico, Price, ServiceTier, Timestamp, Usage, scaled};

use crate::catalog::Schedule;
use crate::prices::PriceSet;
use crate::version::{Ladder, PriceVersion, Step};

/// Decimals of a unit's value.
const VALUE_DIGITS: u16 = 12;
/// One, as a unit's value is kept.
const VALUE_ONE: u64 = 1_000_000_000_000;
/// Decimals of a percentage.
const PERCENT_DIGITS: u16 = 4;
/// One, as a markup is kept: in millionths, which are ten-thousandths of a percent.
const MARKUP_ONE: u64 = 1_000_000;
/// Nobody adds more than so many percent; a larger number is a slip.
const PERCENT_MAX: u64 = 1_000;
/// The tokens that prices are of unless a reseller says otherwise.
const PER_TOKENS: u64 = 1_000_000;

/// How a reseller's prices become ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resale {
    /// The reseller's word for its unit, where that is not the currency's.
    unit: Option<Unit>,
    /// How many tokens its token prices are of.
    per_tokens: u64,
    /// What it adds, in millionths.
    markup: u64,
}

/// A unit of a reseller's own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unit {
    name: String,
    /// What one is worth, in pico-units of the currency. Above zero.
    value: u64,
}

/// What is wrong with a resale, by the field of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResaleError {
    /// The name of the unit is none.
    #[error("`price_unit` must be a word of at most 24 letters, digits, - or _, such as \"credit\"")]
    Name,
    /// Of unit and value only one is stated.
    #[error(
        "`price_unit` and `unit_value` belong together: price_unit = \"credit\", unit_value = \"0.001\" says that a credit is \
         worth a thousandth of the currency's unit"
    )]
    Half,
    /// The value is none.
    #[error("`unit_value` must be a decimal above 0 with at most 12 decimals, such as \"0.001\"")]
    Value,
    /// The percentage is none.
    #[error("`markup_percent` must be a decimal from 0 to 1000 with at most 4 decimals, such as \"5.5\"")]
    Markup,
    /// Prices are of no tokens.
    #[error("`per_tokens` must be between 1 and 1000000, such as 1000 for prices of a thousand tokens")]
    PerTokens,
    /// A price does not fit.
    #[error(
        "a price in the reseller's unit comes to more than can be charged; check `unit_value` and `per_tokens`"
    )]
    TooLarge,
}

impl Resale {
    /// A resale as it is written: the name and the value of the reseller's unit, the tokens that its prices are of, and the
    /// percentage that it adds. What is left out is the currency itself, a million, and nothing.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(
        unit: Option<(&str, &str)>,
        per_tokens: Option<u64>,
        markup_percent: Option<&str>,
    ) -> Result<Self, ResaleError> {
        let unit = unit.map(|(name, value)| Unit::read(name, value)).transpose()?;
        let per_tokens = per_tokens.unwrap_or(PER_TOKENS);
        if !(1..=PER_TOKENS).contains(&per_tokens) {
            return Err(ResaleError::PerTokens);
        }
        let markup = match markup_percent {
            None => 0,
            Some(text) => decimal(text, PERCENT_DIGITS)
                .filter(|parts| {
                    *parts <= PERCENT_MAX.saturating_mul(10_u64.saturating_pow(u32::from(PERCENT_DIGITS)))
                })
                .ok_or(ResaleError::Markup)?,
        };
        Ok(Self { unit, per_tokens, markup })
    }

    /// What the reseller's own prices come to: in its unit, for so many tokens, before what it adds.
    fn price(&self, price: Price, is_token: bool) -> Option<Price> {
        let value = self.unit.as_ref().map_or(VALUE_ONE, |unit| unit.value);
        let (per, of) = if is_token { (PER_TOKENS, self.per_tokens) } else { (1, 1) };
        let factor = MARKUP_ONE.checked_add(self.markup)?;
        round_up(price, [value, factor, per], [VALUE_ONE, MARKUP_ONE, of])
    }

    /// What a list price comes to with what the reseller adds.
    fn marked_up(&self, price: Price) -> Option<Price> {
        round_up(price, [MARKUP_ONE.checked_add(self.markup)?, 1, 1], [MARKUP_ONE, 1, 1])
    }
}

impl Unit {
    fn read(name: &str, value: &str) -> Result<Self, ResaleError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || name.len() > 24 || !name.bytes().all(is_plain) {
            return Err(ResaleError::Name);
        }
        let value = decimal(value, VALUE_DIGITS).filter(|value| *value > 0).ok_or(ResaleError::Value)?;
        Ok(Self { name: name.to_owned(), value })
    }
}

impl fmt::Display for Resale {
    /// As a price's id says it: `credit=0.001,per=1000,+5.5%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self
            .unit
            .iter()
            .map(|unit| format!("{}={}", unit.name, Price::from_pico(unit.value).to_per_unit()));
        let per = (self.per_tokens != PER_TOKENS).then(|| format!("per={}", self.per_tokens));
        let markup = Markup(self.markup);
        let parts: Vec<String> = unit.chain(per).chain([markup.to_string()]).collect();
        f.write_str(&parts.join(","))
    }
}

/// A markup in millionths, as a percentage: `+5.5%`.
struct Markup(u64);

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:05}", self.0);
        let (whole, part) = digits.split_at(digits.len().saturating_sub(usize::from(PERCENT_DIGITS)));
        write!(f, "+{}%", format!("{whole}.{part}").trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A decimal with at most so many decimals, as a whole number of the smallest.
fn decimal(text: &str, digits: u16) -> Option<u64> {
    let read = scaled(text, digits).filter(|read| read.is_exact && !text.contains(['e', 'E']))?;
    u64::try_from(read.whole).ok()
}

/// A price times these and divided by those, rounded up once; `None` when it does not fit.
fn round_up(price: Price, times: [u64; 3], by: [u64; 3]) -> Option<Price> {
    let start = u128::from(price.pico());
    let product = times.iter().try_fold(start, |product, factor| product.checked_mul(u128::from(*factor)))?;
    let divisor = by.iter().try_fold(1_u128, |product, factor| product.checked_mul(u128::from(*factor)))?;
    u64::try_from(product.div_ceil(divisor)).ok().map(Price::from_pico)
}

impl PriceSet {
    /// Each price changed by this.
    fn map(&self, change: impl Fn(Price, bool) -> Option<Price>) -> Option<Self> {
        let changed = self.iter().map(|(meter, price)| match price {
            Some(price) => change(price, meter.is_tokens()).map(Some),
            None => Some(None),
        });
        Self::from_prices(changed.collect::<Option<Vec<_>>>()?)
    }
}

impl Ladder {
    fn map(&self, change: &impl Fn(Price, bool) -> Option<Price>) -> Option<Self> {
        let step = |step: &Step| Some(Step { prices: step.prices.map(change)?, ..*step });
        Some(Self {
            base: self.base.map(change)?,
            steps: self.steps.iter().map(step).collect::<Option<_>>()?,
        })
    }
}

impl PriceVersion {
    /// The same with each price changed by this, under this id.
    fn map(&self, id: String, change: &impl Fn(Price, bool) -> Option<Price>) -> Result<Self, ResaleError> {
        let tiers = self.tiers.iter().map(|(tier, own)| Some((*tier, own.map(change)?)));
        Ok(Self {
            id: id.into(),
            standard: self.standard.map(change).ok_or(ResaleError::TooLarge)?,
            tiers: tiers.collect::<Option<_>>().ok_or(ResaleError::TooLarge)?,
            ..self.clone()
        })
    }

    /// What a usage would cost at the list price of the model: its maker's, where that is known; else the reseller's own,
    /// without what it adds; else [`Self::cost`] itself. The caller rounds it as it rounds that.
    #[must_use]
    pub fn list_cost(&self, usage: &Usage, tier: ServiceTier) -> Option<Pico> {
        let listed = self.list.as_ref().and_then(|list| list.cost(usage, tier));
        listed.or_else(|| self.cost(usage, tier))
    }

    /// The price whose [`Self::list_cost`] this is, where it is another one.
    pub fn list(&self) -> Option<&PriceVersion> {
        self.list.as_deref()
    }
}

impl Schedule {
    /// A reseller's own prices in the currency that is billed. As list price each keeps itself without what the reseller
    /// adds.
    ///
    /// # Errors
    /// [`ResaleError::TooLarge`].
    pub fn resold(&self, resale: &Resale) -> Result<Self, ResaleError> {
        let bare = Resale { markup: 0, ..resale.clone() };
        self.map(&|version| {
            let list = version
                .map(format!("{};{bare}", version.id), &|price, is_token| bare.price(price, is_token))?;
            let id = format!("{};{resale}", version.id);
            let paid = version.map(id, &|price, is_token| resale.price(price, is_token))?;
            Ok(PriceVersion { list: Some(Arc::new(list)), ..paid })
        })
    }

    /// The prices of a reseller's `model` that are these, its maker's, and what the reseller adds. They stay beside as list
    /// price.
    ///
    /// # Errors
    /// [`ResaleError::TooLarge`].
    pub fn above_list(&self, (provider, model): (&str, &str), resale: &Resale) -> Result<Self, ResaleError> {
        self.map(&|list| {
            let id = format!("{provider}/{model}@{};{}", list.id, Markup(resale.markup));
            let paid = list.map(id, &|price, _| resale.marked_up(price))?;
            let (provider, model) = (provider.to_owned(), model.to_owned());
            Ok(PriceVersion { provider, model, list: Some(Arc::new(list.clone())), ..paid })
        })
    }

    /// The same prices with those of `list` beside them as list price, from the moments on at which each holds. Nothing
    /// changes in what is charged.
    #[must_use]
    pub fn beside(&self, list: &Self) -> Self {
        let own = self.versions.iter().map(|version| version.valid_from);
        let mut moments: Vec<Option<Timestamp>> =
            own.chain(list.versions.iter().map(|version| version.valid_from)).collect();
        moments.sort_unstable();
        moments.dedup();
        let versions = moments.into_iter().filter_map(|from| {
            let at = from.unwrap_or(Timestamp::from_micros(i64::MIN));
            let version = self.at(at)?;
            let Some(listed) = list.at(at) else { return Some(Arc::clone(version)) };
            let id = format!("{};list={}", version.id, listed.id).into();
            let list = Some(Arc::clone(listed));
            Some(Arc::new(PriceVersion { id, valid_from: from, list, ..PriceVersion::clone(version) }))
        });
        self.with_versions(versions.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Catalog, ModelKind, RoutePrice};

    fn written(input: &str, output: &str) -> Schedule {
        let price = RoutePrice {
            input: input.to_owned(),
            output: Some(output.to_owned()),
            per_search: Some("1".to_owned()),
            ..RoutePrice::default()
        };
        PriceVersion::from_route("shop", "m", &price, ModelKind::Chat).unwrap().into()
    }

    fn at(schedule: &Schedule) -> &PriceVersion {
        schedule.at("2026-12-01".parse().unwrap()).unwrap()
    }

    #[test]
    fn every_way_that_resellers_publish_comes_to_exact_prices() {
        // The resale, the input price; what an input token costs in pico-units, and what it costs before the markup.
        for (unit, per, markup, input, paid, list) in [
            // 2.50 a million, and nothing else: as it is.
            (None, None, None, "2.50", 2_500_000, 2_500_000),
            // A fee of 5.5 % on each purchase of credit.
            (None, None, Some("5.5"), "2.50", 2_637_500, 2_500_000),
            // Five credits for a thousand tokens, a thousand credits for 1.00.
            (Some(("credit", "0.001")), Some(1_000), None, "5", 5_000_000, 5_000_000),
            (Some(("credit", "0.001")), Some(1_000), Some("20"), "5", 6_000_000, 5_000_000),
            // A third of a pico-unit is rounded up, once.
            (Some(("point", "0.000033333333")), None, None, "0.03", 1, 1),
            (Some(("point", "0.00003")), None, Some("0.0001"), "100000", 3_000_003, 3_000_000),
            (None, None, Some("0.0001"), "0.000001", 2, 1),
            // Free stays free.
            (Some(("credit", "1")), None, Some("1000"), "0", 0, 0),
        ] {
            let resale = Resale::read(unit, per, markup).unwrap();
            let resold = written(input, "10").resold(&resale).unwrap();
            let version = at(&resold);
            let usage = Usage { input: 1, ..Usage::default() };
            let cost = |cost: Option<Pico>| cost.unwrap().get();
            assert_eq!(cost(version.cost(&usage, ServiceTier::Standard)), paid, "{resale}");
            assert_eq!(cost(version.list_cost(&usage, ServiceTier::Standard)), list, "{resale}");
        }
    }

    #[test]
    fn what_is_no_token_costs_units_of_one() {
        let resale = Resale::read(Some(("credit", "0.001")), Some(1_000), Some("10")).unwrap();
        let resold = written("5", "10").resold(&resale).unwrap();
        let usage = Usage { searches: 2, ..Usage::default() };
        let cost = at(&resold).cost(&usage, ServiceTier::Standard).unwrap();
        assert_eq!(cost.get(), 2_200_000_000, "two credits and a tenth more");
        assert_eq!(
            &*at(&resold).id,
            "shop/m@input=5.00,output=10.00,per_search=1;credit=0.001,per=1000,+10%"
        );
    }

    #[test]
    fn a_percentage_above_list_follows_the_list() {
        let catalog = Catalog::embedded().unwrap();
        let list = catalog.schedule("openai", "gpt-5.4").unwrap();
        let resold =
            list.above_list(("shop", "gpt"), &Resale::read(None, None, Some("5.5")).unwrap()).unwrap();
        let (paid, list) = (at(&resold), at(list));
        assert_eq!(&*paid.id, format!("shop/gpt@{};+5.5%", list.id));
        let usage = Usage { input: 400_000, cached: 300, output: 2_000, ..Usage::default() };
        for tier in list.tiers() {
            let (cost, expected) = (paid.cost(&usage, tier).unwrap(), list.cost(&usage, tier).unwrap());
            assert_eq!(cost.get() * 1_000, expected.get() * 1_055, "{tier}: long inputs and tiers, too");
            assert_eq!(paid.list_cost(&usage, tier), Some(expected));
        }
    }

    #[test]
    fn a_list_price_beside_changes_nothing_that_is_charged() {
        let catalog = Catalog::embedded().unwrap();
        let list = catalog.schedule("openai", "gpt-5.4").unwrap();
        let free = written("0", "0");
        let both = free.beside(list);
        let usage = Usage { input: 10, output: 20, ..Usage::default() };
        for moment in ["2026-01-01", "2026-12-01", "2030-01-01"] {
            let moment = moment.parse().unwrap();
            let (one, other) = (both.at(moment).unwrap(), free.at(moment).unwrap());
            let tier = ServiceTier::Standard;
            assert_eq!(one.cost(&usage, tier), other.cost(&usage, tier));
            let listed = list.at(moment).map_or(Some(Pico::ZERO), |list| list.cost(&usage, tier));
            assert_eq!(one.list_cost(&usage, tier), listed);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let read = Resale::read;
        for (made, expected) in [
            (read(Some(("two words", "1")), None, None), ResaleError::Name),
            (read(Some(("", "1")), None, None), ResaleError::Name),
            (read(Some(("credit", "0")), None, None), ResaleError::Value),
            (read(Some(("credit", "-1")), None, None), ResaleError::Value),
            (read(Some(("credit", "1e-3")), None, None), ResaleError::Value),
            (read(Some(("credit", "0.0000000000001")), None, None), ResaleError::Value),
            (read(None, Some(0), None), ResaleError::PerTokens),
            (read(None, Some(1_000_001), None), ResaleError::PerTokens),
            (read(None, None, Some("-5")), ResaleError::Markup),
            (read(None, None, Some("1000.0001")), ResaleError::Markup),
            (read(None, None, Some("0.00001")), ResaleError::Markup),
        ] {
            assert_eq!(made, Err(expected));
        }
        let huge = Resale::read(Some(("gold", "1000000")), Some(1), Some("1000")).unwrap();
        assert_eq!(written("1000000", "1").resold(&huge).err(), Some(ResaleError::TooLarge));
    }
}
