//! When a wallet is recharged by itself: a pure decision over settings, state and the time.
//!
//! "Below X remaining, add Y, with a monthly maximum." Whoever asks stores the top-up that [`Decision::Charge`] calls
//! for before anything is sent, so that the next question finds it pending and one need is never charged twice.

use domain::{Money, Timestamp, TopUpId};

use crate::{Cents, CentsError, Charge, PaymentError};

const HOUR_SECONDS: i64 = 3_600;
/// How long a decline holds the next try back, by the number of declines in a row; the last one for all above.
const WAIT_SECONDS: [i64; 4] = [HOUR_SECONDS, 6 * HOUR_SECONDS, 24 * HOUR_SECONDS, 72 * HOUR_SECONDS];
/// Declines in a row after which auto-recharge switches itself off, unless its settings say otherwise.
pub const DECLINES_MAX: u32 = 4;

/// What an operator lets organizations set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The least that one recharge may add.
    pub amount_min: Money,
    /// The most that one recharge may add.
    pub amount_max: Money,
}

impl Default for Bounds {
    /// From 5 to 1,000 dollars.
    fn default() -> Self {
        Self { amount_min: Money::from_nano(5_000_000_000), amount_max: Money::from_nano(1_000_000_000_000) }
    }
}

/// What an organization wants, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    threshold: Money,
    amount: Cents,
    monthly_max: Money,
    declines_max: u32,
}

/// What is wrong with settings. Each text names its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A threshold below zero.
    #[error("threshold {0} is below zero; give the balance below which to recharge, 0 or more")]
    Threshold(Money),
    /// A threshold or maximum with a fraction of a cent.
    #[error("{field} {amount} is not in whole cents; write it with two decimals, like 25.00")]
    Fraction {
        /// The setting.
        field: &'static str,
        /// As given.
        amount: Money,
    },
    /// An amount that cannot be paid.
    #[error(transparent)]
    Amount(#[from] CentsError),
    /// An amount outside the operator's bounds.
    #[error("amount {amount} is not allowed here; it must be from {min} to {max}")]
    Bounds {
        /// As given.
        amount: Money,
        /// The least.
        min: Money,
        /// The most.
        max: Money,
    },
    /// A maximum that would never let a charge happen.
    #[error("monthly_max {monthly_max} is less than one recharge of {amount}; give at least the amount")]
    MonthlyMax {
        /// As given.
        monthly_max: Money,
        /// What one recharge adds.
        amount: Money,
    },
}

impl Settings {
    /// Checks what an organization asks for: recharge below `threshold` by `amount`, at most `monthly_max` a month.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    pub fn new(
        threshold: Money,
        amount: Money,
        monthly_max: Money,
        bounds: &Bounds,
    ) -> Result<Self, Vec<SettingsError>> {
        let mut errors = Vec::new();
        if threshold.is_negative() {
            errors.push(SettingsError::Threshold(threshold));
        }
        for (field, value) in [("threshold", threshold), ("monthly_max", monthly_max)] {
            if has_fraction(value) {
                errors.push(SettingsError::Fraction { field, amount: value });
            }
        }
        let (min, max) = (bounds.amount_min, bounds.amount_max);
        if !(min..=max).contains(&amount) {
            errors.push(SettingsError::Bounds { amount, min, max });
        }
        if monthly_max < amount {
            errors.push(SettingsError::MonthlyMax { monthly_max, amount });
        }
        match Cents::try_from(amount) {
            Ok(amount) if errors.is_empty() => {
                Ok(Self { threshold, amount, monthly_max, declines_max: DECLINES_MAX })
            }
            Ok(_) => Err(errors),
            Err(error) => {
                errors.push(error.into());
                Err(errors)
            }
        }
    }

    /// The same, but switched off after another number of declines in a row; at least one.
    #[must_use]
    pub fn with_declines_max(self, declines_max: u32) -> Self {
        Self { declines_max: declines_max.max(1), ..self }
    }

    /// The balance below which to recharge.
    pub const fn threshold(&self) -> Money {
        self.threshold
    }

    /// What one recharge adds.
    pub const fn amount(&self) -> Cents {
        self.amount
    }

    /// What all recharges of one month may add.
    pub const fn monthly_max(&self) -> Money {
        self.monthly_max
    }
}

