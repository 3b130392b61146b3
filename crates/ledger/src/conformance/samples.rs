//! What the suite asks with, and the tests of stores may: a clock to turn by hand, payers with their commands, rows.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use domain::{
    Clock, KeyId, LotId, Money, OrganizationId, Pico, ProjectId, RequestId, Timestamp, Usage, WalletId,
};

use crate::{AttemptStatus, Attribution, Command, CostRow, Grant, HoldRequest, LotKind};

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

/// The request number `n`.
pub fn request_id(n: u64) -> RequestId {
    RequestId::from_bytes(numbered(n))
}

fn numbered(n: u64) -> [u8; 16] {
    u128::from(n).to_be_bytes()
}

/// An organization with one wallet, and the commands it gives. Amounts are in nano-units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer {
    /// The wallet.
    pub wallet: WalletId,
    /// Its owner.
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

    /// Makes the wallet.
    pub const fn open(&self) -> Command {
        Command::Open { wallet: self.wallet, organization: self.organization }
    }

    /// Puts `nano` in, as lot number `lot`.
    pub fn grant(&self, lot: u64, kind: LotKind, nano: i64, expires_at: Timestamp) -> Grant {
        let amount = Money::from_nano(nano);
        Grant { wallet: self.wallet, lot: lot_id(lot), kind, amount, expires_at, idempotency: None }
    }

    /// Sets `nano` aside for request number `request`, with a draft that costs nothing.
    pub fn hold(&self, request: u64, nano: i64) -> HoldRequest {
        let draft = CostRow { estimated: true, held: Money::from_nano(nano), ..self.row(request, 1, 0) };
        HoldRequest {
            wallet: self.wallet,
            request: request_id(request),
            amount: Money::from_nano(nano),
            draft: Box::new(draft),
        }
    }

    /// Sets `nano` more aside, with a checkpoint that costs nothing.
    pub fn extend(&self, request: u64, nano: i64) -> Command {
        let (request, amount) = (request_id(request), Money::from_nano(nano));
        Command::Extend { wallet: self.wallet, request, amount, usage: Usage::default(), cost_pico: 0 }
    }

    /// Ends a hold with these rows.
    pub fn settle(&self, request: u64, rows: Vec<CostRow>) -> Command {
        Command::Settle { wallet: self.wallet, request: request_id(request), rows }
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
            project: ProjectId::from_bytes([0x33; 16]),
            key: KeyId::from_bytes([0x44; 16]),
            environment: "prod".into(),
            model: "small".into(),
            target: "simulated/sim-small".into(),
            provider: "simulated".into(),
            model_answered: None,
            price_version: "2026-09-01".into(),
            usage: Usage { input: 1_200, cached: 300, output: 250, reasoning: 40, ..Usage::default() },
            cost_pico,
            // An i64 of pico-units is always within Money once rounded.
            cost: Pico::new(i128::from(cost_pico)).ceil_to_money().unwrap_or(Money::MAX),
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
                run: None,
            },
        }
    }
}

impl From<Grant> for Command {
    fn from(grant: Grant) -> Self {
        Self::Grant(grant)
    }
}

impl From<HoldRequest> for Command {
    fn from(hold: HoldRequest) -> Self {
        Self::Hold(hold)
    }
}
