//! A call that is right in everything, and every way in which it can be wrong: what the tests of precedence are made of.
//!
//! Everything that limits the call allows exactly this one, so that a refusal that counted anywhere is found out by the
//! next call.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dialect::{Dialect, Endpoint};
use directory::{
    AccessMode, AfterGrant, Bounds, Caps as RateCaps, Contents, Directory, DirectoryStore, InFlight,
    KeyHasher, KeyOwner, LimitSubject, Mandate, ModelAccess, NewKey, NewUser, OrganizationRole, ProjectRole,
    RateLimit, Scope,
};
use domain::{BudgetId, Ids, KeyId, LimitId, LotId, Money, RequestId, Timestamp, Usage, Zone};
use ledger::{
    Act, AttemptStatus, Attribution, Budget, Caps, Command, CostRow, HoldRequest, LedgerStore, Period,
    Subject, Tag,
};

use pricing::{ModelKind, PriceVersion, RoutePrice, Schedule};

use super::contract::{checked, covering};
use super::house::{
    Got, House, INPUT_NANO, Manner, OUTPUT_NANO, PEPPER, Steady, answer, content, message, price,
};
use crate::{Contract, Countries, Route, Routes, Target, Tier, Tiers, ceiling_id};

/// The call, a chat, Anthropic's messages or Gemini's content. It falls under every sort of limit.
const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}],"max_tokens":5}"#;
const CONTENT: &str =
    r#"{"contents":[{"parts":[{"text":"hello"}]}],"generationConfig":{"maxOutputTokens":5}}"#;
const OUTPUT: u64 = 5;
const HEADERS: [(&str, &str); 4] = [
    ("x-tollkeeper-user", "u"),
    ("x-tollkeeper-feature", "f"),
    ("x-tollkeeper-run", "r"),
    ("anthropic-version", "2023-06-01"),
];
const CREDIT: Money = Money::from_nano(1_000_000_000);

/// What can be wrong with a call, in the order in which it is refused for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wrong {
    NoKey,
    UnknownKey,
    Expired,
    Disabled,
    Address,
    Endpoint,
    NoPart,
    Archived,
    NoSuchModel,
    NotForChat,
    NotOfProject,
    NotOfKey,
    NotOfTier,
    Unverified,
    Unpriced,
    Abroad,
    Unfit,
    Stale,
    NoProviderKey,
    Published,
    Ceiling,
    Budget(Capped),
    Rate(Rated),
    Frozen,
    Owing,
    NoGrant,
    Poor,
}

/// Whose budget has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Capped {
    Organization,
    Project,
    Key,
    User,
    Tag,
    Run,
}

impl Capped {
    pub(super) const ALL: [Self; 6] =
        [Self::Organization, Self::Project, Self::Key, Self::User, Self::Tag, Self::Run];

    fn subject(self) -> Subject {
        match self {
            Self::Organization => Subject::Organization,
            Self::Project => Subject::Project(None),
            Self::Key => Subject::Key(None),
            Self::User => Subject::User(None),
            Self::Tag => Subject::Tag(Tag::Feature, None),
            Self::Run => Subject::Run(None),
        }
    }

    fn id(self) -> BudgetId {
        // Against the order of refusal, which does not come from the ids.
        BudgetId::from_bytes([20 - self as u8; 16])
    }
}

/// Which rate is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rated {
    RequestsPerMinute,
    TokensPerMinute,
    InputTokensPerMinute,
    OutputTokensPerMinute,
    RequestsPerDay,
    TokensPerDay,
    Concurrent,
}

impl Rated {
    pub(super) const ALL: [Self; 7] = [
        Self::RequestsPerMinute,
        Self::TokensPerMinute,
        Self::InputTokensPerMinute,
        Self::OutputTokensPerMinute,
        Self::RequestsPerDay,
        Self::TokensPerDay,
        Self::Concurrent,
    ];
}

/// A house, and the call that is made in it.
pub(super) struct Scene {
    pub(super) house: House,
    endpoint: Endpoint,
    key: KeyId,
    secret: String,
    contents: Contents,
    wrong: Vec<Wrong>,
    lots: u8,
}

