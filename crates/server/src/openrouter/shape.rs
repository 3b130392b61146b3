//! The objects of OpenRouter's API, with every member that its clients require. What we do not have is said as nothing:
//! zero, `null` or an empty list.

use directory::{Key, KeyHash, KeyOwner};
use domain::{Money, OrganizationId, Payer, ProjectId, RequestId, Timestamp, UserId};
use ledger::{AttemptStatus, Budget, CostRow, Period, Subject, Use};
use serde::Serialize;
use store::KeyCost;

use super::amount::Amount;
use crate::admin::view::{list_price, remaining};

/// An answer of one object or list.
#[derive(Serialize)]
pub(super) struct Data<T> {
    pub(super) data: T,
}

/// What a key has cost: what we charged, and what providers charged for the rest to the accounts of callers and end users,
/// at list price ("external BYOK usage", <https://openrouter.ai/docs/sdks/python/api-reference/operations/getcurrentkeydata>).
#[derive(Serialize)]
pub(super) struct Costs {
    usage: Amount,
    usage_daily: Amount,
    usage_weekly: Amount,
    usage_monthly: Amount,
    byok_usage: Amount,
    byok_usage_daily: Amount,
    byok_usage_weekly: Amount,
    byok_usage_monthly: Amount,
}

impl From<KeyCost> for Costs {
    fn from(cost: KeyCost) -> Self {
        let [daily, weekly, monthly] = cost.charged.since.map(Amount);
        let [byok_daily, byok_weekly, byok_monthly] = cost.elsewhere.since.map(Amount);
        Self {
            usage: Amount(cost.charged.total),
            usage_daily: daily,
            usage_weekly: weekly,
            usage_monthly: monthly,
            byok_usage: Amount(cost.elsewhere.total),
            byok_usage_daily: byok_daily,
            byok_usage_weekly: byok_weekly,
            byok_usage_monthly: byok_monthly,
        }
    }
}

/// The limit of a key: a hard budget of its own.
#[derive(Serialize)]
pub(super) struct KeyLimit {
    limit: Option<Amount>,
    limit_remaining: Option<Amount>,
    limit_reset: Option<&'static str>,
    include_byok_in_limit: bool,
}

impl KeyLimit {
    pub(super) fn of(limit: Option<&(Budget, Use)>) -> Self {
        Self {
            limit: limit.and_then(|(budget, _)| budget.caps.cost).map(Amount),
            limit_remaining: limit.and_then(|(budget, used)| remaining(budget, used)).map(Amount),
            limit_reset: limit.and_then(|(budget, _)| reset(budget.period)),
            include_byok_in_limit: false,
        }
    }
}

/// OpenRouter's word for a period; `None` for the one that never ends.
pub(super) const fn reset(period: Period) -> Option<&'static str> {
    match period {
        Period::Daily => Some("daily"),
        Period::Weekly => Some("weekly"),
        Period::Monthly => Some("monthly"),
        Period::Total => None,
    }
}

/// A key as those see it who administer it.
#[derive(Serialize)]
pub(super) struct ManagedKey {
    hash: String,
    label: String,
    name: String,
    disabled: bool,
    #[serde(flatten)]
    limit: KeyLimit,
    #[serde(flatten)]
    costs: Costs,
    created_at: Timestamp,
    updated_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    creator_user_id: Option<UserId>,
    workspace_id: ProjectId,
    external_user: Option<String>,
}

impl ManagedKey {
    pub(super) fn new(
        key: &Key,
        limit: Option<&(Budget, Use)>,
        cost: KeyCost,
        last_used_at: Option<Timestamp>,
    ) -> Self {
        Self {
            hash: hash(key),
            label: key.redacted.clone(),
            name: key.name.clone(),
            disabled: key.disabled_at.is_some(),
            limit: KeyLimit::of(limit),
            costs: cost.into(),
            created_at: key.created_at,
            updated_at: None,
            expires_at: key.expires_at,
            last_used_at,
            creator_user_id: owner(key),
            workspace_id: key.project,
            external_user: None,
        }
    }
}

/// By what a key is named: the hash that we keep of its secret, since we do not keep the secret.
fn hash(key: &Key) -> String {
    key.hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash that is written so.
pub(super) fn hash_of(text: &str) -> Option<KeyHash> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? * 16 + digit(low)?),
        _ => None,
    });
    let bytes = pairs.collect::<Option<Vec<u8>>>()?;
    bytes.try_into().ok().map(KeyHash::from_bytes)
}

const fn owner(key: &Key) -> Option<UserId> {
    match key.owner {
        KeyOwner::User(user) => Some(user),
        KeyOwner::ServiceAccount(_) => None,
    }
}

/// A key just made. The only answer with a secret.
#[derive(Serialize)]
pub(super) struct CreatedKey<'a> {
    pub(super) data: ManagedKey,
    pub(super) key: &'a str,
}

