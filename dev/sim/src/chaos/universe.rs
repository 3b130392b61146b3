//! The small universe of one seed: who there is, what things cost, how often what happens. Everything is few and small,
//! so that it collides.

use std::sync::Arc;

use domain::{KeyId, OrganizationId, ProjectId, Timestamp, Zone};
use ledger::PoolKey;

use crate::Random;

/// How large amounts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// A few nano-units: everything collides.
    Tiny,
    /// What people pay.
    Usual,
    /// Near what 64 bits hold.
    Huge,
}

/// Kinds of commands, as they are weighed.
pub const KINDS: usize = 16;

/// How often faults happen, in permille of the commands.
#[derive(Clone, Copy, Debug)]
pub struct FaultRates {
    /// The command before once more.
    pub duplicate: u64,
    /// A command is held back, and delivered later.
    pub late: u64,
    /// A booking is asked again under its key.
    pub retry: u64,
    /// The clock jumps.
    pub jump: u64,
    /// The clock stands still for a while.
    pub freeze_clock: u64,
    /// The process dies.
    pub crash: u64,
    /// Idle consumption is dropped from memory.
    pub forget: u64,
    /// The books are frozen.
    pub freeze: u64,
    /// A command is spoilt.
    pub spoil: u64,
    /// A call names a request that is not live.
    pub wrong_request: u64,
    /// A provider reports far more than was held for.
    pub over_report: u64,
    /// A provider reports nothing.
    pub under_report: u64,
    /// The price at the end differs from the one at the beginning.
    pub price_change: u64,
}

/// Who there is and what happens how often.
#[derive(Clone, Debug)]
pub struct Universe {
    /// Organizations.
    pub organizations: Vec<OrganizationId>,
    /// Projects; every organization has the same ids, which harms nobody.
    pub projects: Vec<ProjectId>,
    /// Keys.
    pub keys: Vec<KeyId>,
    /// End users.
    pub users: Vec<Box<str>>,
    /// Features.
    pub features: Vec<Box<str>>,
    /// Runs.
    pub runs: Vec<Box<str>>,
    /// Environments.
    pub environments: Vec<Arc<str>>,
    /// Models, as asked for and as targets.
    pub models: Vec<[Arc<str>; 2]>,
    /// Patterns of models, for wallets and codes.
    pub patterns: Vec<Box<str>>,
    /// Prices: a version and pico-units per token.
    pub prices: Vec<(Arc<str>, u64)>,
    /// Pools, in their periods, each with the units that it mostly has, and whether it is strict.
    pub pools: Vec<(PoolKey, u64, bool)>,
    /// How often an attempt draws on a pool, in permille.
    pub pooled: u64,
    /// How often promotional credit alone may pay, in permille.
    pub grants_only: u64,
    /// Time zones.
    pub zones: Vec<Zone>,
    /// Reasons why attempts ended.
    pub reasons: Vec<Arc<str>>,
    /// The provider.
    pub provider: Arc<str>,
    /// How large amounts are.
    pub scale: Scale,
    /// An amount that is neither small nor large here, in nano-units.
    pub unit: i64,
    /// Weights of the kinds of commands.
    pub weights: [u64; KINDS],
    /// How often faults happen.
    pub faults: FaultRates,
    /// The longest time between two commands, in microseconds.
    pub pause: i64,
    /// What expiries are multiples of, in microseconds.
    pub quantum: i64,
    /// Live holds that are not passed by much.
    pub holds_most: usize,
    /// Wallets beside the own one that are not passed.
    pub wallets_most: usize,
    /// Budgets that are not passed.
    pub budgets_most: usize,
}

/// An id of a kind, with a number.
pub fn id(kind: u8, number: u32) -> [u8; 16] {
    let [a, b, c, d] = number.to_be_bytes();
    [kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d, 0, 0]
}