impl Scene {
    /// One in which nothing is wrong, for calls at this endpoint.
    pub(super) async fn new(endpoint: Endpoint) -> Self {
        let script = match endpoint.dialect() {
            Dialect::OpenAi => answer(OUTPUT),
            Dialect::Anthropic => message(OUTPUT),
            Dialect::Gemini => content(OUTPUT),
        };
        let house = House::new(InFlight::Completes, 0, script).await;
        let (ids, now) = (Steady::default(), Timestamp::from_micros(0));
        // Ids that none of the house's own records have.
        for _ in 0..100 {
            ids.uuid();
        }
        let mandate = Mandate::operator(&ids, now);
        let new = NewUser {
            organization: house.organization,
            email: "ada@example.com".to_owned(),
            name: None,
            role: OrganizationRole::Reader,
        };
        let user = house.service.add_user(new, &mandate).unwrap().id;
        house.service.set_member(house.project, user, ProjectRole::Member, &mandate).unwrap();
        let (owner, name) = (Some(KeyOwner::User(user)), Some("ada's".to_owned()));
        let new = NewKey { project: house.project, owner, name, bounds: Bounds::default(), expires_at: None };
        let made = house.service.create_key(new, &mandate).unwrap();
        let contents = house.store.load().unwrap();
        let (key, secret) = (made.key.id, made.secret.expose().to_owned());
        let mut scene = Self { house, endpoint, key, secret, contents, wrong: Vec::new(), lots: 10 };
        scene.arrange(&[]).await;
        scene
    }

    /// Makes these things wrong, and everything else right.
    pub(super) async fn arrange(&mut self, wrong: &[Wrong]) {
        self.wrong = wrong.to_vec();
        self.house.gate.frozen.store(false, Ordering::Relaxed);
        let directory = Directory::new(KeyHasher::new(PEPPER), self.directory()).unwrap();
        let (routes, tiers) = (self.routes(), self.tiers());
        self.house.configure(Arc::new(directory), routes, tiers);
        self.fund().await;
        self.limit_spending().await;
        self.house.gate.frozen.store(self.is(Wrong::Frozen), Ordering::Relaxed);
    }

    /// Makes the call.
    pub(super) async fn call(&self) -> Got {
        let unknown = directory::Secret::generate(directory::KeyKind::Project, &Other);
        let key = if self.is(Wrong::UnknownKey) { unknown.expose() } else { &self.secret };
        let key = (!self.is(Wrong::NoKey)).then_some(key);
        let model = if self.is(Wrong::NoSuchModel) { "none" } else { "m" };
        // The one that tells the model in its address has it nowhere else.
        let path = format!("/v1beta/models/{model}:generateContent");
        let body = self.body().replace("\"m\"", &format!("\"{model}\""));
        let address = Some("192.0.2.1".parse().unwrap());
        let endpoint = Some(self.endpoint);
        self.house.ask(Manner { key, address, headers: &HEADERS, endpoint, path: &path }, &body).await
    }