/// A key as whoever calls with it sees it.
#[derive(Serialize)]
pub(super) struct OwnKey {
    label: String,
    #[serde(flatten)]
    limit: KeyLimit,
    #[serde(flatten)]
    costs: Costs,
    is_free_tier: bool,
    is_management_key: bool,
    is_provisioning_key: bool,
    creator_user_id: Option<UserId>,
    allowed_data_regions: [&'static str; 1],
    budgets: Vec<KeyBudget>,
    effective_budget: Option<KeyBudget>,
    free_model_daily_requests: FreeRequests,
    organization_id: OrganizationId,
    workspace_id: ProjectId,
    expires_at: Option<Timestamp>,
    rate_limit: RateLimit,
    /// Ours: the key's id, by which everything else knows it.
    key_id: domain::KeyId,
}

/// The free requests of a day (5.1).
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct FreeRequests {
    limit: u64,
    remaining: u64,
    used: u64,
}

impl FreeRequests {
    pub(super) const fn new(limit: u64, used: u64) -> Self {
        Self { limit, remaining: limit.saturating_sub(used), used }
    }
}

#[derive(Serialize)]
struct RateLimit {
    requests: i8,
    interval: &'static str,
    note: &'static str,
}

impl OwnKey {
    /// `budgets` are those that the key's calls count in.
    pub(super) fn new(
        key: &Key,
        budgets: &[(Budget, Use)],
        cost: KeyCost,
        has_bought: bool,
        free: FreeRequests,
        now: Timestamp,
    ) -> Self {
        let shown: Vec<KeyBudget> = budgets.iter().filter_map(|each| KeyBudget::of(each, now)).collect();
        let tightest = shown.iter().min_by_key(|budget| budget.remaining_usd.0);
        Self {
            label: key.redacted.clone(),
            limit: KeyLimit::of(limit_of(key, budgets)),
            costs: cost.into(),
            is_free_tier: !has_bought,
            is_management_key: false,
            is_provisioning_key: false,
            creator_user_id: owner(key),
            allowed_data_regions: ["global"],
            effective_budget: tightest.cloned(),
            budgets: shown,
            free_model_daily_requests: free,
            organization_id: key.organization,
            workspace_id: key.project,
            expires_at: key.expires_at,
            rate_limit: RateLimit { requests: -1, interval: "10s", note: "deprecated" },
            key_id: key.id,
        }
    }
}

/// The budget that is a key's limit: the tightest hard one of this key alone.
pub(super) fn limit_of<'a>(key: &Key, budgets: &'a [(Budget, Use)]) -> Option<&'a (Budget, Use)> {
    let id = key.id.to_string();
    let own = |(budget, _): &&(Budget, Use)| {
        let is_ours = matches!(&budget.subject, Subject::Key(Some(which)) if **which == *id);
        is_ours && budget.hard && budget.caps.cost.is_some()
    };
    budgets.iter().filter(own).min_by_key(|(budget, used)| remaining(budget, used))
}

/// One of the budgets that bind a key.
#[derive(Clone, Serialize)]
pub(super) struct KeyBudget {
    budget_id: String,
    guardrail_id: Option<String>,
    include_byok: bool,
    limit_usd: Amount,
    remaining_usd: Amount,
    spend_usd: Amount,
    reset_interval: Option<&'static str>,
    resets_at: Option<Timestamp>,
    scope: &'static str,
}

impl KeyBudget {
    /// `None` for a budget that refuses nothing, counts no money, or counts what a call names.
    fn of((budget, used): &(Budget, Use), now: Timestamp) -> Option<Self> {
        let scope = match &budget.subject {
            Subject::Organization | Subject::Project(_) => "workspace",
            Subject::Key(None) => "workspace_default_key",
            Subject::Key(Some(_)) => "key_limit",
            Subject::Tag(ledger::Tag::Environment, _) => "workspace",
            Subject::User(_) | Subject::Tag(ledger::Tag::Feature, _) | Subject::Run(_) => return None,
        };
        let limit = budget.caps.cost.filter(|_| budget.hard)?;
        let end = budget.span(now).end;
        Some(Self {
            budget_id: budget.id.to_string(),
            guardrail_id: None,
            include_byok: false,
            limit_usd: Amount(limit),
            remaining_usd: Amount(remaining(budget, used).unwrap_or_default()),
            spend_usd: Amount(used.spent),
            reset_interval: reset(budget.period),
            resets_at: (end != Timestamp::MAX).then_some(end),
            scope,
        })
    }
}

/// An organization's credit.
#[derive(Serialize)]
pub(super) struct Credits {
    pub(super) total_credits: Amount,
    pub(super) total_usage: Amount,
}

