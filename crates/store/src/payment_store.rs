//! The port to payments: top-ups, auto-recharge, and the events that were acted on. Writes go through the writer, where
//! a payment's credit is booked by the ledger's rules in the transaction that marks its top-up as paid.

mod returned;

use std::sync::Arc;

use domain::{Money, OrganizationId, Timestamp, TopUpId};
use ledger::{Act, Booking, Command, Denial, EventKind, Grant, Idempotency, LotKind, Note, Reply};
use payments::recharge::{Settings, State};
use payments::{
    Alert, Begun, CallName, Cents, Credited, Ending, EventName, Kept, Limits, Notice, PaymentStore,
    PaymentStoreError, Purpose, Receipt, Recharge, Returned, Started, TopUp, TopUpStatus,
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

use crate::StoreError;
use crate::columns::to_json;
use crate::reader::Reader;
use crate::writer::Writer;

/// The columns of a top-up, in the order in which [`read_topup`] reads them.
const TOP_UP: &str = "id, organization, amount, purpose, provider, status, save_method, customer, payment_method, \
     provider_ref, url, instructions, payment, detail, created_at, updated_at";

/// One change of what payments keep.
pub(crate) enum PaymentWrite {
    Begin(Box<TopUp>, Option<CallName>),
    BeginRecharge(Box<TopUp>, Limits, Timestamp),
    Started(TopUpId, Started, Timestamp),
    Credit(Box<Receipt>),
    End(Ending),
    SetRecharge(OrganizationId, Option<Limits>),
    Alert(OrganizationId, Alert, Timestamp),
    Notice(Notice),
    Returned(Returned),
    ForgetCustomer(OrganizationId, String, Option<String>, Timestamp),
}

/// What a change did.
pub(crate) enum PaymentDone {
    Begun(Begun),
    Credited(Credited),
    /// Whether something changed.
    Changed(bool),
}

/// What a payment write is answered with.
pub(crate) type PaymentWritten = Kept<PaymentDone>;

/// Payments as the server sees them.
pub(crate) struct Till {
    writer: Arc<Writer>,
    reader: Arc<Reader>,
}

impl Till {
    pub(crate) const fn new(writer: Arc<Writer>, reader: Arc<Reader>) -> Self {
        Self { writer, reader }
    }

    fn begun(&self, write: PaymentWrite) -> Kept<Begun> {
        match self.writer.write_payment(write)? {
            PaymentDone::Begun(begun) => Ok(begun),
            PaymentDone::Credited(_) | PaymentDone::Changed(_) => Err(strange_answer()),
        }
    }

    fn changed(&self, write: PaymentWrite) -> Kept<bool> {
        match self.writer.write_payment(write)? {
            PaymentDone::Changed(changed) => Ok(changed),
            PaymentDone::Begun(_) | PaymentDone::Credited(_) => Err(strange_answer()),
        }
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Kept<T> {
        self.reader.read(query).map_err(|error| PaymentStoreError::Failed(error.to_string()))
    }
}

fn strange_answer() -> PaymentStoreError {
    PaymentStoreError::Failed("another write was answered".to_owned())
}

impl PaymentStore for Till {
    fn begin(&self, topup: &TopUp, name: Option<&CallName>) -> Kept<Begun> {
        self.begun(PaymentWrite::Begin(Box::new(topup.clone()), name.cloned()))
    }

    fn begin_recharge(&self, topup: &TopUp, limits: &Limits, month: Timestamp) -> Kept<Begun> {
        self.begun(PaymentWrite::BeginRecharge(Box::new(topup.clone()), *limits, month))
    }

    fn started(&self, topup: TopUpId, started: &Started, at: Timestamp) -> Kept<()> {
        self.changed(PaymentWrite::Started(topup, started.clone(), at)).map(|_| ())
    }

    fn credit(&self, receipt: &Receipt) -> Kept<Credited> {
        match self.writer.write_payment(PaymentWrite::Credit(Box::new(receipt.clone())))? {
            PaymentDone::Credited(credited) => Ok(credited),
            PaymentDone::Begun(_) | PaymentDone::Changed(_) => Err(strange_answer()),
        }
    }

    fn end(&self, ending: &Ending) -> Kept<bool> {
        self.changed(PaymentWrite::End(ending.clone()))
    }

    fn set_recharge(&self, organization: OrganizationId, settings: Option<&Settings>) -> Kept<()> {
        self.changed(PaymentWrite::SetRecharge(organization, settings.map(Limits::from))).map(|_| ())
    }

    fn alert(&self, organization: OrganizationId, alert: &Alert, at: Timestamp) -> Kept<bool> {
        self.changed(PaymentWrite::Alert(organization, alert.clone(), at))
    }

    fn notice(&self, notice: &Notice) -> Kept<bool> {
        self.changed(PaymentWrite::Notice(notice.clone()))
    }

    fn returned(&self, returned: &Returned) -> Kept<bool> {
        self.changed(PaymentWrite::Returned(returned.clone()))
    }

    fn forget_customer(
        &self,
        organization: OrganizationId,
        customer: &str,
        payment_method: Option<&str>,
        at: Timestamp,
    ) -> Kept<bool> {
        let (customer, method) = (customer.to_owned(), payment_method.map(str::to_owned));
        self.changed(PaymentWrite::ForgetCustomer(organization, customer, method, at))
    }

    fn topup(&self, id: TopUpId) -> Kept<Option<TopUp>> {
        self.read(|connection| load_topup(connection, id))
    }

    fn topup_of_payment(&self, provider: &str, payment: &str) -> Kept<Option<TopUp>> {
        self.read(|connection| paid_by(connection, provider, payment))
    }

    fn topups(&self, organization: OrganizationId, before: Option<TopUpId>, limit: u32) -> Kept<Vec<TopUp>> {
        self.read(|connection| {
            // Ids rise with time, so their order is the order of time.
            let sql = format!(
                "SELECT {TOP_UP} FROM top_up WHERE organization = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
            );
            let before = before.unwrap_or(TopUpId::from_bytes([0xff; 16]));
            collect(connection, &sql, params![organization.as_bytes(), before.as_bytes(), limit])
        })
    }

    fn recharge(&self, organization: OrganizationId) -> Kept<Option<Recharge>> {
        self.read(|connection| load_recharge(connection, organization))
    }

    fn recharge_state(&self, organization: OrganizationId, month: Timestamp) -> Kept<State> {
        self.read(|connection| state(connection, organization, month))
    }

    fn recharge_candidates(&self) -> Kept<Vec<OrganizationId>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT recharge.organization FROM recharge
                 JOIN wallet ON wallet.organization = recharge.organization AND wallet.place = 0
                 JOIN books ON books.organization = recharge.organization AND books.frozen = 0
                 WHERE recharge.enabled = 1 AND wallet.balance - wallet.held - wallet.debt < recharge.threshold",
            )?;
            let found = statement.query_map([], |row| Ok(OrganizationId::from_bytes(row.get(0)?)))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
    }

    fn pending_recharges(&self) -> Kept<Vec<TopUp>> {
        self.read(|connection| {
            let sql =
                format!("SELECT {TOP_UP} FROM top_up WHERE purpose = 'recharge' AND status = 'pending'");
            collect(connection, &sql, [])
        })
    }
}

