//! What the suite asks with, and the tests of stores may: a clock to turn by hand, payers with their commands, rows.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use domain::{
    AccessClass, BudgetId, Clock, KeyId, LotId, Money, OrganizationId, Pico, ProjectId, RequestId,
    ServiceTier, Timestamp, Usage, WalletId, Zone,
};

use crate::{
    Act, AttemptStatus, Attribution, Booking, Budget, Caps, Command, CostRow, Cover, Extension, Grant,
    HoldRequest, Idempotency, LotKind, NextAttempt, Note, Part, Period, PoolKey, PromoCode, Purpose, Subject,
};

/// When the suite begins: 2026-09-21T14:13:20Z.
pub const START: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

/// A clock that moves only when it is told to.
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    monotonic: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub const fn new(now: Timestamp) -> Self {
        Self { wall: AtomicI64::new(now.micros()), monotonic: AtomicU64::new(0) }
    }

    /// Puts the wall clock to another moment, forward or back.
    pub fn set(&self, now: Timestamp) {
        self.wall.store(now.micros(), Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn advance_seconds(&self, seconds: u32) {
        let micros = u64::from(seconds) * 1_000_000;
        self.monotonic.fetch_add(micros, Ordering::SeqCst);
        self.set(self.now().plus_seconds(i64::from(seconds)));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic_micros(&self) -> u64 {
        self.monotonic.load(Ordering::SeqCst)
    }
}

/// The lot number `n`.
pub fn lot_id(n: u64) -> LotId {
    LotId::from_bytes(numbered(n))
}

/// The request number `n`. Like every request's id it begins with the millisecond in which it came: [`START`].
pub fn request_id(n: u64) -> RequestId {
    let ms = u128::from((START.micros() / 1_000).unsigned_abs());
    RequestId::from_bytes(((ms << 80) | u128::from(n)).to_be_bytes())
}

fn numbered(n: u64) -> [u8; 16] {
    u128::from(n).to_be_bytes()
}

/// The wallet number `n`; an organization's own has its payer's number.
pub fn wallet_id(n: u64) -> WalletId {
    WalletId::from_bytes(numbered(n))
}

/// The budget number `n`.
pub fn budget_id(n: u64) -> BudgetId {
    BudgetId::from_bytes(numbered(n))
}

/// The project number `n`; the rows of [`Payer::row`] are number 1's.
pub fn project_id(n: u64) -> ProjectId {
    ProjectId::from_bytes(numbered(n))
}

/// A purpose: a project by its number, patterns of models, and whether it overflows.
pub fn purpose(project: Option<u64>, models: &[&str], overflow: bool) -> Purpose {
    Purpose {
        name: "aside".into(),
        project: project.map(project_id),
        models: models.iter().map(|model| Box::from(*model)).collect(),
        overflow,
    }
}

/// A hard budget in UTC without thresholds.
pub fn budget(n: u64, subject: Subject, period: Period, caps: Caps) -> Budget {
    let (zone, thresholds) = (Zone::default(), Vec::new());
    Budget { id: budget_id(n), subject, period, zone, caps, hard: true, thresholds }
}

/// A pool of this name, in the period that began at [`START`].
pub fn pool_key(pool: &str) -> PoolKey {
    PoolKey { pool: pool.into(), start: START }
}

/// Parts, each with its units and what one of them costs in pico-units.
pub fn parts(parts: &[(u64, i64)]) -> Vec<Part> {
    parts.iter().map(|(units, unit_pico)| Part { units: *units, unit_pico: *unit_pico }).collect()
}

/// A pool of so many units that pays for these parts as far as it has them.
pub fn cover(pool: &str, cap: u64, of: &[(u64, i64)]) -> Cover {
    Cover { key: pool_key(pool), cap, strict: false, parts: parts(of), units: 0 }
}

/// A strict pool of so many units, of which these are taken; they cost nothing beside it.
pub fn strict(pool: &str, cap: u64, units: u64) -> Cover {
    Cover { strict: true, ..cover(pool, cap, &[(units, 0)]) }
}

/// A cap on money alone.
pub fn cost_cap(nano: i64) -> Caps {
    Caps { cost: Some(Money::from_nano(nano)), ..Caps::default() }
}

/// The same booking with an idempotency key. The digest stands for the body.
pub fn named(booking: Booking, key: &str, digest: u8) -> Booking {
    let idempotency = Some(Idempotency { key: key.to_owned(), digest: [digest; 32] });
    Booking { idempotency, ..booking }
}

/// A promo code that never expires, for all models, whose credit never expires.
pub fn promo(code: &str, nano: i64, uses_max: u64) -> PromoCode {
    PromoCode {
        code: code.into(),
        amount: Money::from_nano(nano),
        expires_at: Timestamp::MAX,
        credit_seconds: None,
        uses_max,
        uses: 0,
        models: Vec::new(),
        created_at: START,
    }
}

/// An organization with its own wallet, and the commands it gives. Amounts are in nano-units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer {
    /// Its own wallet.
    pub wallet: WalletId,
    /// The organization.
    pub organization: OrganizationId,
}

impl Payer {
    /// The payer number `n`.
    pub fn number(n: u64) -> Self {
        Self {
            wallet: WalletId::from_bytes(numbered(n)),
            organization: OrganizationId::from_bytes(numbered(n)),
        }
    }

    /// Makes the books, with the own wallet.
    pub const fn open(&self) -> Command {
        Command::Open { organization: self.organization, wallet: self.wallet }
    }

    /// Something an operator does, with a reason.
    pub fn booking(&self, act: Act) -> Booking {
        let note = Note { actor: "operator".into(), reason: Some("on request".into()) };
        Booking { organization: self.organization, idempotency: None, note, act }
    }

    /// Puts `nano` into the own wallet, as lot number `lot`.
    pub fn grant(&self, lot: u64, kind: LotKind, nano: i64, expires_at: Timestamp) -> Booking {
        self.booking(Act::Grant(credit(None, lot, kind, nano, expires_at)))
    }

    /// Puts `nano` that are paid for and never expire into wallet number `wallet`, as lot number `lot`.
    pub fn grant_to(&self, wallet: u64, lot: u64, nano: i64) -> Booking {
        let wallet = Some(wallet_id(wallet));
        self.booking(Act::Grant(credit(wallet, lot, LotKind::Prepaid, nano, Timestamp::MAX)))
    }

    /// Puts `nano` that a payment brought into the own wallet, as lot number `lot`.
    pub fn top_up(&self, lot: u64, nano: i64, payment: &str) -> Booking {
        let grant = credit(None, lot, LotKind::Prepaid, nano, Timestamp::MAX);
        self.booking(Act::TopUp { grant, payment: payment.into() })
    }

    /// Redeems a promo code as lot number `lot`, in a wallet number `wallet` if one must be made.
    pub fn redeem(&self, code: &str, lot: u64, wallet: u64) -> Booking {
        self.booking(Act::Redeem { code: code.into(), lot: lot_id(lot), wallet: wallet_id(wallet) })
    }

    /// Makes wallet number `wallet`.
    pub fn open_wallet(&self, wallet: u64, purpose: Purpose) -> Booking {
        self.booking(Act::OpenWallet { wallet: wallet_id(wallet), purpose })
    }

    /// Moves `nano` between two wallets, as lots from number `lot` on.
    pub fn transfer(&self, from: u64, to: u64, nano: i64, lot: u64) -> Booking {
        let (from, to, amount) = (wallet_id(from), wallet_id(to), Money::from_nano(nano));
        self.booking(Act::Transfer { from, to, amount, lot: lot_id(lot) })
    }

    /// Gives `nano` of a call's charge back for good, as lot number `lot`.
    pub fn refund(&self, request: u64, nano: i64, lot: u64) -> Booking {
        let (request, amount, lot) = (request_id(request), Money::from_nano(nano), lot_id(lot));
        self.booking(Act::Refund { request, amount, lot, expires_at: Timestamp::MAX })
    }

    /// Pays `nano` back out of a wallet.
    pub fn pay_out(&self, wallet: u64, nano: i64, payout: u64) -> Booking {
        let (wallet, amount, payout) = (wallet_id(wallet), Money::from_nano(nano), lot_id(payout));
        self.booking(Act::PayOut { wallet, amount, payout })
    }

    /// Corrects a wallet by `nano`, for good, as lot number `lot`.
    pub fn adjust(&self, wallet: u64, nano: i64, lot: u64) -> Booking {
        let (wallet, amount, lot) = (wallet_id(wallet), Money::from_nano(nano), lot_id(lot));
        self.booking(Act::Adjust { wallet, amount, lot, expires_at: Timestamp::MAX })
    }

    /// Makes or changes a budget.
    pub fn set_budget(&self, budget: Budget) -> Booking {
        self.booking(Act::SetBudget(budget))
    }

    /// Ends budget number `budget`.
    pub fn remove_budget(&self, budget: u64) -> Booking {
        self.booking(Act::RemoveBudget(budget_id(budget)))
    }

    /// Does what has fallen due.
    pub const fn sweep(&self, warn_seconds: i64, stale_before: Timestamp) -> Command {
        Command::Sweep { organization: self.organization, warn_seconds, stale_before }
    }

    /// Sets `nano` aside for request number `request`, with a draft that costs nothing.
    pub fn hold(&self, request: u64, nano: i64) -> HoldRequest {
        let draft = CostRow { estimated: true, held: Money::from_nano(nano), ..self.row(request, 1, 0) };
        HoldRequest {
            organization: self.organization,
            request: request_id(request),
            amount: Money::from_nano(nano),
            least: Money::from_nano(nano),
            tokens: 0,
            ceiling: Vec::new(),
            grants_only: false,
            draft: Box::new(draft),
        }
    }

    /// Sees to it that `nano` are set aside, with a checkpoint that costs nothing.
    pub fn extend(&self, request: u64, nano: i64) -> Extension {
        Extension {
            organization: self.organization,
            request: request_id(request),
            amount: Money::from_nano(nano),
            least: Money::from_nano(nano),
            tokens: 0,
            usage: Usage::default(),
            cost_pico: 0,
            consumed: Vec::new(),
            ceiling: Vec::new(),
            grants_only: false,
            next: None,
        }
    }

    /// An attempt of this number at another model and target, with no other one beside it.
    pub fn next(&self, attempt: u32, model: &str, target: &str) -> NextAttempt {
        let provider = target.split('/').next().unwrap_or_default().into();
        let (model, target, price_version) = (model.into(), target.into(), format!("{target}@1").into());
        let (service_tier, class) = (ServiceTier::Standard, AccessClass::Direct);
        NextAttempt {
            attempt,
            at: START,
            model,
            target,
            provider,
            price_version,
            service_tier,
            class,
            list_pico: None,
            cover: None,
            earlier: vec![],
        }
    }

    /// Ends a hold with these rows.
    pub fn settle(&self, request: u64, rows: Vec<CostRow>) -> Command {
        Command::Settle { organization: self.organization, request: request_id(request), rows }
    }

    /// Ends a hold with one row that costs `nano`.
    pub fn settle_for(&self, request: u64, nano: i64) -> Command {
        self.settle(request, vec![self.row(request, 1, nano * 1_000)])
    }

    /// A row as a good answer leaves it, for `cost_pico` pico-units.
    pub fn row(&self, request: u64, attempt: u32, cost_pico: i64) -> CostRow {
        CostRow {
            organization: self.organization,
            request: request_id(request),
            attempt,
            at: START,
            project: project_id(1),
            key: KeyId::from_bytes([0x44; 16]),
            environment: "prod".into(),
            model: "small".into(),
            target: "simulated/sim-small".into(),
            provider: "simulated".into(),
            model_answered: None,
            price_version: "2026-09-01".into(),
            service_tier: ServiceTier::Standard,
            class: AccessClass::Direct,
            usage: Usage { input: 1_200, cached: 300, output: 250, reasoning: 40, ..Usage::default() },
            list_pico: None,
            cover: None,
            cost_pico,
            // An i64 of pico-units is always within Money once rounded.
            cost: Pico::new(i128::from(cost_pico)).ceil_to_money().unwrap_or(Money::MAX),
            reported_pico: None,
            status: AttemptStatus::Succeeded,
            reason: "stop".into(),
            estimated: false,
            http_status: 200,
            streamed: true,
            duration_us: 812_345,
            held: Money::ZERO,
            attribution: Attribution {
                user: Some("u-17".into()),
                feature: Some("sümmary".into()),
                app: Some("notes.example".into()),
                run: None,
            },
        }
    }
}

fn credit(wallet: Option<WalletId>, lot: u64, kind: LotKind, nano: i64, expires_at: Timestamp) -> Grant {
    Grant { wallet, lot: lot_id(lot), kind, amount: Money::from_nano(nano), expires_at }
}

impl From<Booking> for Command {
    fn from(booking: Booking) -> Self {
        Self::Book(Box::new(booking))
    }
}

impl From<HoldRequest> for Command {
    fn from(hold: HoldRequest) -> Self {
        Self::Hold(hold)
    }
}

impl From<Extension> for Command {
    fn from(extension: Extension) -> Self {
        Self::Extend(extension)
    }
}

impl From<PromoCode> for Command {
    fn from(code: PromoCode) -> Self {
        Self::Issue(code)
    }
}
