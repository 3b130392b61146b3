//! Spend limits: a hard monthly budget of the organization or of a project, in cents. It lives in the ledger like every
//! budget, and `/admin/v1/budgets` shows it among them.

use directory::{Administrator, Elsewhere};
use domain::{BudgetId, Money};
use ledger::{
    Act, Booking, Budget, Caps, Command, Denial, LedgerAnswer, LedgerError, Note, Period, Reply, Subject,
};
use serde::Deserialize;
use serde_json::{Value, json};
use store::BudgetRecord;

use super::ok;
use crate::admin::input::{blocking, strange_answer};
use crate::admin::{Answered, Call, Problem};

/// When the owner hears of it, in percent (3.6).
const THRESHOLDS: [u8; 3] = [50, 80, 100];
/// Ids that the budget of one limit may have, one after the other: a removed budget's id is never free again.
const IDS: u8 = 32;
/// Nano-units in a cent.
const NANOS_PER_CENT: i64 = 10_000_000;

/// What a limit is of, and by which ids its budget is found again: the first one, and those after it once somebody has
/// removed the budget with it by `/admin/v1/budgets`.
struct Which {
    ids: Vec<BudgetId>,
    subject: Subject,
    object: &'static str,
    deleted: &'static str,
}

impl Which {
    fn of(call: &Call) -> Self {
        let organization = call.tenant.organization.id;
        let mut hasher = blake3::Hasher::new_derive_key("tollkeeper 2026 id of a spend limit");
        hasher.update(organization.as_bytes());
        let (subject, object, deleted) = match call.named_project() {
            Some(project) => {
                hasher.update(project.id.as_bytes());
                let subject = Subject::Project(Some(project.id.to_string().into()));
                (subject, "project.spend_limit", "project.spend_limit.deleted")
            }
            None => (Subject::Organization, "organization.spend_limit", "organization.spend_limit.deleted"),
        };
        let id = |number: u8| {
            let mut hasher = hasher.clone();
            if number > 0 {
                hasher.update(&[number]);
            }
            let mut id = [0; 16];
            hasher.finalize_xof().fill(&mut id);
            BudgetId::from_bytes(id)
        };
        Self { ids: (0..IDS).map(id).collect(), subject, object, deleted }
    }

    /// The budget, with what was consumed of it this month, whether or not it is a limit now.
    async fn booked(&self, call: &Call) -> Result<Option<BudgetRecord>, Problem> {
        let (admin, organization) = (call.admin.clone(), call.tenant.organization.id);
        let all = blocking(move || Ok(admin.reader.budgets(organization, admin.clock.now(), 1)?)).await?;
        Ok(all.into_iter().find(|record| self.ids.contains(&record.budget.id)))
    }

    /// The limit. A budget that refuses nothing is what a deleted one has left behind.
    async fn find(&self, call: &Call) -> Result<Option<BudgetRecord>, Problem> {
        Ok(self.booked(call).await?.filter(|record| record.budget.hard))
    }

    /// Puts the budget on the books, under the id that it has there or else under the first one that is free.
    async fn set(&self, call: &Call, budget: Budget, known: Option<BudgetId>) -> Result<(), Problem> {
        let ids = known.as_ref().map_or(self.ids.as_slice(), std::slice::from_ref);
        for id in ids {
            match book(call, Act::SetBudget(Budget { id: *id, ..budget.clone() })).await {
                Ok(Reply::BudgetSet(_)) => return Ok(()),
                Ok(_) => return Err(strange_answer()),
                Err(LedgerError::Denied(Denial::Duplicate)) => {}
                Err(error) => return Err(Problem::ledger(error)),
            }
        }
        Err(Problem::ledger(LedgerError::Denied(Denial::Duplicate)))
    }