impl Reader {
    /// An organization's auto-recharge; `None` when nothing was ever set or left for it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn recharge(&self, organization: OrganizationId) -> Result<Option<Recharge>, StoreError> {
        self.read(|connection| load_recharge(connection, organization))
    }
}

/// Makes one change in the writer's open transaction. The inner answer is the change's own; the outer error fails the
/// whole batch. A payment's credit is the writer's, by [`credit_due`] and [`credited`].
pub(crate) fn write(connection: &Connection, write: &PaymentWrite) -> Result<PaymentWritten, StoreError> {
    let changed = match write {
        PaymentWrite::Begin(topup, name) => {
            let begun = or_refused(begin(connection, topup, name.as_ref()))?;
            return Ok(begun.map(PaymentDone::Begun));
        }
        PaymentWrite::BeginRecharge(topup, limits, month) => {
            let begun = or_refused(begin_recharge(connection, topup, limits, *month).map(Ok))?;
            return Ok(begun.map(PaymentDone::Begun));
        }
        PaymentWrite::Started(id, started, at) => started_at(connection, *id, started, *at)?,
        PaymentWrite::End(ending) => match load_topup(connection, ending.topup)? {
            Some(topup) => end(connection, &topup, ending)?,
            None => return Ok(Err(PaymentStoreError::Unknown(ending.topup))),
        },
        PaymentWrite::SetRecharge(organization, limits) => {
            let set = or_refused(set_recharge(connection, *organization, *limits).map(Ok))?;
            return Ok(set.map(PaymentDone::Changed));
        }
        PaymentWrite::Alert(organization, alert, at) => tell_once(connection, *organization, alert, *at)?,
        PaymentWrite::Notice(notice) => tell(connection, notice)?,
        PaymentWrite::Returned(returned) => returned::tell(connection, returned)?,
        PaymentWrite::ForgetCustomer(organization, customer, method, at) => {
            forget_customer(connection, *organization, customer, method.as_deref(), *at)?
        }
        PaymentWrite::Credit(receipt) => return Ok(Err(PaymentStoreError::Unknown(receipt.topup))),
    };
    Ok(Ok(PaymentDone::Changed(changed)))
}

