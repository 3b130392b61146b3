//! Spend limits: a hard monthly budget of the organization or of a project, in cents. It lives in the ledger like every
//! budget, and `/admin/v1/budgets` shows it among them.

use directory::{Administrator, Elsewhere};
use domain::{BudgetId, Money};
use ledger::{Act, Booking, Budget, Caps, Command, Note, Period, Reply, Subject};
use serde::Deserialize;
use serde_json::{Value, json};
use store::BudgetRecord;

use super::ok;
use crate::admin::input::{blocking, strange_answer};
use crate::admin::{Answered, Call, Problem};

/// When the owner hears of it, in percent (3.6).
const THRESHOLDS: [u8; 3] = [50, 80, 100];
/// Nano-units in a cent.
const NANOS_PER_CENT: i64 = 10_000_000;

/// What a limit is of, and by which id its budget is found again.
struct Which {
    id: BudgetId,
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
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        Self { id: BudgetId::from_bytes(id), subject, object, deleted }
    }

    /// The budget, with what was consumed of it this month.
    async fn find(&self, call: &Call) -> Result<Option<BudgetRecord>, Problem> {
        let (admin, organization, id) = (call.admin.clone(), call.tenant.organization.id, self.id);
        let all = blocking(move || Ok(admin.reader.budgets(organization, admin.clock.now(), 1)?)).await?;
        Ok(all.into_iter().find(|record| record.budget.id == id))
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
    let known = which.find(&call).await?;
    let before = known.as_ref().map(|record| which.show(record));
    // A budget keeps the zone in which its months began.
    let zone = known.map_or_else(|| call.tenant.organization.time_zone.clone(), |record| record.budget.zone);
    let budget = Budget {
        id: which.id,
        subject: which.subject.clone(),
        period: Period::Monthly,
        zone,
        caps: Caps { cost: Some(Money::from_nano(cap)), ..Caps::default() },
        hard: true,
        thresholds: THRESHOLDS.to_vec(),
    };
    let Reply::BudgetSet(_) = book(&call, Act::SetBudget(budget)).await? else {
        return Err(strange_answer());
    };
    let now = which.find(&call).await?.ok_or_else(strange_answer)?;
    let shown = which.show(&now);
    tell(call, which.id, "spend_limit.updated", before, Some(shown.clone())).await?;
    ok(&shown)
}

pub(super) async fn delete(call: Call) -> Answered {
    let which = Which::of(&call);
    let known = which.find(&call).await?.ok_or_else(|| which.missing())?;
    let Reply::BudgetRemoved = book(&call, Act::RemoveBudget(which.id)).await? else {
        return Err(strange_answer());
    };
    tell(call, which.id, "spend_limit.deleted", Some(which.show(&known)), None).await?;
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

async fn book(call: &Call, act: Act) -> Result<Reply, Problem> {
    let actor = match &call.hand.by {
        Administrator::Operator => "operator".to_owned(),
        Administrator::Member { user, .. } => user.id.to_string(),
    };
    let note = Note { actor: actor.into(), reason: None };
    let booking = Booking { organization: call.tenant.organization.id, idempotency: None, note, act };
    call.admin.ledger.submit(Command::Book(Box::new(booking))).await.map_err(Problem::ledger)
}