    fn show(&self, record: &BudgetRecord) -> Value {
        let cap = record.budget.caps.cost.unwrap_or(Money::MAX);
        let is_full = record
            .uses
            .iter()
            .any(|(_, used)| used.spent.checked_add(used.held).is_none_or(|reserved| reserved >= cap));
        json!({
            "object": self.object,
            "threshold_amount": cap.nano() / NANOS_PER_CENT,
            "currency": "USD",
            "interval": "month",
            "enforcement": { "status": if is_full { "enforcing" } else { "inactive" } },
        })
    }

    fn missing(&self) -> Problem {
        Problem::not_found("spend_limit", "spend limit here; POST one first")
    }
}

pub(super) async fn retrieve(call: Call) -> Answered {
    let which = Which::of(&call);
    let record = which.find(&call).await?.ok_or_else(|| which.missing())?;
    ok(&which.show(&record))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    threshold_amount: i64,
    currency: String,
    interval: String,
}

pub(super) async fn update(call: Call) -> Answered {
    let body: Update = call.members()?;
    if body.currency != "USD" {
        return Err(Problem::field("currency", "`currency` must be USD."));
    }
    if body.interval != "month" {
        return Err(Problem::field(
            "interval",
            "`interval` must be month; other periods are budgets: POST /admin/v1/budgets.",
        ));
    }
    let cap = body.threshold_amount.checked_mul(NANOS_PER_CENT).filter(|nanos| *nanos > 0);
    let cap = cap.ok_or_else(|| {
        Problem::field(
            "threshold_amount",
            "`threshold_amount` must be a number of cents, at least 1, that the books can hold.",
        )
    })?;
    let which = Which::of(&call);
    let known = which.booked(&call).await?;
    let before = known.as_ref().filter(|record| record.budget.hard).map(|record| which.show(record));
    let booked = known.as_ref().map(|record| record.budget.id);
    // A budget keeps the zone in which its months began.
    let zone = known.map_or_else(|| call.tenant.organization.time_zone.clone(), |record| record.budget.zone);
    let budget = Budget {
        id: BudgetId::from_bytes([0; 16]),
        subject: which.subject.clone(),
        period: Period::Monthly,
        zone,
        caps: Caps { cost: Some(Money::from_nano(cap)), ..Caps::default() },
        hard: true,
        thresholds: THRESHOLDS.to_vec(),
    };
    which.set(&call, budget, booked).await?;
    let now = which.find(&call).await?.ok_or_else(strange_answer)?;
    let shown = which.show(&now);
    tell(call, now.budget.id, "spend_limit.updated", before, Some(shown.clone())).await?;
    ok(&shown)
}

pub(super) async fn delete(call: Call) -> Answered {
    let which = Which::of(&call);
    let known = which.find(&call).await?.ok_or_else(|| which.missing())?;
    // A removed budget's id is never free again, and the limit may be wanted again: it only stops refusing and warning.
    let ended = Budget { hard: false, thresholds: Vec::new(), ..known.budget.clone() };
    which.set(&call, ended, Some(known.budget.id)).await?;
    tell(call, known.budget.id, "spend_limit.deleted", Some(which.show(&known)), None).await?;
    ok(&json!({ "object": which.deleted, "deleted": true }))
}

/// Tells the audit log, which the ledger does not write.
async fn tell(
    call: Call,
    id: BudgetId,
    action: &'static str,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<(), Problem> {
    let change = Elsewhere {
        organization: call.tenant.organization.id,
        project: call.named_project().map(|project| project.id),
        action,
        subject: id.to_string(),
        before: before.map(|value| value.to_string()),
        after: after.map(|value| value.to_string()),
    };
    blocking(move || Ok(call.admin.directory.tell(change, &call.admin.mandate(&call.hand))?)).await
}

async fn book(call: &Call, act: Act) -> LedgerAnswer {
    let actor = match &call.hand.by {
        Administrator::Operator => "operator".to_owned(),
        Administrator::Member { user, .. } => user.id.to_string(),
    };
    let note = Note { actor: actor.into(), reason: None };
    let booking = Booking { organization: call.tenant.organization.id, idempotency: None, note, act };
    call.admin.ledger.submit(Command::Book(Box::new(booking))).await
}