fn has_fraction(amount: Money) -> bool {
    matches!(Cents::try_from(amount), Err(CentsError::Fraction(_)))
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The recharge that is under way, if one is.
    pub pending: Option<TopUpId>,
    /// What recharges brought since the month began, pending ones included, in the organization's time zone.
    pub charged_this_month: Money,
    /// Declines since the last recharge that worked, or since the customer changed the payment method or the settings.
    /// One for each top-up that became declined: the answer to a charge and a webhook both tell of it. A provider that
    /// does not carry out the request, such as one that refuses our key, declines nothing.
    pub declines: u32,
    /// When the last of them was; without meaning when there was none.
    pub last_decline_at: Timestamp,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is credit enough.
    Nothing,
    /// Charge this much, as a new top-up.
    Charge {
        /// How much.
        amount: Cents,
    },
    /// Not now.
    Wait {
        /// When to ask again; `None` when something else will tell, such as a webhook.
        until: Option<Timestamp>,
        /// Why.
        reason: WaitReason,
    },
    /// The month's maximum has no room for another recharge. A smaller one is not made: it would be no warning and
    /// soon no help.
    MonthlyMaximumReached,
    /// The payment method was declined too often; a person has to look after it. Deserves an alert, once.
    SwitchedOff {
        /// Declines in a row.
        declines: u32,
    },
}

/// Why a recharge has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// Another one is under way.
    Pending(TopUpId),
    /// The last one was declined.
    Declined {
        /// Declines in a row.
        declines: u32,
    },
}

/// Whether to recharge a wallet that has `available` left (its balance without what is held, less its debt).
pub fn decide(settings: &Settings, state: &State, available: Money, now: Timestamp) -> Decision {
    if available >= settings.threshold {
        return Decision::Nothing;
    }
    // First of all: while one charge is undecided, a second could pay for the same need.
    if let Some(topup) = state.pending {
        return Decision::Wait { until: None, reason: WaitReason::Pending(topup) };
    }
    if state.declines >= settings.declines_max {
        return Decision::SwitchedOff { declines: state.declines };
    }
    if let Some(until) = retry_at(state).filter(|until| now < *until) {
        return Decision::Wait {
            until: Some(until),
            reason: WaitReason::Declined { declines: state.declines },
        };
    }
    let amount = settings.amount;
    match state.charged_this_month.checked_add(amount.money()) {
        Some(total) if total <= settings.monthly_max => Decision::Charge { amount },
        Some(_) | None => Decision::MonthlyMaximumReached,
    }
}

/// What the answer to a charge means for its top-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Stay pending: a webhook will tell, or [`crate::PaymentProvider::find_charge`] later.
    Await,
    /// Stay pending, and send the same request again soon.
    Repeat,
    /// The same, and tell a person: this try was not carried out, as with a wrong key. An earlier one may have been, if
    /// its answer was lost, so that this says nothing about the money.
    Refused,
    /// The provider does not know whom to charge: forget them, so that no other recharge begins, and end this one. What
    /// an earlier try may have taken is not taken again.
    PayerGone,
    /// No money comes. The top-up is declined and counts as a decline, once: a webhook tells of it as well.
    Declined {
        /// The reason as a word.
        code: String,
        /// The reason as a sentence.
        message: String,
    },
}

