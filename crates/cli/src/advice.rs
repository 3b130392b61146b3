//! Which way to a model suits somebody (mission 8.2): two decisions from seven facts, each with its reason.
//!
//! It knows the facts and the order in which they decide; it must never know how they were told, or any provider.

use serde::Serialize;

/// What must be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Facts {
    /// Whether it is a prototype.
    pub(crate) prototype: bool,
    /// Calls a month.
    pub(crate) calls: u64,
    /// Whether strict compliance is asked for.
    pub(crate) strict_compliance: bool,
    /// Whether answers may come hours later.
    pub(crate) latency_flexible: bool,
    /// Whether there is an account at OpenAI with billing.
    pub(crate) openai_billing: bool,
    /// Whether it must be a model of OpenAI's.
    pub(crate) needs_openai_model: bool,
    /// Whether there is a card to pay with.
    pub(crate) card: bool,
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Advice {
    /// What to take.
    pub(crate) take: &'static str,
    /// The facts that decided.
    pub(crate) because: &'static str,
    /// What to do first.
    pub(crate) next_step: &'static str,
}

/// Calls a month below which a prototype may live on free routes.
const FEW: u64 = 1_000;
/// Calls a month above which budgets must hold them.
const MANY: u64 = 10_000;
/// Calls a month above which a batch is worth its wait.
const MASSES: u64 = 100_000;

/// Which route the traffic wants. The first that fits decides.
pub(crate) const fn route(facts: &Facts) -> Advice {
    if facts.prototype && facts.calls < FEW {
        Advice {
            take: "an official low-cost or free route",
            because: "a prototype of fewer than 1,000 calls a month",
            next_step: "route to a free variant or a cheap model, with data that anybody may read \
                        (contract classes \"free\" and \"free_tier\")",
        }
    } else if facts.strict_compliance {
        Advice {
            take: "the vendor directly, or a cloud marketplace",
            because: "strict compliance is asked for",
            next_step: "sign the vendor's or the cloud's terms, and write them into the contract of its provider \
                        (class \"direct\", with `terms`, `data` and `environments`)",
        }
    } else if facts.latency_flexible && facts.calls > MASSES {
        Advice {
            take: "batches",
            because: "answers may come later, and there are more than 100,000 calls a month",
            next_step: "send what can wait to the provider's batch endpoint, at about half the price; \
                        `tollkeeper prices show MODEL` has both",
        }
    } else if facts.calls > MANY {
        Advice {
            take: "a gateway with budget caps",
            because: "there are more than 10,000 calls a month",
            next_step: "give each project a monthly budget: `tollkeeper budgets set`",
        }
    } else {
        Advice {
            take: "the vendor directly, with monitoring",
            because: "there are few calls, and nothing else is asked for",
            next_step: "watch what they cost: `tollkeeper usage`, and a soft budget that tells you",
        }
    }
}

/// How to come by the access. The first that fits decides.
pub(crate) const fn access(facts: &Facts) -> Advice {
    if facts.openai_billing && facts.needs_openai_model {
        Advice {
            take: "OpenAI directly, with limits for each project",
            because: "there is billing at OpenAI, and it must be a model of OpenAI's",
            next_step: "put the key into a provider of kind \"openai\" (class \"direct\"), and limit each project: \
                        `tollkeeper limits set`",
        }
    } else if !facts.card && facts.needs_openai_model {
        Advice {
            take: "an authorised gateway that keeps logs",
            because: "it must be a model of OpenAI's, and there is no card",
            next_step: "ask for its owner, price unit, data terms, limits and support, and write them down \
                        (class \"reseller\"); without all five it gets no real data",
        }
    } else if !facts.needs_openai_model {
        Advice {
            take: "a free or low-cost model of somebody else",
            because: "it need not be a model of OpenAI's",
            next_step: "compare: `tollkeeper prices list`; or run one yourself (class \"self_hosted\")",
        }
    } else {
        Advice {
            take: "no shared key: an account of your own",
            because: "it must be a model of OpenAI's, there is a card, and there is no billing yet",
            next_step: "open an account at OpenAI and pay with the card; a key that somebody sells belongs to \
                        somebody else, and ends when they notice",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mission's text as a table, the cases in its order: the first row that matches decides. `None` is any.
    type Row = ([Option<bool>; 3], fn(u64) -> bool, &'static str);

    const ROUTES: [Row; 5] = [
        ([Some(true), None, None], |calls| calls < 1_000, "an official low-cost or free route"),
        ([None, Some(true), None], |_| true, "the vendor directly, or a cloud marketplace"),
        ([None, None, Some(true)], |calls| calls > 100_000, "batches"),
        ([None, None, None], |calls| calls > 10_000, "a gateway with budget caps"),
        ([None, None, None], |_| true, "the vendor directly, with monitoring"),
    ];
    const ACCESS: [([Option<bool>; 3], &str); 4] = [
        ([Some(true), Some(true), None], "OpenAI directly, with limits for each project"),
        ([None, Some(true), Some(false)], "an authorised gateway that keeps logs"),
        ([None, Some(false), None], "a free or low-cost model of somebody else"),
        ([None, None, None], "no shared key: an account of your own"),
    ];

    fn fits(wanted: [Option<bool>; 3], facts: [bool; 3]) -> bool {
        wanted.iter().zip(facts).all(|(wanted, fact)| wanted.is_none_or(|wanted| wanted == fact))
    }

    #[test]
    fn every_combination_of_facts_has_the_advice_of_the_table() {
        let edges = [0, 999, 1_000, 10_000, 10_001, 100_000, 100_001, u64::MAX];
        let mut taken = std::collections::BTreeMap::new();
        for (bits, calls) in (0_u8..64).flat_map(|bits| edges.map(|calls| (bits, calls))) {
            let bit = |number: u8| bits & (1 << number) != 0;
            let facts = Facts {
                prototype: bit(0),
                calls,
                strict_compliance: bit(1),
                latency_flexible: bit(2),
                openai_billing: bit(3),
                needs_openai_model: bit(4),
                card: bit(5),
            };
            let of_route = [facts.prototype, facts.strict_compliance, facts.latency_flexible];
            let (.., expected) =
                ROUTES.iter().find(|(wanted, when, _)| fits(*wanted, of_route) && when(calls)).unwrap();
            assert_eq!(route(&facts).take, *expected, "{facts:?}");
            let of_access = [facts.openai_billing, facts.needs_openai_model, facts.card];
            let (_, other) = ACCESS.iter().find(|(wanted, _)| fits(*wanted, of_access)).unwrap();
            assert_eq!(access(&facts).take, *other, "{facts:?}");
            *taken.entry(*expected).or_insert(0) += 1;
            *taken.entry(*other).or_insert(0) += 1;
        }
        assert_eq!(taken.len(), 9, "each is advised to somebody: {taken:?}");
    }
}
