//! Statements: what an organization had, what changed it line by line, and what it has after.
//!
//! Knows the journal and the cost rows. Must never know how a statement looks nor what a month is: it gets a span. The
//! lines sum exactly to the change of the balance, or there is no statement.

use std::collections::{BTreeMap, HashMap};

use domain::{
    AccessClass, LotId, Money, OrganizationId, Payer, Pico, ProjectId, RequestId, Timestamp, WalletId,
};
use ledger::{Account, Entry, EntryKind, Note, Span};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::columns::{class_from_text, tokens};
use crate::reader::{ENTRY, Reader, read_entry};
use crate::{StoreError, books};

/// An organization's money over a span of time, by the stamps of its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Whose books.
    pub organization: OrganizationId,
    /// What people call it.
    pub name: String,
    /// The currency of every amount, by its ISO code.
    pub currency: String,
    /// The time it is about.
    pub span: Span,
    /// What remained in all wallets less what they owed, before the span.
    pub opening: Money,
    /// The same after it, or now, while the span lasts.
    pub closing: Money,
    /// What changed it: bookings in the journal's order, then usage by project and model. Sums to `closing - opening`.
    pub lines: Vec<StatementLine>,
    /// What each payer bore of the usage; those who bore nothing are not named. What the organization bore is what the
    /// lines of usage took; what others bore is list value, as far as a list price is known.
    pub payers: Vec<(Payer, Money)>,
}

/// One line of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementLine {
    /// What the line is about.
    pub item: StatementItem,
    /// By how much it changed the balance; below zero for what was taken.
    pub amount: Money,
}

/// What a line of a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementItem {
    /// One entry of the journal that is no call's.
    Booking(BookingLine),
    /// All settled calls of one project for one model, of one app or of none.
    Usage(UsageLine),
}

/// One entry of the journal that is no call's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookingLine {
    /// Its number in the journal.
    pub sequence: u64,
    /// When it was booked.
    pub at: Timestamp,
    /// What was booked.
    pub kind: EntryKind,
    /// Whether the credit was given away, and not paid for.
    pub promotional: bool,
    /// What it is about, as an id: the call of a refund, else a lot, a payout or a correction.
    pub reference: String,
    /// The payment of a top-up, as `provider:its id`.
    pub payment: Option<String>,
    /// The name of the wallet it concerns; empty for the organization's own.
    pub wallet: String,
    /// What a transfer moved and the name of the wallet that gave it.
    pub moved: Option<(Money, String)>,
    /// Who booked it and why; a redemption's reason is its code.
    pub note: Option<Note>,
}

/// All settled calls of one project for one model, of one app or of none. A call counts where it was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageLine {
    /// The project.
    pub project: ProjectId,
    /// What people call it; `None` when it is not on record.
    pub project_name: Option<String>,
    /// The model that was asked for.
    pub model: String,
    /// The app that called, at its user's expense.
    pub app: Option<String>,
    /// How many calls, failed ones included.
    pub calls: u64,
    /// All input tokens.
    pub input_tokens: u64,
    /// The part of them that came from a provider's cache.
    pub cached_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// What all of it costs at list price, each attempt rounded up as a charge is.
    pub listed: Money,
    /// Attempts of which no list price is known, and which are not in that sum.
    pub unlisted: u64,
}

/// Why there is no statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The books are not what they should be.
    #[error(
        "the lines of {organization} sum to {lines}, and its balance changed by {change}; run `tollkeeper verify`"
    )]
    DoesNotAddUp {
        /// Whose books.
        organization: OrganizationId,
        /// What the lines say.
        lines: Money,
        /// What the balances say.
        change: Money,
    },
    /// A sum of lines that no amount can say.
    #[error("the lines of {0} sum to more than an amount can hold; run `tollkeeper verify`")]
    Overflow(OrganizationId),
}

impl Reader {
    /// An organization's statement over a span; `None` when there is no such organization. Reads the span's entries one
    /// by one, so that only the lines are held in memory.
    ///
    /// # Errors
    /// When the database cannot be read, or the lines would not sum to the change of the balance.
    pub fn statement(
        &self,
        organization: OrganizationId,
        span: Span,
    ) -> Result<Option<Statement>, StatementError> {
        let found = self.read(|connection| collect(connection, organization, span))?;
        if let Some(statement) = &found {
            statement.check()?;
        }
        Ok(found)
    }
}

impl Statement {
    /// By how much the balance changed; `None` when no amount can say it.
    pub fn change(&self) -> Option<Money> {
        self.closing.checked_sub(self.opening)
    }

