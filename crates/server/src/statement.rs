//! Statements as people and programs read them: JSON, CSV, and a page to print.
//!
//! Pure: what it shows comes from the store's [`store::Statement`], and the command line renders the same sheet from the
//! gateway's JSON. Nothing here knows HTTP or a file.

mod page;
mod table;

use std::fmt;
use std::str::FromStr;

use domain::{Money, OrganizationId, Payer, ProjectId, Timestamp, Zone};
use ledger::{EntryKind, Period, Span};
use serde::{Deserialize, Serialize};
use store::{BookingLine, Statement, StatementItem, UsageLine};

/// A month of the calendar, as `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    year: u16,
    month: u8,
}

/// A text is no month.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a month; write it like 2026-11")]
pub struct MonthError(String);

impl Month {
    /// From its first moment in a time zone up to, and without, that of the next.
    pub fn span(self, zone: &Zone) -> Span {
        // The middle of a month is in this month everywhere.
        let middle = format!("{self}-15").parse().unwrap_or_default();
        Period::Monthly.around(middle, zone)
    }

    /// The month around a moment in a time zone; `None` beyond the years that can be written.
    pub fn around(at: Timestamp, zone: &Zone) -> Option<Self> {
        local(at, zone, "%Y-%m").parse().ok()
    }

    /// Its name: `November 2026`.
    pub fn name(self) -> String {
        const NAMES: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        let name = NAMES.get(usize::from(self.month).saturating_sub(1)).copied().unwrap_or_default();
        format!("{name} {}", self.year)
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let parsed = || {
            let (year, month) = text.split_once('-')?;
            let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
            if (year.len(), month.len()) != (4, 2) || !digits(year) || !digits(month) {
                return None;
            }
            let found = Self { year: year.parse().ok()?, month: month.parse().ok()? };
            // Beyond these, neighbouring months have no name or no date.
            ((1970..=9998).contains(&found.year) && (1..=12).contains(&found.month)).then_some(found)
        };
        parsed().ok_or_else(|| MonthError(text.chars().filter(|c| !c.is_control()).take(64).collect()))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl Serialize for Month {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A month's statement, ready to be shown; its JSON form is the operator API's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// Always `statement`.
    pub object: String,
    /// Whose books.
    pub organization: OrganizationId,
    /// What people call it.
    pub name: String,
    /// Which month.
    pub month: Month,
    /// The zone in which the month begins and ends, and in which dates are written.
    pub time_zone: Zone,
    /// The month's first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
    /// Whether the month was over when this was made: another statement of it will be the same.
    pub complete: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// The same in the time zone, as `2026-11-21 14:05`.
    pub created: String,
    /// The currency of every amount, by its ISO code.
    pub currency: String,
    /// What was there before, less what was owed.
    pub opening_balance: Money,
    /// What is there after it, or now.
    pub closing_balance: Money,
    /// What changed it; their amounts sum to the closing balance less the opening one.
    pub lines: Vec<Line>,
    /// What all usage costs at list price, as far as a list price is known.
    pub list_price: Money,
    /// What was paid for it, from this organization's credit.
    pub paid: Money,
    /// What each payer bore of it: the organization what was paid, all others list value. Whoever bore nothing is not
    /// named.
    pub payers: Vec<Borne>,
}

/// What one payer bore of a month's usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Borne {
    /// Who.
    pub payer: Payer,
    /// How much.
    pub amount: Money,
}

/// One line of a sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "object", rename_all = "snake_case")]
pub enum Line {
    /// One booking.
    Booking(Booking),
    /// All calls of one project for one model.
    Usage(Usage),
}

/// One booking on a sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    /// Its number in the journal.
    pub sequence: u64,
    /// When it was booked.
    pub at: Timestamp,
    /// The same in the sheet's time zone, as `2026-11-21 14:05`.
    pub date: String,
    /// What was booked.
    pub kind: EntryKind,
    /// Whether credit was given away.
    pub promotional: bool,
    /// The name of the wallet; empty for the organization's own.
    pub wallet: String,
    /// What it is about, as an id.
    pub reference: String,
    /// The payment of a top-up.
    pub payment: Option<String>,
    /// What a transfer moved.
    pub moved: Option<Money>,
    /// The name of the wallet that a transfer took it from; empty for the organization's own.
    pub moved_from: Option<String>,
    /// Who booked it.
    pub actor: Option<String>,
    /// Why; of a redemption the code.
    pub reason: Option<String>,
    /// By how much the balance changed.
    pub amount: Money,
}