    fn body(&self) -> &'static str {
        if self.endpoint == Endpoint::GenerateContent { CONTENT } else { BODY }
    }

    fn is(&self, wrong: Wrong) -> bool {
        self.wrong.contains(&wrong)
    }

    fn directory(&self) -> Contents {
        let mut contents = self.contents.clone();
        let at = |wrong| self.is(wrong).then_some(Timestamp::from_micros(1));
        let other_models = |wrong| {
            let models = vec!["other*".to_owned()];
            self.is(wrong).then_some(ModelAccess { mode: AccessMode::Allow, models })
        };
        for key in contents.keys.iter_mut().filter(|key| key.id == self.key) {
            (key.expires_at, key.disabled_at) = (at(Wrong::Expired), at(Wrong::Disabled));
            key.bounds = Bounds {
                endpoints: self.is(Wrong::Endpoint).then(|| vec![Scope::Models]),
                models: other_models(Wrong::NotOfKey),
                networks: self
                    .is(Wrong::Address)
                    .then(|| "10.0.0.0/8".parse().unwrap())
                    .into_iter()
                    .collect(),
            };
        }
        for project in contents.projects.iter_mut().filter(|project| project.id == self.house.project) {
            project.archived_at = at(Wrong::Archived);
            project.models = other_models(Wrong::NotOfProject);
            // No credit in these scenes is a grant.
            project.after_grant = if self.is(Wrong::NoGrant) { AfterGrant::Stop } else { AfterGrant::Paid };
            project.byok =
                if self.is(Wrong::NoProviderKey) { directory::Byok::Only } else { directory::Byok::Off };
        }
        for organization in &mut contents.organizations {
            organization.country = Some("DE".parse().unwrap());
            organization.verified_at = (!self.is(Wrong::Unverified)).then_some(Timestamp::from_micros(1));
        }
        contents.members.retain(|_| !self.is(Wrong::NoPart));
        contents.limits = vec![RateLimit {
            id: LimitId::from_bytes([3; 16]),
            organization: self.house.organization,
            subject: LimitSubject::Organization,
            model: "*".to_owned(),
            caps: self.rates(),
        }];
        contents
    }

    /// Caps that this call exactly fits under, but for those that are used up.
    fn rates(&self) -> RateCaps {
        let input = (self.body().len() as u64 + 16) / 4;
        let cap = |rated, right| Some(if self.is(Wrong::Rate(rated)) { right - 1 } else { right });
        RateCaps {
            requests_per_minute: cap(Rated::RequestsPerMinute, 1),
            tokens_per_minute: cap(Rated::TokensPerMinute, input + OUTPUT),
            input_tokens_per_minute: cap(Rated::InputTokensPerMinute, input),
            output_tokens_per_minute: cap(Rated::OutputTokensPerMinute, OUTPUT),
            images_per_minute: None,
            requests_per_day: cap(Rated::RequestsPerDay, 1),
            tokens_per_day: cap(Rated::TokensPerDay, input + OUTPUT),
            concurrent_requests: cap(Rated::Concurrent, 1),
        }
    }

    fn routes(&self) -> Routes {
        let data = if self.is(Wrong::Unfit) {
            directory::DataClass::Public
        } else {
            directory::DataClass::Sensitive
        };
        let verified = checked(if self.is(Wrong::Stale) { 1_000 } else { 0 });
        let only = if self.is(Wrong::Abroad) { "FR" } else { "DE" };
        let countries = Countries::Only(vec![only.parse().unwrap()]);
        let contract = Arc::new(Contract { countries, ..covering(data, false, verified) });
        self.house.provider.set_published(self.is(Wrong::Published));
        let price = if self.is(Wrong::NotForChat) { embedding_price() } else { price() };
        let price = (!self.is(Wrong::Unpriced)).then_some(price);
        let target = Target::new(Arc::clone(&self.house.provider), "m", contract, price);
        Routes::new([Route { verified_only: true, ..Route::new("m", vec![target]) }])
    }

    fn tiers(&self) -> Tiers {
        let models = if self.is(Wrong::NotOfTier) { "other*" } else { "*" };
        Tiers::new(vec![Tier {
            name: "new".into(),
            credit_purchased: Money::ZERO,
            account_days: 0,
            monthly_ceiling: None,
            models: vec![models.to_owned()],
            limits: Vec::new(),
        }])
    }

    /// Has the wallet owe, stand empty, or hold what it takes.
    async fn fund(&mut self) {
        let wallet = self.house.books().wallets[0].clone();
        match (self.is(Wrong::Owing), wallet.debt > Money::ZERO) {
            (true, false) => return self.run_up_debt(wallet.balance).await,
            (true, true) => return,
            (false, true) => self.house.grant(wallet.debt.nano(), self.lots).await,
            (false, false) => {}
        }
        let wanted = if self.is(Wrong::Poor) { Money::ZERO } else { CREDIT };
        let amount = wanted.checked_sub(self.house.books().wallets[0].balance).unwrap();
        self.lots += 2;
        if !amount.is_zero() {
            let (lot, expires_at) = (LotId::from_bytes([self.lots + 1; 16]), Timestamp::MAX);
            self.house.book(Act::Adjust { wallet: wallet.id, amount, lot, expires_at }).await;
        }
    }

    /// Books a call of long ago that cost more than there was.
    async fn run_up_debt(&self, balance: Money) {
        let organization = self.house.organization;
        let cost = balance.checked_add(Money::from_nano(1_000)).unwrap();
        let request = RequestId::from_bytes([0xee; 16]);
        let row = CostRow {
            organization,
            request,
            attempt: 1,
            at: Timestamp::from_micros(1),
            project: self.house.project,
            key: self.key,
            environment: "dev".into(),
            model: "m".into(),
            target: "p/m".into(),
            provider: "p".into(),
            model_answered: None,
            price_version: "p/m".into(),
            service_tier: domain::ServiceTier::Standard,
            class: domain::AccessClass::Direct,
            list_pico: None,
            cover: None,
            usage: Usage { input: 1, ..Usage::default() },
            cost_pico: cost.nano() * 1_000,
            cost,
            reported_pico: None,
            status: AttemptStatus::Succeeded,
            reason: "".into(),
            estimated: false,
            http_status: 200,
            streamed: false,
            duration_us: 0,
            held: Money::ZERO,
            attribution: Attribution::default(),
        };
        let nothing = Money::ZERO;
        let draft = Box::new(CostRow { cost_pico: 0, cost: nothing, ..row.clone() });
        let (amount, least, tokens, ceiling, grants_only) = (nothing, nothing, 0, Vec::new(), false);
        let hold = HoldRequest { organization, request, amount, least, tokens, ceiling, grants_only, draft };
        // Budgets would count it; there are none yet, or they are made room in.
        self.limit(|_| u64::MAX).await;
        self.house.gate.submit(Command::Hold(hold)).await.unwrap();
        self.house.gate.submit(Command::Settle { organization, request, rows: vec![row] }).await.unwrap();
    }

    /// Budgets that have room for one more call, but for those that have none.
    async fn limit_spending(&self) {
        self.limit(|capped| u64::from(!self.is(Wrong::Budget(capped)))).await;
        let input = i64::try_from(self.body().len()).unwrap() + 16;
        let one = Money::from_nano(input * INPUT_NANO + i64::try_from(OUTPUT).unwrap() * OUTPUT_NANO);
        let spent = self.used(ceiling_id(self.house.organization)).0;
        let short = Money::from_nano(i64::from(self.is(Wrong::Ceiling)));
        let cost = spent.checked_add(one).and_then(|cap| cap.checked_sub(short));
        let caps = Caps { cost, ..Caps::default() };
        self.cap(ceiling_id(self.house.organization), Subject::Organization, caps).await;
    }

    /// Budgets with so much room in calls.
    async fn limit(&self, room: impl Fn(Capped) -> u64) {
        for capped in Capped::ALL {
            let steps = Some(self.used(capped.id()).1.saturating_add(room(capped)));
            self.cap(capped.id(), capped.subject(), Caps { steps, ..Caps::default() }).await;
        }
    }

    async fn cap(&self, id: BudgetId, subject: Subject, caps: Caps) {
        let (period, zone) = (Period::Monthly, Zone::default());
        let budget = Budget { id, subject, period, zone, caps, hard: true, thresholds: Vec::new() };
        self.house.book(Act::SetBudget(budget)).await;
    }

    /// What calls before this one have used of a budget: cost and calls.
    fn used(&self, id: BudgetId) -> (Money, u64) {
        let books = self.house.books();
        let used = books.uses.iter().find(|(key, _)| key.budget == id);
        used.map_or((Money::ZERO, 0), |(_, used)| (used.spent, used.steps))
    }
}

fn embedding_price() -> Arc<Schedule> {
    let price = RoutePrice { input: "1".to_owned(), ..RoutePrice::default() };
    Arc::new(Schedule::from(PriceVersion::from_route("p", "m", &price, ModelKind::Embedding).unwrap()))
}

/// Whose keys nobody knows.
struct Other;

impl Ids for Other {
    fn uuid(&self) -> [u8; 16] {
        [0xdd; 16]
    }

    fn secret(&self) -> [u8; 32] {
        [0xdd; 32]
    }
}
