//! How one call is paid for at one target: by money, by a pool that pays before money does, or by the caller's own
//! account at the provider, of which the gateway takes a fee.
//!
//! Arithmetic on prices and usages: exact, rounded up once. It knows no ledger and no route.

use domain::{AccessClass, Money, Payer, Pico, Price, ServiceTier, Timestamp, Usage};
use ledger::{Cover, Part, PoolKey};
use pricing::{Bounds, PriceVersion};

/// How a call is paid for at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Funding {
    /// How the access was come by.
    pub(crate) class: AccessClass,
    /// The pool that pays before money does.
    pub(crate) pool: Option<PoolShare>,
    /// What is charged in place of the price: so many thousandths of it.
    pub(crate) fee_permille: Option<u16>,
}

/// One period of a pool, as a call finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PoolShare {
    pub(crate) key: PoolKey,
    pub(crate) cap: u64,
    pub(crate) unit: Unit,
    /// When the period ends.
    pub(crate) ends: Timestamp,
}

/// What a pool counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Attempts that are sent, whatever becomes of them.
    Attempt,
    /// Tokens, input before output.
    Token,
    /// Calls that consumed something.
    Call,
    /// What calls are worth at list price, in nano-units.
    ListNano,
}

/// What an attempt is charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    /// The exact cost, in pico-units, before a pool pays.
    pub(crate) pico: i64,
    /// The same in money.
    pub(crate) amount: Money,
    /// What was consumed is worth so much at list price, in pico-units.
    pub(crate) list_pico: Option<i64>,
    /// What of it a pool may pay for.
    pub(crate) parts: Vec<Part>,
}

impl Charge {
    /// Nothing at all.
    pub(crate) const NOTHING: Self =
        Self { pico: 0, amount: Money::ZERO, list_pico: None, parts: Vec::new() };
}

impl Funding {
    /// By the price alone.
    pub(crate) const fn by_price(class: AccessClass) -> Self {
        Self { class, pool: None, fee_permille: None }
    }

    /// What a usage is charged at a price and a service tier; `None` when no such cost can be booked.
    pub(crate) fn charge(&self, price: &PriceVersion, usage: &Usage, tier: ServiceTier) -> Option<Charge> {
        let listed = price.list_cost(usage, tier);
        // The fee is one on what others pay.
        let exact = if self.fee_permille.is_some() { listed? } else { price.cost(usage, tier)? };
        let charged = self.of_value(exact)?;
        Some(Charge {
            pico: i64::try_from(charged.get()).ok()?,
            amount: charged.ceil_to_money()?,
            list_pico: listed.and_then(|listed| i64::try_from(listed.get()).ok()),
            parts: self.parts(price, usage, tier, exact),
        })
    }

    /// What is charged for something that costs so much by its price: that, or the fee on it. The fee is on whole
    /// nano-units, as a bill shows them.
    fn of_value(&self, exact: Pico) -> Option<Pico> {
        let Some(permille) = self.fee_permille else { return Some(exact) };
        // A thousandth of a nano-unit is a pico-unit.
        let nano = i128::from(exact.ceil_to_money()?.nano());
        nano.checked_mul(i128::from(permille)).map(Pico::new)
    }

    /// The most that is charged within these bounds; `None` when no amount can say it.
    pub(crate) fn ceiling(&self, price: &PriceVersion, bounds: &Bounds, tier: ServiceTier) -> Option<Money> {
        self.of_value(price.ceiling(bounds, tier)?)?.ceil_to_money()
    }

    /// What of that the pool may pay for.
    pub(crate) fn ceiling_parts(
        &self,
        price: &PriceVersion,
        bounds: &Bounds,
        tier: ServiceTier,
    ) -> Vec<Part> {
        match self.unit() {
            None | Some(Unit::Attempt) => Vec::new(),
            Some(Unit::Token) => priced(price.token_ceiling(bounds, tier)),
            Some(Unit::Call | Unit::ListNano) => {
                price.ceiling(bounds, tier).map_or_else(Vec::new, |most| self.fee_parts(most))
            }
        }
    }

    /// What of a usage the pool may pay for.
    fn parts(&self, price: &PriceVersion, usage: &Usage, tier: ServiceTier, exact: Pico) -> Vec<Part> {
        match self.unit() {
            None => Vec::new(),
            Some(Unit::Attempt) => vec![Part { units: 1, unit_pico: 0 }],
            Some(Unit::Token) => priced(price.token_parts(usage, tier)),
            Some(Unit::Call | Unit::ListNano) => self.fee_parts(exact),
        }
    }

    /// The fee on what is worth so much, as a pool of calls or of value may spare it.
    fn fee_parts(&self, exact: Pico) -> Vec<Part> {
        let nano = exact.ceil_to_money().map_or(0, Money::nano);
        let permille = i64::from(self.fee_permille.unwrap_or(0));
        let part = match self.unit() {
            Some(Unit::ListNano) => Part { units: nano.unsigned_abs(), unit_pico: permille },
            _ => Part { units: 1, unit_pico: nano.saturating_mul(permille) },
        };
        // What consumed nothing is no call that a pool need pay for.
        if nano == 0 { Vec::new() } else { vec![part] }
    }

    /// Who pays, as far as that can be told before a call: of tokens that a pool may pay for its provider, and the
    /// organization for what is left.
    pub(crate) fn payers(&self) -> (Payer, Option<Payer>) {
        match (self.class.payer(), self.unit()) {
            (Payer::Organization, Some(Unit::Token)) => (Payer::Provider, Some(Payer::Organization)),
            (payer, _) => (payer, None),
        }
    }

    fn unit(&self) -> Option<Unit> {
        self.pool.as_ref().map(|pool| pool.unit)
    }

    /// Whether a pool pays for a call whatever it costs.
    pub(crate) fn counts_calls(&self) -> bool {
        self.unit() == Some(Unit::Call)
    }

    /// Whether each attempt takes from a pool, and there is none without.
    pub(crate) fn is_strict(&self) -> bool {
        self.unit() == Some(Unit::Attempt)
    }

    /// What a row says of the pool.
    pub(crate) fn cover(&self, parts: Vec<Part>) -> Option<Box<Cover>> {
        let PoolShare { key, cap, .. } = self.pool.as_ref()?;
        Some(Box::new(Cover { key: key.clone(), cap: *cap, strict: self.is_strict(), parts, units: 0 }))
    }

    /// Whether money that is held for the one is as good for the other: they are paid for in the same way.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let key = |funding: &Self| funding.pool.as_ref().map(|pool| pool.key.clone());
        self.fee_permille == other.fee_permille && key(self) == key(other)
    }
}

/// Tokens with their prices, as parts.
fn priced(tokens: impl IntoIterator<Item = (u64, Price)>) -> Vec<Part> {
    let part = |(units, price): (u64, Price)| {
        // A price that is larger than a part can say is no price of a token.
        Part { units, unit_pico: i64::try_from(price.pico()).unwrap_or(i64::MAX) }
    };
    tokens.into_iter().filter(|(units, _)| *units > 0).map(part).collect()
}