impl Universe {
    /// The universe of a seed.
    pub fn new(random: &mut Random) -> Self {
        let scale = match random.below(10) {
            0..=4 => Scale::Tiny,
            5..=8 => Scale::Usual,
            _ => Scale::Huge,
        };
        let unit = match scale {
            Scale::Tiny => random.within(3, 30),
            Scale::Usual => 10_i64.saturating_pow(u32::try_from(random.within(3, 10)).unwrap_or(3)),
            Scale::Huge => i64::MAX / random.within(2, 9),
        };
        let several = |random: &mut Random, most: u64| 1 + u32::try_from(random.below(most)).unwrap_or(0);
        let names = |random: &mut Random, stem: &str, most: u64| -> Vec<Box<str>> {
            (0..several(random, most)).map(|number| format!("{stem}{number}").into()).collect()
        };
        let organizations = several(random, 3);
        let projects = several(random, 3);
        let keys = several(random, 3);
        Self {
            organizations: (1..=organizations).map(|n| OrganizationId::from_bytes(id(1, n))).collect(),
            projects: (1..=projects).map(|n| ProjectId::from_bytes(id(2, n))).collect(),
            keys: (1..=keys).map(|n| KeyId::from_bytes(id(3, n))).collect(),
            users: names(random, "user", 3),
            features: names(random, "feature", 2),
            runs: names(random, "run", 4),
            environments: vec!["dev".into(), "prod".into()],
            models: [("small", "p/s-1"), ("small-fast", "p/s-2"), ("large", "q/l-1")]
                .map(|(model, target)| [model.into(), target.into()])
                .into(),
            patterns: ["small", "small*", "p/s-2", "q/*", "large", "*"].map(Box::from).into(),
            prices: (0..3).map(|n| (format!("v{n}").into(), price(random, scale))).collect(),
            pools: pools(random),
            pooled: if random.chance(300) { 0 } else { random.below(1_000) },
            grants_only: if random.chance(500) { 0 } else { random.below(400) },
            zones: zones(random),
            reasons: ["stop", "length", "client_closed"].map(Arc::from).into(),
            provider: "p".into(),
            scale,
            unit,
            weights: weights(random),
            faults: FaultRates::new(random),
            pause: 10_i64.saturating_pow(u32::try_from(random.within(1, 10)).unwrap_or(6)),
            quantum: 10_i64.saturating_pow(u32::try_from(random.within(2, 12)).unwrap_or(9)),
            holds_most: random.position(24) + 1,
            wallets_most: random.position(6),
            budgets_most: random.position(8),
        }
    }
}

fn price(random: &mut Random, scale: Scale) -> u64 {
    match scale {
        Scale::Tiny => 1 + random.below(3_000),
        Scale::Usual => 1 + random.below(60_000_000),
        Scale::Huge => 1 + random.below(1_000_000_000_000),
    }
}

/// Up to three pools of two or three periods each. The first is strict.
fn pools(random: &mut Random) -> Vec<(PoolKey, u64, bool)> {
    const DAY: i64 = 86_400_000_000;
    let mut pools = Vec::new();
    for (name, strict, most) in [("free", true, 12), ("tokens", false, 200), ("fees", false, 20)] {
        if random.chance(250) {
            continue;
        }
        for day in 0..2 + random.within(0, 1) {
            let key = PoolKey { pool: name.into(), start: Timestamp::from_micros(day * DAY) };
            let cap = match random.below(8) {
                0 => 0,
                1 => 1 << 30,
                2 => random.below(3),
                _ => random.below(most),
            };
            pools.push((key, cap, strict));
        }
    }
    pools
}

fn zones(random: &mut Random) -> Vec<Zone> {
    let mut zones = vec![Zone::default()];
    if random.chance(400) {
        let names =
            ["Asia/Tokyo", "America/New_York", "Europe/Berlin", "Pacific/Chatham", "America/Santiago"];
        zones.extend(random.pick(&names).and_then(|name| name.parse().ok()));
    }
    zones
}

/// Calls are most of what happens, but each seed has its own mixture, and lacks something.
fn weights(random: &mut Random) -> [u64; KINDS] {
    let usual: [u64; KINDS] = [300, 80, 280, 15, 30, 15, 12, 8, 12, 20, 8, 15, 12, 4, 4, 1];
    usual.map(|weight| match random.below(8) {
        0 => 0,
        1 | 2 => weight * 4,
        3 => weight.div_ceil(4),
        _ => weight,
    })
}

impl FaultRates {
    fn new(random: &mut Random) -> Self {
        let mut rate = |most: u64| if random.chance(300) { 0 } else { random.below(most) };
        Self {
            duplicate: rate(60),
            late: rate(80),
            retry: rate(60),
            jump: rate(20),
            freeze_clock: rate(20),
            crash: rate(8),
            forget: rate(20),
            freeze: rate(5),
            spoil: rate(120),
            wrong_request: rate(80),
            over_report: rate(200),
            under_report: rate(200),
            price_change: rate(400),
        }
    }
}