fn begin(connection: &Connection, topup: &TopUp, name: Option<&CallName>) -> Result<Kept<Begun>, StoreError> {
    if let Some(name) = name
        && let Some((id, digest)) = named(connection, topup.organization, &name.key)?
    {
        if digest != name.digest {
            return Ok(Err(PaymentStoreError::NameTaken));
        }
        let known = load_topup(connection, id)?.ok_or(StoreError::Unreadable("top_up.id"))?;
        return Ok(Ok(Begun::Known(Box::new(known))));
    }
    if topup.purpose == Purpose::Recharge {
        return Ok(Ok(Begun::NotNow));
    }
    insert_topup(connection, topup, name)?;
    Ok(Ok(Begun::New))
}

fn begin_recharge(
    connection: &Connection,
    topup: &TopUp,
    limits: &Limits,
    month: Timestamp,
) -> Result<Begun, StoreError> {
    let Some(sum) = charged_since(connection, topup.organization, month)?.checked_add(topup.amount.money())
    else {
        return Ok(Begun::NotNow);
    };
    // What was decided a moment ago was decided from what stood there then.
    let may = exists(
        connection,
        "SELECT 1 FROM recharge WHERE organization = ?1 AND enabled = 1 AND threshold = ?2 AND amount = ?3
           AND monthly_max = ?4 AND monthly_max >= ?5 AND customer IS ?6 AND payment_method IS ?7 AND NOT EXISTS
           (SELECT 1 FROM top_up WHERE organization = ?1 AND purpose = 'recharge' AND status = 'pending')",
        params![
            topup.organization.as_bytes(),
            limits.threshold.nano(),
            topup.amount.money().nano(),
            limits.monthly_max.nano(),
            sum.nano(),
            topup.customer,
            topup.payment_method,
        ],
    )?;
    if !may || topup.purpose != Purpose::Recharge {
        return Ok(Begun::NotNow);
    }
    insert_topup(connection, topup, None)?;
    Ok(Begun::New)
}

fn insert_topup(connection: &Connection, topup: &TopUp, name: Option<&CallName>) -> Result<(), StoreError> {
    let started = topup.started.as_ref();
    execute(
        connection,
        "INSERT INTO top_up (id, organization, amount, purpose, provider, status, save_method, customer,
           payment_method, provider_ref, url, instructions, payment, detail, idempotency_key, digest, created_at,
           updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        params![
            topup.id.as_bytes(),
            topup.organization.as_bytes(),
            topup.amount.money().nano(),
            topup.purpose.as_str(),
            topup.provider,
            topup.status.as_str(),
            topup.save_method,
            topup.customer,
            topup.payment_method,
            started.map(|started| &started.provider_ref),
            started.and_then(|started| started.url.as_ref()),
            started.map(|started| &started.instructions),
            topup.payment,
            topup.detail,
            name.map(|name| &name.key),
            name.map(|name| name.digest),
            topup.created_at.micros(),
            topup.updated_at.micros(),
        ],
    )?;
    Ok(())
}

fn named(
    connection: &Connection,
    organization: OrganizationId,
    key: &str,
) -> Result<Option<(TopUpId, [u8; 32])>, StoreError> {
    let sql = "SELECT id, digest FROM top_up WHERE organization = ?1 AND idempotency_key = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row(params![organization.as_bytes(), key], |row| {
        Ok((TopUpId::from_bytes(row.get(0)?), row.get(1)?))
    });
    Ok(found.optional()?)
}