/// All calls of one project for one model, on a sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The project.
    pub project: ProjectId,
    /// What people call it.
    pub project_name: Option<String>,
    /// The model that was asked for.
    pub model: String,
    /// How many calls.
    pub calls: u64,
    /// All input tokens.
    pub input_tokens: u64,
    /// The part of them that came from a provider's cache.
    pub cached_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// What all of it costs at list price, as far as a list price is known.
    pub list_price: Money,
    /// Attempts of which no list price is known.
    pub unlisted: u64,
    /// By how much the balance changed: the cost, below zero.
    pub amount: Money,
}

impl Booking {
    /// What was booked, as a heading.
    pub const fn title(&self) -> &'static str {
        page::title(self)
    }
}

impl Line {
    /// By how much the balance changed.
    pub const fn amount(&self) -> Money {
        match self {
            Self::Booking(line) => line.amount,
            Self::Usage(line) => line.amount,
        }
    }
}

impl Sheet {
    /// A statement with its dates as they are in the organization's time zone; `now` is when it is made.
    pub fn new(statement: Statement, month: Month, zone: &Zone, now: Timestamp) -> Self {
        let list_price = sum_of(&statement, |usage, _| usage.listed);
        let paid = sum_of(&statement, |_, amount| amount.checked_neg().unwrap_or_default());
        let line = |line: store::StatementLine| match line.item {
            StatementItem::Booking(item) => Line::Booking(booking(item, line.amount, zone)),
            StatementItem::Usage(item) => Line::Usage(usage(item, line.amount)),
        };
        Self {
            object: "statement".to_owned(),
            organization: statement.organization,
            name: statement.name,
            month,
            time_zone: zone.clone(),
            from: statement.span.start,
            to: statement.span.end,
            complete: statement.span.end <= now,
            created_at: now,
            created: local(now, zone, MINUTE),
            currency: statement.currency,
            opening_balance: statement.opening,
            closing_balance: statement.closing,
            list_price,
            paid,
            payers: statement.payers.into_iter().map(|(payer, amount)| Borne { payer, amount }).collect(),
            lines: statement.lines.into_iter().map(line).collect(),
        }
    }

    /// The sheet as a table for spreadsheets: RFC 4180, one head, the amounts as plain decimals. The first row has the
    /// opening balance, the last the closing one, and the column `amount` sums to their difference. Rows of the type
    /// `payer` say in the column `borne` what each payer bore of the usage.
    pub fn csv(&self) -> String {
        table::csv(self)
    }

    /// The sheet as a page that can be read, printed and kept: one file that asks for nothing else.
    pub fn html(&self) -> String {
        page::html(self)
    }

    /// The bookings, in their order.
    pub fn bookings(&self) -> impl Iterator<Item = &Booking> {
        self.lines.iter().filter_map(|line| match line {
            Line::Booking(line) => Some(line),
            Line::Usage(_) => None,
        })
    }

    /// The usage, by project and model.
    pub fn usage(&self) -> impl Iterator<Item = &Usage> {
        self.lines.iter().filter_map(|line| match line {
            Line::Usage(line) => Some(line),
            Line::Booking(_) => None,
        })
    }
}

/// A sum over the lines of usage, which the store has seen to fit.
fn sum_of(statement: &Statement, of: impl Fn(&UsageLine, Money) -> Money) -> Money {
    let usage = statement.lines.iter().filter_map(|line| match &line.item {
        StatementItem::Usage(item) => Some(of(item, line.amount)),
        StatementItem::Booking(_) => None,
    });
    Money::sum(usage).unwrap_or(Money::MAX)
}

/// How a moment is written for people.
const MINUTE: &str = "%Y-%m-%d %H:%M";

fn local(at: Timestamp, zone: &Zone, form: &str) -> String {
    jiff::Timestamp::from_microsecond(at.micros())
        .map_or_else(|_| at.to_string(), |at| at.to_zoned(zone.rules().clone()).strftime(form).to_string())
}

fn booking(line: BookingLine, amount: Money, zone: &Zone) -> Booking {
    let (moved, moved_from) = line.moved.unzip();
    let (actor, reason) =
        line.note.map(|note| (String::from(note.actor), note.reason.map(String::from))).unzip();
    Booking {
        sequence: line.sequence,
        at: line.at,
        date: local(line.at, zone, MINUTE),
        kind: line.kind,
        promotional: line.promotional,
        wallet: line.wallet,
        reference: line.reference,
        payment: line.payment,
        moved,
        moved_from,
        actor,
        reason: reason.flatten(),
        amount,
    }
}

fn usage(line: UsageLine, amount: Money) -> Usage {
    Usage {
        project: line.project,
        project_name: line.project_name,
        model: line.model,
        calls: line.calls,
        input_tokens: line.input_tokens,
        cached_tokens: line.cached_tokens,
        output_tokens: line.output_tokens,
        list_price: line.listed,
        unlisted: line.unlisted,
        amount,
    }
}

#[cfg(test)]
mod tests;