/// One attempt of a call.
#[derive(Serialize)]
struct ProviderAnswer {
    provider_name: String,
    model_permaslug: String,
    status: Option<u16>,
    latency: u64,
    is_byok: bool,
}

/// What a call was and what it cost.
#[derive(Serialize)]
pub(super) struct Generation {
    id: String,
    request_id: RequestId,
    session_id: Option<String>,
    api_type: Option<&'static str>,
    app_id: Option<u32>,
    cache_discount: Option<Amount>,
    cancelled: bool,
    created_at: Timestamp,
    data_region: &'static str,
    external_user: Option<String>,
    finish_reason: Option<&'static str>,
    native_finish_reason: Option<&'static str>,
    generation_time: u64,
    latency: Option<u64>,
    moderation_latency: Option<u64>,
    http_referer: Option<&'static str>,
    user_agent: Option<&'static str>,
    origin: &'static str,
    is_byok: bool,
    model: String,
    native_tokens_prompt: u64,
    native_tokens_completion: u64,
    native_tokens_reasoning: u64,
    native_tokens_cached: u64,
    native_tokens_completion_images: Option<u64>,
    tokens_prompt: u64,
    tokens_completion: u64,
    num_media_prompt: Option<u64>,
    num_media_completion: Option<u64>,
    num_input_audio_prompt: Option<u64>,
    num_search_results: Option<u64>,
    num_fetches: Option<u64>,
    preset_id: Option<&'static str>,
    provider_name: String,
    provider_responses: Vec<ProviderAnswer>,
    response_cache_source_id: Option<&'static str>,
    router: Option<&'static str>,
    service_tier: Option<&'static str>,
    streamed: bool,
    total_cost: Amount,
    usage: Amount,
    upstream_id: Option<&'static str>,
    upstream_inference_cost: Option<Amount>,
    web_search_engine: Option<&'static str>,
    workspace_id: ProjectId,
    /// Ours: the key that called.
    key_id: domain::KeyId,
}

/// Whether the provider bills an attempt to an account that is not the gateway's: the caller's or an end user's.
fn is_own(row: &CostRow) -> bool {
    matches!(row.class.payer(), Payer::Caller | Payer::EndUser)
}

/// What such attempts cost at their providers, at list price; `None` where there are none, or no list price is known.
fn upstream_cost(rows: &[CostRow]) -> Option<Amount> {
    let mut own = rows.iter().filter(|row| is_own(row)).map(list_price).peekable();
    own.peek()?;
    let listed: Option<Vec<Money>> = own.collect();
    Money::sum(listed?).map(Amount)
}

impl Generation {
    /// The call of these rows, which are its attempts in order; `None` without any. `id` is what it was asked for by.
    pub(super) fn of(id: &str, rows: &[CostRow]) -> Option<Self> {
        let last = rows.last()?;
        let cost = Amount(Money::sum(rows.iter().map(|row| row.cost)).unwrap_or(Money::MAX));
        let (prompt, completion) = (last.usage.input_total(), last.usage.output_total());
        let answers = rows.iter().map(|row| ProviderAnswer {
            provider_name: row.provider.to_string(),
            model_permaslug: row.target.to_string(),
            status: (row.http_status != 0).then_some(row.http_status),
            latency: row.duration_us / 1_000,
            is_byok: is_own(row),
        });
        Some(Self {
            id: id.to_owned(),
            request_id: last.request,
            session_id: last.attribution.run.as_deref().map(str::to_owned),
            api_type: None,
            app_id: None,
            cache_discount: None,
            cancelled: last.status == AttemptStatus::Cancelled,
            created_at: last.at,
            data_region: "global",
            external_user: last.attribution.user.as_deref().map(str::to_owned),
            finish_reason: None,
            native_finish_reason: None,
            generation_time: last.duration_us / 1_000,
            latency: None,
            moderation_latency: None,
            http_referer: None,
            user_agent: None,
            origin: "",
            is_byok: is_own(last),
            model: last.model.to_string(),
            native_tokens_prompt: prompt,
            native_tokens_completion: completion,
            native_tokens_reasoning: last.usage.reasoning,
            native_tokens_cached: last.usage.cached,
            native_tokens_completion_images: None,
            tokens_prompt: prompt,
            tokens_completion: completion,
            num_media_prompt: None,
            num_media_completion: None,
            num_input_audio_prompt: None,
            num_search_results: None,
            num_fetches: None,
            preset_id: None,
            provider_name: last.provider.to_string(),
            provider_responses: answers.collect(),
            response_cache_source_id: None,
            router: None,
            service_tier: None,
            streamed: last.streamed,
            total_cost: cost,
            usage: cost,
            upstream_id: None,
            upstream_inference_cost: upstream_cost(rows),
            web_search_engine: None,
            workspace_id: last.project,
            key_id: last.key,
        })
    }
}