fn started_at(
    connection: &Connection,
    id: TopUpId,
    started: &Started,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let changed = execute(
        connection,
        "UPDATE top_up SET provider_ref = ?2, url = ?3, instructions = ?4, updated_at = ?5
         WHERE id = ?1 AND provider_ref IS NULL",
        params![id.as_bytes(), started.provider_ref, started.url, started.instructions, at.micros()],
    )?;
    Ok(changed > 0)
}

/// A broken constraint, such as an organization that is not stored, undoes its own statement and leaves the transaction
/// whole: it is the answer to this write, and no failure of everybody else's.
fn or_refused<T>(written: Result<Kept<T>, StoreError>) -> Result<Kept<T>, StoreError> {
    match written {
        Err(StoreError::Sqlite(rusqlite::Error::SqliteFailure(failure, text)))
            if failure.code == ErrorCode::ConstraintViolation =>
        {
            Ok(Err(PaymentStoreError::Failed(text.unwrap_or_default())))
        }
        written => written,
    }
}

/// What a verified payment asks of the ledger.
pub(crate) struct CreditDue {
    topup: TopUp,
    /// The booking.
    pub(crate) command: Command,
}

/// What is to be booked for a receipt, or its answer when there is nothing to book.
pub(crate) fn credit_due(
    connection: &Connection,
    receipt: &Receipt,
) -> Result<Result<CreditDue, PaymentWritten>, StoreError> {
    if is_known(connection, receipt.event.as_ref())? {
        return Ok(Err(Ok(PaymentDone::Credited(Credited::Replayed))));
    }
    let Some(topup) = load_topup(connection, receipt.topup)? else {
        return Ok(Err(Err(PaymentStoreError::Unknown(receipt.topup))));
    };
    let payment = format!("{}:{}", topup.provider, receipt.payment);
    let reason = receipt.reason.clone().unwrap_or_else(|| format!("payment {payment}"));
    let grant = Grant {
        wallet: None,
        lot: receipt.lot,
        kind: LotKind::Prepaid,
        amount: topup.amount.money(),
        expires_at: receipt.expires_at,
    };
    let booking = Booking {
        organization: topup.organization,
        idempotency: receipt
            .name
            .as_ref()
            .map(|name| Idempotency { key: name.key.clone(), digest: name.digest }),
        note: Note { actor: receipt.actor.clone().into_boxed_str(), reason: Some(reason.into_boxed_str()) },
        act: Act::TopUp { grant, payment: payment.into_boxed_str() },
    };
    Ok(Ok(CreditDue { topup, command: Command::Book(Box::new(booking)) }))
}

/// Keeps what the ledger's answer means for the top-up.
pub(crate) fn credited(
    connection: &Connection,
    due: &CreditDue,
    receipt: &Receipt,
    booked: Result<Reply, Denial>,
) -> Result<PaymentWritten, StoreError> {
    let lots = match booked {
        Ok(Reply::Granted(lots)) => lots,
        Ok(_) => return Ok(Err(strange_answer())),
        Err(Denial::IdempotencyConflict) => return Ok(Err(PaymentStoreError::NameTaken)),
        Err(denial) => return Ok(Err(PaymentStoreError::Refused(denial.to_string()))),
    };
    let topup = &due.topup;
    // The first answer comes again with the first lot.
    let is_new = lots.iter().any(|lot| lot.id == receipt.lot);
    let is_its_own = is_new || paid_by(connection, &topup.provider, &receipt.payment)?.is_none();
    if topup.status.may_become(TopUpStatus::Paid) && is_its_own {
        execute(
            connection,
            "UPDATE top_up SET status = 'paid', payment = ?2, detail = NULL, updated_at = ?3 WHERE id = ?1",
            params![topup.id.as_bytes(), receipt.payment, receipt.at.micros()],
        )?;
        if topup.purpose == Purpose::Recharge {
            let sql = "UPDATE recharge SET declines = 0, told_off = 0 WHERE organization = ?1";
            execute(connection, sql, [topup.organization.as_bytes()])?;
        }
    }
    keep_method(connection, topup.organization, receipt)?;
    remember(connection, receipt.event.as_ref(), receipt.at)?;
    let twice = is_new && topup.status == TopUpStatus::Paid;
    if twice {
        let first = topup.payment.as_deref().unwrap_or_default();
        let detail = format!(
            "{} was paid by {first} and again by {}; both are credited: ask the customer whether that was meant",
            topup.id, receipt.payment
        );
        append_event(connection, topup.organization, "paid_twice", Some(topup.id), &detail, receipt.at)?;
    }
    if is_new {
        returned::tell_of_earlier(connection, topup, receipt)?;
    }
    let credited = match (is_new, twice) {
        (true, true) => Credited::Twice,
        (true, false) => Credited::Booked,
        (false, _) => Credited::Before,
    };
    Ok(Ok(PaymentDone::Credited(credited)))
}