/// What to do after a charge was answered. Only the provider's own word makes a decline: an error says nothing of what
/// an earlier try came to, and a wrong key is not the customer's. While it is pending, no other is begun in its place.
pub fn next(answer: &Result<Charge, PaymentError>) -> Next {
    match answer {
        Ok(Charge::Succeeded { .. } | Charge::Pending { .. }) => Next::Await,
        Ok(Charge::Declined { code, message }) => {
            Next::Declined { code: code.clone(), message: message.clone() }
        }
        Err(error) if error.retryable() => Next::Repeat,
        Err(error) if error.may_have_charged() => Next::Await,
        Err(PaymentError::UnknownPayer(_)) => Next::PayerGone,
        Err(_) => Next::Refused,
    }
}

/// When a declined payment method is tried again; `None` without a decline.
fn retry_at(state: &State) -> Option<Timestamp> {
    let index = usize::try_from(state.declines).unwrap_or(usize::MAX).checked_sub(1)?;
    let wait = WAIT_SECONDS.get(index).or(WAIT_SECONDS.last())?;
    Some(state.last_decline_at.plus_seconds(*wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn settings() -> Settings {
        Settings::new(money("10"), money("25"), money("100"), &Bounds::default()).unwrap()
    }

    /// One row: what is left, what the month had, declines in a row and how long ago the last was, and the decision.
    fn check(available: &str, charged: &str, declines: (u32, i64), declines_max: u32, expected: Decision) {
        let state = State {
            pending: None,
            charged_this_month: money(charged),
            declines: declines.0,
            last_decline_at: NOW.plus_seconds(0_i64.saturating_sub(declines.1)),
        };
        let settings = settings().with_declines_max(declines_max);
        let decision = decide(&settings, &state, money(available), NOW);
        assert_eq!(
            decision, expected,
            "{available} left, {charged} charged, {declines:?}, off at {declines_max}"
        );
        // Whatever else is true, a pending recharge is never joined by another.
        let topup = TopUpId::from_bytes([3; 16]);
        let pending = decide(&settings, &State { pending: Some(topup), ..state }, money(available), NOW);
        let waits = Decision::Wait { until: None, reason: WaitReason::Pending(topup) };
        assert_eq!(pending, if expected == Decision::Nothing { expected } else { waits });
    }

    #[test]
    fn decisions() {
        let charge = Decision::Charge { amount: Cents::try_from(money("25")).unwrap() };
        let wait = |declines, seconds| Decision::Wait {
            until: Some(NOW.plus_seconds(seconds)),
            reason: WaitReason::Declined { declines },
        };
        let off = |declines| Decision::SwitchedOff { declines };
        let full = Decision::MonthlyMaximumReached;
        for (available, charged, declines, declines_max, expected) in [
            // The threshold itself is enough.
            ("10", "0", (0, 0), 4, Decision::Nothing),
            ("10.000000001", "100", (9, 0), 4, Decision::Nothing),
            ("9.999999999", "0", (0, 0), 4, charge),
            ("0", "0", (0, 0), 4, charge),
            ("-3", "0", (0, 0), 4, charge),
            // The month: the last whole recharge fits exactly, no smaller one is made.
            ("0", "75", (0, 0), 4, charge),
            ("0", "75.01", (0, 0), 4, full),
            ("0", "100", (0, 0), 4, full),
            ("0", "250", (0, 0), 4, full),
            ("0", "9223372036.854775807", (0, 0), 4, full),
            // Declines: 1 h, 6 h, 24 h, then off.
            ("0", "0", (1, 0), 4, wait(1, 3_600)),
            ("0", "0", (1, 3_599), 4, wait(1, 1)),
            ("0", "0", (1, 3_600), 4, charge),
            ("0", "0", (2, 3_600), 4, wait(2, 5 * 3_600)),
            ("0", "0", (2, 6 * 3_600), 4, charge),
            ("0", "0", (3, 23 * 3_600), 4, wait(3, 3_600)),
            ("0", "0", (3, 24 * 3_600), 4, charge),
            ("0", "0", (4, 0), 4, off(4)),
            ("0", "0", (4, 365 * 86_400), 4, off(4)),
            ("0", "0", (u32::MAX, 0), 4, off(u32::MAX)),
            // Where more declines are allowed, the wait stays at 72 h.
            ("0", "0", (4, 71 * 3_600), 6, wait(4, 3_600)),
            ("0", "0", (5, 71 * 3_600), 6, wait(5, 3_600)),
            ("0", "0", (5, 72 * 3_600), 6, charge),
            ("0", "0", (6, 72 * 3_600), 6, off(6)),
            // None allowed means one.
            ("0", "0", (0, 0), 0, charge),
            ("0", "0", (1, 99 * 3_600), 0, off(1)),
            // A decline in the future (the clock stepped back) holds back as well; the month is looked at afterwards.
            ("0", "0", (1, -60), 4, wait(1, 3_660)),
            ("0", "100", (1, 0), 4, wait(1, 3_600)),
            ("0", "100", (1, 3_600), 4, full),
        ] {
            check(available, charged, declines, declines_max, expected);
        }
    }

    #[test]
    fn every_answer_has_one_meaning() {
        let rejected = |status, retry| {
            let (code, message) = ("word".to_owned(), "text".to_owned());
            Err(PaymentError::Rejected { status, code, message, retry })
        };
        let unreachable = |sent| Err(PaymentError::Unreachable { reason: "gone", sent });
        let declined =
            |code: &str, message: &str| Next::Declined { code: code.to_owned(), message: message.to_owned() };
        let payment = || "pi_1".to_owned();
        let no = Charge::Declined { code: "no".to_owned(), message: "No.".to_owned() };
        for (answer, expected) in [
            (Ok(Charge::Succeeded { payment: payment() }), Next::Await),
            (Ok(Charge::Pending { payment: payment() }), Next::Await),
            (Ok(no), declined("no", "No.")),
            (unreachable(true), Next::Repeat),
            (unreachable(false), Next::Repeat),
            (Err(PaymentError::Garbage("html")), Next::Repeat),
            (rejected(429, true), Next::Repeat),
            (rejected(409, true), Next::Repeat),
            (rejected(503, true), Next::Repeat),
            (rejected(500, false), Next::Await),
            (rejected(409, false), Next::Await),
            // No answer of these says what became of an earlier try.
            (rejected(400, false), Next::Refused),
            (rejected(401, false), Next::Refused),
            (rejected(403, false), Next::Refused),
            (rejected(404, false), Next::Refused),
            (Err(PaymentError::Impossible("never")), Next::Refused),
            (Err(PaymentError::UnknownPayer("cus_1".to_owned())), Next::PayerGone),
        ] {
            assert_eq!(next(&answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn settings_tell_every_mistake_by_its_field() {
        for (threshold, amount, monthly_max, expected) in [
            ("0", "5", "5", &[][..]),
            ("10.50", "1000", "5000.01", &[]),
            ("-1", "25", "100", &["threshold -1.00 is below zero"]),
            ("0.001", "25", "100", &["threshold 0.001 is not in whole cents"]),
            ("0", "25", "100.001", &["monthly_max 100.001 is not in whole cents"]),
            ("0", "4.99", "100", &["amount 4.99 is not allowed here; it must be from 5.00 to 1000.00"]),
            ("0", "1000.01", "5000", &["amount 1000.01 is not allowed"]),
            ("0", "25.001", "100", &["amount 25.001 is not in whole cents"]),
            ("0", "25", "24.99", &["monthly_max 24.99 is less than one recharge of 25.00"]),
            (
                "-1",
                "2000.001",
                "1",
                &["threshold -1.00", "amount 2000.001 is not allowed", "monthly_max 1.00", "whole cents"],
            ),
        ] {
            let result =
                Settings::new(money(threshold), money(amount), money(monthly_max), &Bounds::default());
            let errors = result.err().unwrap_or_default();
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(texts.len(), expected.len(), "{threshold} {amount} {monthly_max}: {texts:?}");
            for (text, part) in texts.iter().zip(expected) {
                assert!(text.contains(part), "{text:?} lacks {part:?}");
            }
        }
    }
}
