//! Budgets: made, changed, removed, and how far each is used up.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use directory::{ChangeError, Elsewhere, Environment, Mandate, Organization};
use domain::{BudgetId, KeyId, Money, OrganizationId, ProjectId, Zone};
use gateway::ceiling_id;
use ledger::{Act, Budget, Caps, Period, Reply, Subject, Tag};
use serde::Deserialize;
use store::BudgetRecord;

use super::input::{Order, Page, blocking, field, nullable, optional, shown, strange_answer};
use super::view::{self, json};
use super::{Admin, Answered, Hand, Problem, Shared};

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

pub(super) async fn create(
    State(admin): Shared,
    Extension(hand): Extension<Hand>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answered {
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
    let own = Own { admin, hand, organization };
    own.set(&order, budget, None, StatusCode::CREATED).await
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
    Extension(hand): Extension<Hand>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let patch: BudgetPatch = order.parse()?;
    let organization = admin.organization("organization", &patch.organization)?;
    let own = Own { admin, hand, organization };
    let id = own.id(&id)?;
    let known = own.find(id).await?.ok_or_else(|| Problem::not_found("id", id))?;
    let before = known.clone();
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
    own.set(&order, budget, Some(before), StatusCode::OK).await
}

/// A change of one organization's budgets by the operator.
struct Own {
    admin: Arc<Admin>,
    hand: Hand,
    organization: Arc<Organization>,
}

impl Own {
    /// The id of a budget that is for the operator to change.
    fn id(&self, text: &str) -> Result<BudgetId, Problem> {
        let id = field("id", text)?;
        if id == ceiling_id(self.organization.id) {
            // The gateway sets it and sees no need to set it again, so a change would stand unnoticed.
            return Err(Problem::conflict(
                "This budget is the monthly ceiling of the organization's usage tier, which the gateway sets by itself: \
                 change `monthly_ceiling` of the tier, under `[[tiers]]` in the configuration.",
            ));
        }
        Ok(id)
    }

    async fn find(&self, id: BudgetId) -> Result<Option<Budget>, Problem> {
        let records = records(&self.admin, &self.organization, 0).await?;
        Ok(records.into_iter().map(|record| record.budget).find(|budget| budget.id == id))
    }

    async fn set(
        &self,
        order: &Order,
        budget: Budget,
        before: Option<Budget>,
        status: StatusCode,
    ) -> Answered {
        let asked = budget.id;
        let reply = self.admin.book(order, self.organization.id, None, Act::SetBudget(budget)).await?;
        let Reply::BudgetSet(budget) = reply else { return Err(strange_answer()) };
        // A call that is repeated by its name changes nothing and is answered as it was: what is so now is told.
        if budget.id == asked {
            self.tell(asked, before, self.find(asked).await?).await?;
        }
        Ok(json(status, &view::budget(self.organization.id, &budget)))
    }

    async fn tell(&self, id: BudgetId, before: Option<Budget>, after: Option<Budget>) -> Result<(), Problem> {
        let (admin, hand, organization) = (Arc::clone(&self.admin), self.hand.clone(), self.organization.id);
        blocking(move || {
            let mandate = admin.mandate(&hand);
            Ok(admin.tell_budget(organization, id, before.as_ref(), after.as_ref(), &mandate)?)
        })
        .await
    }
}

pub(super) async fn remove(
    State(admin): Shared,
    Extension(hand): Extension<Hand>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let organization = admin.organization("organization", page.organization()?)?;
    let own = Own { admin, hand, organization };
    let id = own.id(&id)?;
    let (organization, before) = (own.organization.id, own.find(id).await?);
    let reply = own.admin.book(&order, organization, None, Act::RemoveBudget(id)).await?;
    let Reply::BudgetRemoved = reply else { return Err(strange_answer()) };
    own.tell(id, before, None).await?;
    Ok(json(StatusCode::OK, &view::budget_removed(organization, id)))
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
    admin: &Arc<Admin>,
    organization: &Organization,
    limit: u32,
) -> Result<Vec<BudgetRecord>, Problem> {
    let (admin, id) = (Arc::clone(admin), organization.id);
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
    /// Tells the audit log of a budget that was set or removed, as the API shows it. Nothing of one that is as it was.
    ///
    /// # Errors
    /// When it could not be told.
    pub(crate) fn tell_budget(
        &self,
        organization: OrganizationId,
        id: BudgetId,
        before: Option<&Budget>,
        after: Option<&Budget>,
        mandate: &Mandate<'_>,
    ) -> Result<(), ChangeError> {
        if before == after {
            return Ok(());
        }
        let shown = |budget: &Budget| view::budget(organization, budget).to_string();
        let change = Elsewhere {
            organization,
            project: after.or(before).and_then(|budget| self.project_counted(&budget.subject)),
            action: if after.is_some() { "budget.updated" } else { "budget.deleted" },
            subject: id.to_string(),
            before: before.map(shown),
            after: after.map(shown),
        };
        self.directory.tell(change, mandate)
    }

    /// The project under which people look for changes of a budget of this.
    fn project_counted(&self, subject: &Subject) -> Option<ProjectId> {
        match subject {
            Subject::Project(Some(project)) => project.parse().ok(),
            Subject::Key(Some(key)) => Some(self.directory.directory().key(key.parse().ok()?)?.project),
            Subject::Organization
            | Subject::Project(None)
            | Subject::Key(None)
            | Subject::User(_)
            | Subject::Tag(..)
            | Subject::Run(_) => None,
        }
    }

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