/// Keeps the payment method that the customer left, unless a newer one is kept; without one, whom the provider knows.
fn keep_method(
    connection: &Connection,
    organization: OrganizationId,
    receipt: &Receipt,
) -> Result<(), StoreError> {
    let Some(customer) = &receipt.customer else { return Ok(()) };
    let at = receipt.event.as_ref().map_or(receipt.at, |event| event.created);
    match &receipt.payment_method {
        Some(method) => execute(
            connection,
            "INSERT INTO recharge (organization, enabled, customer, payment_method, method_at, declines,
               last_decline_at, told_off)
             VALUES (?1, 0, ?2, ?3, ?4, 0, 0, 0)
             ON CONFLICT DO UPDATE SET customer = excluded.customer, payment_method = excluded.payment_method,
               method_at = excluded.method_at,
               declines = iif(payment_method IS excluded.payment_method, declines, 0),
               told_off = iif(payment_method IS excluded.payment_method, told_off, 0)
             WHERE excluded.method_at >= method_at",
            params![organization.as_bytes(), customer, method, at.micros()],
        )?,
        None => execute(
            connection,
            "INSERT INTO recharge (organization, enabled, customer, method_at, declines, last_decline_at, told_off)
             VALUES (?1, 0, ?2, 0, 0, 0, 0)
             ON CONFLICT DO UPDATE SET customer = excluded.customer WHERE customer IS NULL",
            params![organization.as_bytes(), customer],
        )?,
    };
    Ok(())
}

fn forget_customer(
    connection: &Connection,
    organization: OrganizationId,
    customer: &str,
    payment_method: Option<&str>,
    at: Timestamp,
) -> Result<bool, StoreError> {
    // When the method was left is kept: older news must not bring it back.
    let changed = execute(
        connection,
        "UPDATE recharge SET customer = NULL, payment_method = NULL
         WHERE organization = ?1 AND customer = ?2 AND payment_method IS coalesce(?3, payment_method)",
        params![organization.as_bytes(), customer, payment_method],
    )?;
    if changed > 0 {
        let detail = format!(
            "the payment provider does not know {customer} or their payment method, so both are forgotten here; the next \
             top-up makes a new customer, who can leave a method for auto-recharge"
        );
        append_event(connection, organization, "customer_forgotten", None, &detail, at)?;
    }
    Ok(changed > 0)
}

fn end(connection: &Connection, topup: &TopUp, ending: &Ending) -> Result<bool, StoreError> {
    if is_known(connection, ending.event.as_ref())? {
        return Ok(false);
    }
    remember(connection, ending.event.as_ref(), ending.at)?;
    let Ending { status, detail, at, .. } = ending;
    if *status == TopUpStatus::Paid || !topup.status.may_become(*status) {
        return Ok(false);
    }
    execute(
        connection,
        "UPDATE top_up SET status = ?2, detail = ?3, updated_at = ?4 WHERE id = ?1",
        params![topup.id.as_bytes(), status.as_str(), detail, at.micros()],
    )?;
    if topup.purpose == Purpose::Recharge && *status == TopUpStatus::Declined {
        execute(
            connection,
            "UPDATE recharge SET declines = declines + 1, last_decline_at = ?2 WHERE organization = ?1",
            params![topup.organization.as_bytes(), at.micros()],
        )?;
        append_event(connection, topup.organization, "recharge_declined", Some(topup.id), detail, *at)?;
    }
    Ok(true)
}

