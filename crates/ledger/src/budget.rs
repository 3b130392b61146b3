//! Budgets: caps on what is consumed in a period, by the whole organization or by a part of it.
//!
//! A budget's consumption is counted like a wallet's money: a hold reserves, a settlement books. It happens in the same
//! command as the wallet's, all or nothing over every budget that the call falls under.

use domain::{BudgetId, Money, Timestamp, Usage, Zone};
use serde::{Deserialize, Serialize};

use crate::{CostRow, Period, Span};

/// Which calls a budget counts. The order is the order of refusal: of several exhausted budgets the first is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "of", content = "which")]
pub enum Subject {
    /// All calls of the organization.
    Organization,
    /// A project's calls, by its id; `None` gives every project a budget of its own.
    Project(Option<Box<str>>),
    /// A key's calls, by its id; `None` gives every key a budget of its own.
    Key(Option<Box<str>>),
    /// An end user's calls; `None` gives every end user a budget of its own.
    User(Option<Box<str>>),
    /// Calls with a tag of this name: `feature` or `environment`; without a value every value has a budget of its own.
    Tag(Tag, Option<Box<str>>),
    /// One run of an agent or job; `None` gives every run a budget of its own (7.10).
    Run(Option<Box<str>>),
}

/// Tags that calls carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tag {
    /// The feature of the caller's product.
    Feature,
    /// The environment of the project: `dev`, `staging`, `prod`.
    Environment,
}

impl Subject {
    /// What a call is counted under: the project's, user's, … name, empty for the organization; `None` when this
    /// budget does not concern the call.
    pub fn of_call(&self, call: &CostRow) -> Option<Box<str>> {
        let attribution = &call.attribution;
        let (value, which) = match self {
            Self::Organization => return Some(Box::default()),
            Self::Project(which) => (Some(call.project.to_string().into()), which),
            Self::Key(which) => (Some(call.key.to_string().into()), which),
            Self::User(which) => (attribution.user.clone(), which),
            Self::Tag(Tag::Feature, which) => (attribution.feature.clone(), which),
            Self::Tag(Tag::Environment, which) => (Some(Box::from(&*call.environment)), which),
            Self::Run(which) => (attribution.run.clone(), which),
        };
        value.filter(|value| which.as_ref().is_none_or(|which| which == value))
    }
}

/// What is capped. At least one of them is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// Money: exact, since a hold is never below what it is held for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// Input and output tokens together. A running call counts with its estimate, so the last one may pass the cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Calls, whatever became of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
}

/// A cap on consumption. What it counts and over which period is fixed for its life; caps and thresholds may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Its id.
    pub id: BudgetId,
    /// Which calls it counts.
    pub subject: Subject,
    /// How long it lasts.
    pub period: Period,
    /// Where its days begin.
    pub zone: Zone,
    /// What is capped.
    pub caps: Caps,
    /// Whether calls are refused at the cap. A soft one only tells.
    pub hard: bool,
    /// Percentages of a cap at which its owner is told, once a period; rising, each from 1 to 100.
    pub thresholds: Vec<u8>,
}

impl Budget {
    /// What a call falls under in this budget; `None` when it does not.
    pub fn use_of(&self, call: &CostRow, at: Timestamp) -> Option<UseKey> {
        let value = self.subject.of_call(call)?;
        Some(UseKey { budget: self.id, value, start: self.span(at).start })
    }

    /// Of several budgets without room the first in this order is named.
    pub fn refusal_order(&self) -> (Subject, BudgetId) {
        (self.subject.clone(), self.id)
    }

    /// The period around a moment.
    pub fn span(&self, at: Timestamp) -> Span {
        self.period.around(at, &self.zone)
    }
}

/// One period of one budget, for one of its subjects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UseKey {
    /// The budget.
    pub budget: BudgetId,
    /// Whose consumption: a project's id, a user's name, …; empty for the organization.
    pub value: Box<str>,
    /// When the period began.
    pub start: Timestamp,
}

/// What was consumed in one period, and what running calls may still consume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// What calls cost.
    pub spent: Money,
    /// What live holds reserve.
    pub held: Money,
    /// Tokens consumed.
    pub tokens: u64,
    /// Tokens that running calls are estimated to consume.
    pub tokens_held: u64,
    /// Calls begun.
    pub steps: u64,
    /// The highest percentage that was told of, 0 for none.
    pub told: u8,
}

/// What a call consumes of its budgets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consumption {
    /// Its cost.
    pub cost: Money,
    /// Its tokens.
    pub tokens: u64,
}

impl Consumption {
    /// What these attempts consumed together; `None` when no amount can say it.
    pub fn of_rows(rows: &[CostRow]) -> Option<Self> {
        let tokens = |usage: &Usage| usage.input_total().saturating_add(usage.output_total());
        Some(Self {
            cost: Money::sum(rows.iter().map(|row| row.cost))?,
            tokens: rows.iter().fold(0, |sum, row| sum.saturating_add(tokens(&row.usage))),
        })
    }
}

/// Which of a budget's caps is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Money.
    Cost,
    /// Tokens.
    Tokens,
    /// Calls.
    Steps,
}

/// A budget that has no room for what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetBound {
    /// The budget.
    pub budget: BudgetId,
    /// Which calls it counts.
    pub subject: Subject,
    /// Whose consumption stood at the cap.
    pub value: Box<str>,
    /// Which cap.
    pub measure: Measure,
    /// The cap: an amount of money, or a count.
    pub cap: String,
    /// What is consumed and reserved of it.
    pub used: String,
    /// What the call would have added.
    pub needed: String,
    /// When the period ends; `None` if never.
    pub resets_at: Option<Timestamp>,
}

impl Use {
    /// Counts an attempt that was booked before the budget was made. Its first attempt makes it a step.
    pub fn count(&mut self, row: &CostRow) {
        let consumed = Consumption::of_rows(std::slice::from_ref(row)).unwrap_or_default();
        self.spent = self.spent.checked_add(consumed.cost).unwrap_or(Money::MAX);
        self.tokens = self.tokens.saturating_add(consumed.tokens);
        self.steps = self.steps.saturating_add(u64::from(row.attempt == 1));
    }

    /// How much money the cap leaves for holds; `None` when there is no cap.
    pub(crate) fn room(&self, caps: &Caps) -> Option<Money> {
        let taken = self.spent.checked_add(self.held).unwrap_or(Money::MAX);
        caps.cost.map(|cap| cap.checked_sub(taken).unwrap_or(Money::ZERO).max(Money::ZERO))
    }

    /// The highest of the thresholds that consumption has reached, by whichever cap is nearest to its end.
    pub(crate) fn reached(&self, budget: &Budget) -> u8 {
        let reached = |percent: u8| {
            let share = |used: i128, cap: i128| {
                // 100 * used >= percent * cap, in numbers that cannot overflow.
                used.saturating_mul(100) >= i128::from(percent).saturating_mul(cap)
            };
            let caps = &budget.caps;
            let money = |amount: Money| i128::from(amount.nano());
            caps.cost.is_some_and(|cap| share(money(self.spent), money(cap)))
                || caps.tokens.is_some_and(|cap| share(i128::from(self.tokens), i128::from(cap)))
                || caps.steps.is_some_and(|cap| share(i128::from(self.steps), i128::from(cap)))
        };
        budget.thresholds.iter().copied().filter(|percent| reached(*percent)).max().unwrap_or(0)
    }
}
