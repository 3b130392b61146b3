//! Budgets: made, changed, removed, and how far each is used up.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use directory::{Environment, Organization};
use domain::{BudgetId, KeyId, Money, Zone};
use ledger::{Act, Budget, Caps, Period, Reply, Subject, Tag};
use serde::Deserialize;
use store::BudgetRecord;

use super::input::{Order, Page, blocking, field, nullable, optional, shown, strange_answer};
use super::view::{self, json};
use super::{Admin, Answered, Problem, Shared};

/// When the owner of a budget hears of it, in percent of its cap (3.6).
const THRESHOLDS: [u8; 3] = [50, 80, 100];
/// The longest name of a user, a feature or a run that calls carry, in bytes.
const NAME_BYTES_MAX: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetBody {
    organization: String,
    of: String,
    which: Option<String>,
    period: String,
    zone: Option<String>,
    cost: Option<String>,
    tokens: Option<u64>,
    steps: Option<u64>,
    hard: Option<bool>,
    thresholds: Option<Vec<u8>>,
}

pub(super) async fn create(State(admin): Shared, uri: Uri, headers: HeaderMap, body: Bytes) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let body: BudgetBody = order.parse()?;
    let organization = admin.organization("organization", &body.organization)?;
    let zone = optional::<Zone>("zone", body.zone.as_deref())?;
    let budget = Budget {
        id: BudgetId::fresh(admin.ids.as_ref()),
        subject: admin.subject(&organization, &body.of, body.which.as_deref())?,
        period: period(&body.period)?,
        zone: zone.unwrap_or_else(|| organization.time_zone.clone()),
        caps: Caps { cost: optional("cost", body.cost.as_deref())?, tokens: body.tokens, steps: body.steps },
        hard: body.hard.unwrap_or(true),
        thresholds: body.thresholds.unwrap_or_else(|| THRESHOLDS.to_vec()),
    };
    set(&admin, &order, &organization, budget, StatusCode::CREATED).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "a missing cap stays, null takes it away")]
struct BudgetPatch {
    organization: String,
    #[serde(default, deserialize_with = "nullable")]
    cost: Option<Option<Money>>,
    #[serde(default, deserialize_with = "nullable")]
    tokens: Option<Option<u64>>,
    #[serde(default, deserialize_with = "nullable")]
    steps: Option<Option<u64>>,
    hard: Option<bool>,
    thresholds: Option<Vec<u8>>,
}

pub(super) async fn update(
    State(admin): Shared,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let patch: BudgetPatch = order.parse()?;
    let organization = admin.organization("organization", &patch.organization)?;
    let id: BudgetId = field("id", &id)?;
    let records = records(&admin, &organization, 0).await?;
    let known = records.into_iter().find(|record| record.budget.id == id);
    let known = known.ok_or_else(|| Problem::not_found("id", id))?.budget;
    let budget = Budget {
        caps: Caps {
            cost: patch.cost.unwrap_or(known.caps.cost),
            tokens: patch.tokens.unwrap_or(known.caps.tokens),
            steps: patch.steps.unwrap_or(known.caps.steps),
        },
        hard: patch.hard.unwrap_or(known.hard),
        thresholds: patch.thresholds.unwrap_or(known.thresholds),
        ..known
    };
    set(&admin, &order, &organization, budget, StatusCode::OK).await
}

async fn set(
    admin: &Admin,
    order: &Order,
    organization: &Organization,
    budget: Budget,
    status: StatusCode,
) -> Answered {
    let Reply::BudgetSet(budget) = admin.book(order, organization.id, None, Act::SetBudget(budget)).await?
    else {
        return Err(strange_answer());
    };
    Ok(json(status, &view::budget(organization.id, &budget)))
}

pub(super) async fn remove(
    State(admin): Shared,
    Path(id): Path<String>,
    Query(page): Query<Page>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let organization = admin.organization("organization", page.organization()?)?;
    let id: BudgetId = field("id", &id)?;
    let Reply::BudgetRemoved = admin.book(&order, organization.id, None, Act::RemoveBudget(id)).await? else {
        return Err(strange_answer());
    };
    Ok(json(StatusCode::OK, &view::budget_removed(organization.id, id)))
}

pub(super) async fn list(State(admin): Shared, Query(page): Query<Page>) -> Answered {
    let organization = admin.organization("organization", page.organization()?)?;
    let now = admin.clock.now();
    let records = records(&admin, &organization, page.limit()?).await?;
    let data = records.iter().map(|record| view::budget_record(organization.id, record, now)).collect();
    Ok(json(StatusCode::OK, &view::list(data, false)))
}

/// The budgets of an organization, each with so many of the subjects that consumed most.
async fn records(
    admin: &std::sync::Arc<Admin>,
    organization: &Organization,
    limit: u32,
) -> Result<Vec<BudgetRecord>, Problem> {
    let (admin, id) = (std::sync::Arc::clone(admin), organization.id);
    blocking(move || Ok(admin.reader.budgets(id, admin.clock.now(), limit)?)).await
}

fn period(text: &str) -> Result<Period, Problem> {
    match text {
        "daily" => Ok(Period::Daily),
        "weekly" => Ok(Period::Weekly),
        "monthly" => Ok(Period::Monthly),
        "total" => Ok(Period::Total),
        other => {
            let message = format!("`period`: `{}` must be daily, weekly, monthly or total.", shown(other));
            Err(Problem::field("period", message))
        }
    }
}

impl Admin {
    /// Which calls a budget counts.
    fn subject(
        &self,
        organization: &Organization,
        of: &str,
        which: Option<&str>,
    ) -> Result<Subject, Problem> {
        // Ids and words are checked here, since a budget of what cannot be would silently count nothing.
        let which_id = |id: String| id.into_boxed_str();
        Ok(match of {
            "organization" if which.is_some() => {
                let message =
                    "`which` names nothing here: a budget of the organization counts all its calls.";
                return Err(Problem::field("which", message));
            }
            "organization" => Subject::Organization,
            "project" => {
                let project =
                    which.map(|text| self.project_of(organization.id, "which", text)).transpose()?;
                Subject::Project(project.map(|id| which_id(id.to_string())))
            }
            "key" => {
                let key = which.map(|text| self.key_of(organization, text)).transpose()?;
                Subject::Key(key.map(|id| which_id(id.to_string())))
            }
            "user" => Subject::User(name(which)?),
            "feature" => Subject::Tag(Tag::Feature, name(which)?),
            "environment" => {
                let environment = optional::<Environment>("which", which)?;
                Subject::Tag(Tag::Environment, environment.map(|environment| environment.as_str().into()))
            }
            "run" => Subject::Run(name(which)?),
            other => {
                let message = format!(
                    "`of`: `{}` must be organization, project, key, user, feature, environment or run.",
                    shown(other)
                );
                return Err(Problem::field("of", message));
            }
        })
    }

    fn key_of(&self, organization: &Organization, text: &str) -> Result<KeyId, Problem> {
        let id: KeyId = field("which", text)?;
        let found = self.directory.directory().key(id);
        match found.filter(|key| key.organization == organization.id) {
            Some(_) => Ok(id),
            None => Err(Problem::not_found("which", format!("{id} in this organization"))),
        }
    }
}

fn name(which: Option<&str>) -> Result<Option<Box<str>>, Problem> {
    let Some(name) = which else { return Ok(None) };
    if name.trim().is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Problem::field("which", "`which` must be a name of 1 to 128 bytes."));
    }
    Ok(Some(name.into()))
}