fn set_recharge(
    connection: &Connection,
    organization: OrganizationId,
    limits: Option<Limits>,
) -> Result<bool, StoreError> {
    let changed = match limits {
        Some(Limits { threshold, amount, monthly_max }) => execute(
            connection,
            "INSERT INTO recharge (organization, enabled, threshold, amount, monthly_max, method_at, declines,
               last_decline_at, told_off)
             VALUES (?1, 1, ?2, ?3, ?4, 0, 0, 0, 0)
             ON CONFLICT DO UPDATE SET enabled = 1, threshold = excluded.threshold, amount = excluded.amount,
               monthly_max = excluded.monthly_max, declines = 0, last_decline_at = 0, told_off = 0, told_month = NULL
             WHERE enabled = 0 OR threshold IS NOT excluded.threshold OR amount IS NOT excluded.amount
               OR monthly_max IS NOT excluded.monthly_max",
            params![organization.as_bytes(), threshold.nano(), amount.nano(), monthly_max.nano()],
        )?,
        None => execute(
            connection,
            "UPDATE recharge SET enabled = 0, declines = 0, last_decline_at = 0, told_off = 0, told_month = NULL
             WHERE organization = ?1 AND enabled = 1",
            [organization.as_bytes()],
        )?,
    };
    Ok(changed > 0)
}

fn tell_once(
    connection: &Connection,
    organization: OrganizationId,
    alert: &Alert,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let id = organization.as_bytes();
    let (changed, what, detail) = match alert {
        Alert::SwitchedOff { declines } => (
            execute(
                connection,
                "UPDATE recharge SET told_off = 1 WHERE organization = ?1 AND told_off = 0",
                [id],
            )?,
            "recharge_switched_off",
            format!(
                "the payment method was declined {declines} times in a row, so auto-recharge has given up; leave \
                 another one with a top-up, or switch auto-recharge off and on again"
            ),
        ),
        Alert::MonthlyMaximumReached { month, monthly_max } => (
            execute(
                connection,
                "UPDATE recharge SET told_month = ?2 WHERE organization = ?1 AND told_month IS NOT ?2",
                params![id, month.micros()],
            )?,
            "recharge_monthly_maximum",
            format!(
                "another recharge would exceed this month's maximum of {monthly_max}; raise it or top up by hand"
            ),
        ),
    };
    if changed > 0 {
        append_event(connection, organization, what, None, &detail, at)?;
    }
    Ok(changed > 0)
}

fn tell(connection: &Connection, notice: &Notice) -> Result<bool, StoreError> {
    let Notice { organization, what, topup, detail, event, at } = notice;
    if is_known(connection, event.as_ref())? {
        return Ok(false);
    }
    remember(connection, event.as_ref(), *at)?;
    append_event(connection, *organization, what, *topup, detail, *at)?;
    Ok(true)
}

fn append_event(
    connection: &Connection,
    organization: OrganizationId,
    what: &str,
    topup: Option<TopUpId>,
    detail: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let kind = EventKind::Payment { what: what.into(), topup, detail: detail.into() };
    let sql = "INSERT INTO event (organization, at, detail) VALUES (?1, ?2, ?3)";
    execute(connection, sql, params![organization.as_bytes(), at.micros(), to_json(&kind)])?;
    Ok(())
}

fn is_known(connection: &Connection, event: Option<&EventName>) -> Result<bool, StoreError> {
    let Some(event) = event else { return Ok(false) };
    let sql = "SELECT 1 FROM payment_event WHERE provider = ?1 AND id = ?2";
    exists(connection, sql, params![event.provider, event.id])
}

fn remember(connection: &Connection, event: Option<&EventName>, at: Timestamp) -> Result<(), StoreError> {
    if let Some(event) = event {
        let sql = "INSERT INTO payment_event (provider, id, at) VALUES (?1, ?2, ?3)";
        execute(connection, sql, params![event.provider, event.id, at.micros()])?;
    }
    Ok(())
}

fn execute(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<usize, StoreError> {
    Ok(connection.prepare_cached(sql)?.execute(values)?)
}

fn exists(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached(sql)?.exists(values)?)
}

fn load_topup(connection: &Connection, id: TopUpId) -> Result<Option<TopUp>, StoreError> {
    let sql = format!("SELECT {TOP_UP} FROM top_up WHERE id = ?1");
    Ok(collect(connection, &sql, [id.as_bytes()])?.pop())
}

fn paid_by(connection: &Connection, provider: &str, payment: &str) -> Result<Option<TopUp>, StoreError> {
    let sql = format!("SELECT {TOP_UP} FROM top_up WHERE payment = ?1 AND provider = ?2");
    Ok(collect(connection, &sql, params![payment, provider])?.pop())
}