    fn check(&self) -> Result<(), StatementError> {
        let organization = self.organization;
        let lines = Money::sum(self.lines.iter().map(|line| line.amount));
        match lines.zip(self.change()) {
            Some((lines, change)) if lines == change => Ok(()),
            Some((lines, change)) => Err(StatementError::DoesNotAddUp { organization, lines, change }),
            None => Err(StatementError::Overflow(organization)),
        }
    }
}

/// Entries of the journal by their numbers, from the first up to, and without, the last.
struct Range {
    organization: OrganizationId,
    first: i64,
    end: i64,
}

fn collect(
    connection: &Connection,
    organization: OrganizationId,
    span: Span,
) -> Result<Option<Statement>, StoreError> {
    let name: Option<String> = connection
        .prepare_cached("SELECT name FROM organization WHERE id = ?1")?
        .query_row([organization.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(name) = name else { return Ok(None) };
    let books = books::load(connection, organization)?.ok_or(StoreError::Unreadable("organization.books"))?;
    let entries = i64::try_from(books.sequence).map_err(|_| StoreError::Unreadable("books.sequence"))?;
    let first = first_from(connection, organization, entries, span.start)?;
    let end = first_from(connection, organization, entries, span.end)?;
    let range = Range { organization, first, end };
    let mut lines = bookings(connection, &range)?;
    let (used, payers) = usage(connection, &range)?;
    lines.extend(used);
    Ok(Some(Statement {
        organization,
        name,
        currency: currency(connection, organization)?,
        span,
        opening: balance_before(connection, organization, first)?,
        closing: balance_before(connection, organization, end)?,
        lines,
        payers,
    }))
}

/// The number of the first entry at or after a moment, one more than the last when there is none. Stamps rise with the
/// numbers, so halving finds it without an index on time.
fn first_from(
    connection: &Connection,
    organization: OrganizationId,
    entries: i64,
    moment: Timestamp,
) -> Result<i64, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT at FROM journal WHERE organization = ?1 AND sequence = ?2")?;
    let (mut low, mut high) = (1, entries + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let at: i64 = statement.query_row(params![organization.as_bytes(), middle], |row| row.get(0))?;
        if at < moment.micros() { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

fn balance_before(
    connection: &Connection,
    organization: OrganizationId,
    sequence: i64,
) -> Result<Money, StoreError> {
    if sequence <= 1 {
        return Ok(Money::ZERO);
    }
    let mut statement =
        connection.prepare_cached("SELECT balance FROM journal WHERE organization = ?1 AND sequence = ?2")?;
    let nano = statement.query_row(params![organization.as_bytes(), sequence - 1], |row| row.get(0))?;
    Ok(Money::from_nano(nano))
}

fn currency(connection: &Connection, organization: OrganizationId) -> Result<String, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT DISTINCT currency FROM wallet WHERE organization = ?1")?;
    let found = statement.query_map([organization.as_bytes()], |row| row.get(0))?;
    let mut found: Vec<String> = found.collect::<Result<_, _>>()?;
    // One net over all wallets means something in one currency alone.
    match (found.pop(), found.is_empty()) {
        (Some(currency), true) => Ok(currency),
        _ => Err(StoreError::Unreadable("wallet.currency")),
    }
}

/// Everything but calls that changed the balance, and transfers, which move it from one wallet to another.
fn bookings(connection: &Connection, range: &Range) -> Result<Vec<StatementLine>, StoreError> {
    let wallets = wallet_names(connection, range.organization)?;
    let mut payments = None;
    let sql = format!(
        "SELECT {ENTRY} FROM journal
         WHERE organization = ?1 AND sequence >= ?2 AND sequence < ?3 AND kind <> ?4 ORDER BY sequence"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let settle = EntryKind::Settle.code();
    let mut rows = statement.query(params![range.organization.as_bytes(), range.first, range.end, settle])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let entry = read_entry(row)?;
        let amount = entry.net_change().ok_or(StoreError::Unreadable("journal.legs"))?;
        if amount.is_zero() && entry.kind != EntryKind::Transfer {
            continue;
        }
        if entry.kind == EntryKind::TopUp && payments.is_none() {
            payments = Some(payments_of(connection, range)?);
        }
        let payment = payments.as_mut().and_then(|known| known.remove(&entry.sequence));
        let line = booking(connection, entry, payment, &wallets)?;
        lines.push(StatementLine { item: StatementItem::Booking(line), amount });
    }
    Ok(lines)
}

fn booking(
    connection: &Connection,
    entry: Entry,
    payment: Option<String>,
    wallets: &HashMap<WalletId, String>,
) -> Result<BookingLine, StoreError> {
    let named = |wallet| wallets.get(&wallet).cloned().ok_or(StoreError::Unreadable("journal.wallet"));
    let moved = if entry.kind == EntryKind::Transfer { moved(connection, &entry)? } else { None };
    let reference = match entry.kind {
        EntryKind::Refund | EntryKind::Settle => RequestId::from_bytes(entry.reference).to_string(),
        EntryKind::Grant
        | EntryKind::TopUp
        | EntryKind::Redeem
        | EntryKind::Transfer
        | EntryKind::Expire
        | EntryKind::PayDebt
        | EntryKind::PayOut
        | EntryKind::Adjust => LotId::from_bytes(entry.reference).to_string(),
    };
    Ok(BookingLine {
        sequence: entry.sequence,
        at: entry.at,
        kind: entry.kind,
        promotional: entry.legs.iter().any(|leg| leg.account == Account::PromoExpense),
        reference,
        payment,
        wallet: named(entry.wallet)?,
        moved: moved.map(|(amount, giver)| Ok::<_, StoreError>((amount, named(giver)?))).transpose()?,
        note: entry.note,
    })
}

/// What a transfer moved, and the wallet that gave it: all lots that pay for one lie in one wallet.
fn moved(connection: &Connection, entry: &Entry) -> Result<Option<(Money, WalletId)>, StoreError> {
    let Some(first) = entry.draws().next() else { return Ok(None) };
    let amount = Money::sum(entry.draws().map(|draw| draw.amount));
    let giver = connection
        .prepare_cached("SELECT wallet FROM lot WHERE organization = ?1 AND id = ?2")?
        .query_row(params![entry.organization.as_bytes(), first.lot.as_bytes()], |row| row.get(0))?;
    let amount = amount.ok_or(StoreError::Unreadable("journal.legs"))?;
    Ok(Some((amount, WalletId::from_bytes(giver))))
}

fn wallet_names(
    connection: &Connection,
    organization: OrganizationId,
) -> Result<HashMap<WalletId, String>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, name FROM wallet WHERE organization = ?1")?;
    let names = statement
        .query_map([organization.as_bytes()], |row| Ok((WalletId::from_bytes(row.get(0)?), row.get(1)?)))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn payments_of(connection: &Connection, range: &Range) -> Result<HashMap<u64, String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT entry, payment FROM payment WHERE organization = ?1 AND entry >= ?2 AND entry < ?3",
    )?;
    let key = params![range.organization.as_bytes(), range.first, range.end];
    let found = statement.query_map(key, |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The sums of one line of usage.
#[derive(Default)]
struct Sum {
    calls: u64,
    last_entry: i64,
    input: u64,
    cached: u64,
    output: u64,
    cost: Money,
    listed: Money,
    unlisted: u64,
}

impl Sum {
    /// Counts one attempt's money.
    fn charge(&mut self, spent: &Spent) -> Option<()> {
        self.cost = self.cost.checked_add(spent.cost)?;
        self.listed = self.listed.checked_add(spent.listed.unwrap_or_default())?;
        self.unlisted += u64::from(spent.listed.is_none());
        Some(())
    }
}

/// The money of one attempt.
struct Spent {
    class: AccessClass,
    cost: Money,
    /// Its list price, rounded up as a charge is.
    listed: Option<Money>,
    /// Whether a pool paid for a part of it.
    pooled: bool,
    /// Whether it went by a key of the caller's or the end user's own: such calls alone draw on the pool of those without
    /// a fee. An end user's may also go by the gateway's key, at the expense of a wallet here.
    own_key: bool,
}

impl Spent {
    /// Who bore what the organization did not, and how much at list price. Whoever brings a key or a session bears all
    /// of it at a provider of their own: what the organization pays beside that is a fee.
    fn elsewhere(&self) -> Option<(Payer, Money)> {
        let listed = self.listed?;
        let rest = listed.checked_sub(self.cost)?.max(Money::ZERO);
        match self.class.payer() {
            Payer::Organization => self.pooled.then_some((Payer::Provider, rest)),
            payer @ (Payer::Caller | Payer::EndUser) => self.own_key.then_some((payer, listed)),
            payer @ (Payer::Provider | Payer::Operator) => Some((payer, rest)),
        }
    }
}

/// What was used, line by line, and what each payer bore of it.
type Used = (Vec<StatementLine>, Vec<(Payer, Money)>);

/// What calls cost: their cost rows, by the entries that settled them.
fn usage(connection: &Connection, range: &Range) -> Result<Used, StoreError> {
    // CROSS JOIN fixes the order: the journal's range from end to end, and the rows of each request by their key.
    let mut statement = connection.prepare_cached(
        "SELECT journal.sequence, cost_row.project, cost_row.model,
           cost_row.input_tokens + cost_row.cached_tokens + cost_row.cache_write_tokens
             + cost_row.cache_write_long_tokens + cost_row.audio_input_tokens + cost_row.image_input_tokens,
           cost_row.cached_tokens,
           cost_row.output_tokens + cost_row.audio_output_tokens + cost_row.image_output_tokens, cost_row.cost,
           cost_row.class, cost_row.list_pico, coalesce(cost_row.pool_units, 0),
           cost_row.app, cost_row.pool IS NOT NULL
         FROM journal CROSS JOIN cost_row
           ON cost_row.organization = journal.organization AND cost_row.request = journal.reference
         WHERE journal.organization = ?1 AND journal.sequence >= ?2 AND journal.sequence < ?3 AND journal.kind = ?4
         ORDER BY journal.sequence",
    )?;
    let settle = EntryKind::Settle.code();
    let mut rows = statement.query(params![range.organization.as_bytes(), range.first, range.end, settle])?;
    let mut sums: BTreeMap<(ProjectId, String, Option<String>), Sum> = BTreeMap::new();
    let mut borne: BTreeMap<Payer, Money> = BTreeMap::new();
    let too_much = || StoreError::Unreadable("sum of cost_row.cost");
    while let Some(row) = rows.next()? {
        let key = (ProjectId::from_bytes(row.get(1)?), row.get(2)?, row.get(10)?);
        let sum = sums.entry(key).or_default();
        let entry: i64 = row.get(0)?;
        // The rows of a call with several attempts follow each other.
        if sum.last_entry != entry {
            sum.calls += 1;
            sum.last_entry = entry;
        }
        sum.input = sum.input.saturating_add(tokens(row, 3)?);
        sum.cached = sum.cached.saturating_add(tokens(row, 4)?);
        sum.output = sum.output.saturating_add(tokens(row, 5)?);
        let spent = spent(row)?;
        sum.charge(&spent).ok_or_else(too_much)?;
        for (payer, amount) in [(Payer::Organization, spent.cost)].into_iter().chain(spent.elsewhere()) {
            let all = borne.entry(payer).or_default();
            *all = all.checked_add(amount).ok_or_else(too_much)?;
        }
    }
    borne.retain(|_, amount| !amount.is_zero());
    Ok((named(connection, range, sums)?, borne.into_iter().collect()))
}

/// The lines of these sums, with their projects' names.
fn named(
    connection: &Connection,
    range: &Range,
    sums: BTreeMap<(ProjectId, String, Option<String>), Sum>,
) -> Result<Vec<StatementLine>, StoreError> {
    let names = project_names(connection, range.organization)?;
    let line = |((project, model, app), sum): ((ProjectId, String, Option<String>), Sum)| {
        let amount = sum.cost.checked_neg().ok_or(StoreError::Unreadable("sum of cost_row.cost"))?;
        let usage = UsageLine {
            project,
            project_name: names.get(&project).cloned(),
            model,
            app,
            calls: sum.calls,
            input_tokens: sum.input,
            cached_tokens: sum.cached,
            output_tokens: sum.output,
            listed: sum.listed,
            unlisted: sum.unlisted,
        };
        Ok(StatementLine { item: StatementItem::Usage(usage), amount })
    };
    sums.into_iter().map(line).collect()
}

/// The money of a row of [`usage`].
fn spent(row: &Row<'_>) -> Result<Spent, StoreError> {
    let listed = row.get::<_, Option<i64>>(8)?.map(|pico| Pico::new(i128::from(pico)).ceil_to_money());
    let class = class_from_text(row, 7)?;
    Ok(Spent {
        own_key: matches!(class.payer(), Payer::Caller | Payer::EndUser) && row.get(11)?,
        class,
        cost: Money::from_nano(row.get(6)?),
        listed: listed.flatten(),
        pooled: row.get::<_, i64>(9)? > 0,
    })
}

fn project_names(
    connection: &Connection,
    organization: OrganizationId,
) -> Result<HashMap<ProjectId, String>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, name FROM project WHERE organization = ?1")?;
    let names = statement
        .query_map([organization.as_bytes()], |row| Ok((ProjectId::from_bytes(row.get(0)?), row.get(1)?)))?;
    Ok(names.collect::<Result<_, _>>()?)
}