fn state(
    connection: &Connection,
    organization: OrganizationId,
    month: Timestamp,
) -> Result<State, StoreError> {
    let id = organization.as_bytes();
    let pending: Option<[u8; 16]> = connection
        .prepare_cached(
            "SELECT id FROM top_up WHERE organization = ?1 AND purpose = 'recharge' AND status = 'pending'",
        )?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let charged_this_month = charged_since(connection, organization, month)?;
    let recharge = load_recharge(connection, organization)?;
    let (declines, last_decline_at) =
        recharge.map_or_else(Default::default, |recharge| (recharge.declines, recharge.last_decline_at));
    Ok(State { pending: pending.map(TopUpId::from_bytes), charged_this_month, declines, last_decline_at })
}

/// What recharges that began at `month` or after brought, or may still bring.
fn charged_since(
    connection: &Connection,
    organization: OrganizationId,
    month: Timestamp,
) -> Result<Money, StoreError> {
    let charged = connection
        .prepare_cached(
            "SELECT coalesce(sum(amount), 0) FROM top_up WHERE organization = ?1 AND purpose = 'recharge'
               AND status IN ('pending', 'paid') AND created_at >= ?2",
        )?
        .query_row(params![organization.as_bytes(), month.micros()], |row| row.get(0))?;
    Ok(Money::from_nano(charged))
}

fn load_recharge(
    connection: &Connection,
    organization: OrganizationId,
) -> Result<Option<Recharge>, StoreError> {
    let sql =
        "SELECT enabled, threshold, amount, monthly_max, customer, payment_method, declines, last_decline_at
               FROM recharge WHERE organization = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row([organization.as_bytes()], |row| {
        let money = |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.map(Money::from_nano));
        let limits = match (money(1)?, money(2)?, money(3)?) {
            (Some(threshold), Some(amount), Some(monthly_max)) => {
                Some(Limits { threshold, amount, monthly_max })
            }
            _ => None,
        };
        Ok(Recharge {
            organization,
            enabled: row.get(0)?,
            limits,
            customer: row.get(4)?,
            payment_method: row.get(5)?,
            declines: row.get(6)?,
            last_decline_at: Timestamp::from_micros(row.get(7)?),
        })
    });
    Ok(found.optional()?)
}

fn collect(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<TopUp>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read_topup(row)?);
    }
    Ok(found)
}

/// A top-up is paid only together with its booked payment: what is broken of this, for [`crate::verify`].
pub(crate) fn broken(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "SELECT {TOP_UP} FROM top_up WHERE status = 'paid' AND NOT EXISTS
           (SELECT 1 FROM payment WHERE payment.payment = top_up.provider || ':' || top_up.payment
              AND payment.organization = top_up.organization)"
    );
    let found = collect(connection, &sql, [])?;
    Ok(found.iter().map(|topup| format!("{} is paid, but its payment is not booked", topup.id)).collect())
}

/// Reads a row selected as [`TOP_UP`].
fn read_topup(row: &Row<'_>) -> Result<TopUp, StoreError> {
    let word = |index: usize| row.get::<_, String>(index);
    let amount = Money::from_nano(row.get(2)?);
    let provider_ref: Option<String> = row.get(9)?;
    let (url, instructions): (Option<String>, Option<String>) = (row.get(10)?, row.get(11)?);
    let started = provider_ref.map(|provider_ref| Started {
        provider_ref,
        url,
        instructions: instructions.unwrap_or_default(),
    });
    Ok(TopUp {
        id: TopUpId::from_bytes(row.get(0)?),
        organization: OrganizationId::from_bytes(row.get(1)?),
        amount: Cents::try_from(amount).map_err(|_| StoreError::Unreadable("top_up.amount"))?,
        purpose: Purpose::parse(&word(3)?).ok_or(StoreError::Unreadable("top_up.purpose"))?,
        provider: word(4)?,
        status: TopUpStatus::parse(&word(5)?).ok_or(StoreError::Unreadable("top_up.status"))?,
        save_method: row.get(6)?,
        customer: row.get(7)?,
        payment_method: row.get(8)?,
        started,
        payment: row.get(12)?,
        detail: row.get(13)?,
        created_at: Timestamp::from_micros(row.get(14)?),
        updated_at: Timestamp::from_micros(row.get(15)?),
    })
}
