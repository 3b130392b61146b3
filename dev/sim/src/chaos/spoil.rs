//! Commands made wrong, one field at a time: what a caller with a bug would send.

use domain::{Money, OrganizationId, Timestamp, WalletId};
use ledger::{Act, Booking, Command, CostRow, Cover, Grant, LotKind, Part, PoolKey};

use super::id;
use crate::Random;

/// Makes a command wrong in one place; sometimes it stays right.
pub(super) fn spoil(command: &mut Command, random: &mut Random) {
    match command {
        Command::Hold(hold) | Command::Probe(hold) => match random.below(9) {
            8 => hold.ceiling = vec![Part { units: 0, unit_pico: -1 }],
            0 => hold.amount = Money::from_nano(-1),
            1 => hold.least = Money::from_nano(-1),
            2 => hold.least = hold.amount.checked_add(Money::from_nano(1)).unwrap_or(Money::MAX),
            3 => hold.tokens = u64::MAX,
            4 => hold.amount = Money::MAX,
            _ => spoil_row(&mut hold.draft, random),
        },
        Command::Extend(extension) => match random.below(11) {
            9 => extension.least = Money::from_nano(-1),
            10 => extension.least = extension.amount.checked_add(Money::from_nano(1)).unwrap_or(Money::MAX),
            7 => extension.ceiling.push(Part { units: 1, unit_pico: -1 }),
            8 => extension.consumed.push(Part { units: 1, unit_pico: -1 }),
            4 => {
                let earlier = extension.next.as_mut().and_then(|next| next.earlier.last_mut());
                earlier.into_iter().for_each(|row| spoil_row(row, random));
            }
            5 => extension.next.iter_mut().for_each(|next| drop(next.earlier.pop())),
            0 => extension.amount = Money::from_nano(-1),
            1 => extension.cost_pico = -1,
            2 => extension.tokens = u64::MAX,
            3 => extension.next.iter_mut().for_each(|next| next.attempt = 0),
            _ => extension.amount = Money::MAX,
        },
        Command::Settle { rows, .. } => match random.below(4) {
            0 => rows.clear(),
            1 => rows.extend(rows.clone()),
            _ => {
                let position = random.position(rows.len());
                if let Some(row) = rows.get_mut(position) {
                    spoil_row(row, random);
                }
            }
        },
        Command::Sweep { warn_seconds, stale_before, .. } => {
            if random.chance(500) {
                *warn_seconds = i64::MAX;
            } else {
                *stale_before = Timestamp::MAX;
            }
        }
        Command::Issue(code) => match random.below(6) {
            5 => code.models = vec![" ".into()],
            0 => code.code = "bad".into(),
            1 => code.amount = Money::ZERO,
            2 => code.uses_max = 0,
            3 => code.credit_seconds = Some(0),
            _ => code.code = "lower-case".into(),
        },
        Command::Open { wallet, .. } => *wallet = WalletId::from_bytes(id(4, 98)),
        Command::Book(booking) => spoil_booking(booking, random),
    }
}

fn spoil_row(row: &mut CostRow, random: &mut Random) {
    match random.below(6) {
        5 => row.cover = Some(Box::new(unfit_cover(random))),
        0 => row.attempt = 0,
        1 => row.organization = OrganizationId::from_bytes(id(1, 77)),
        2 => row.request = domain::RequestId::from_bytes(id(6, 7)),
        3 => row.cost = row.cost.checked_add(Money::from_nano(1)).unwrap_or_default(),
        _ => row.cost_pico = -1,
    }
}

fn unfit_cover(random: &mut Random) -> Cover {
    let key = PoolKey { pool: "tokens".into(), start: Timestamp::from_micros(0) };
    let mut cover = Cover { key, cap: 9, strict: random.chance(500), parts: Vec::new(), units: 0 };
    match random.below(8) {
        6 => cover.parts = vec![Part { units: 1, unit_pico: 0 }; 100],
        7 => cover.parts = vec![Part { units: 1, unit_pico: 0 }; 101],
        0 => cover.key.pool = "".into(),
        1 => cover.key.pool = " ".into(),
        2 => cover.key.pool = "p".repeat(129).into(),
        3 => cover.units = 1,
        4 => cover.parts = vec![Part { units: 0, unit_pico: -1 }],
        _ => cover.parts = vec![Part { units: u64::MAX, unit_pico: i64::MAX }],
    }
    cover
}

fn spoil_booking(booking: &mut Booking, random: &mut Random) {
    // An answer is remembered by its key; a wrong body under the same key would only be a conflict.
    if random.chance(700) {
        booking.idempotency = None;
    }
    match random.below(6) {
        0 => booking.note.actor = "".into(),
        1 => booking.note.actor = "a".repeat(129).into(),
        2 => booking.note.reason = Some("r".repeat(501).into()),
        3 => booking.note.reason = Some("".into()),
        _ => spoil_act(&mut booking.act, random),
    }
}

fn spoil_act(act: &mut Act, random: &mut Random) {
    let nobody = WalletId::from_bytes(id(4, 99));
    match act {
        Act::TopUp { payment, .. } if random.chance(150) => *payment = "".into(),
        Act::TopUp { payment, .. } if random.chance(150) => *payment = "p".repeat(129).into(),
        Act::Grant(grant) | Act::TopUp { grant, .. } => spoil_grant(grant, random),
        Act::Redeem { code, .. } => *code = "NO-SUCH-CODE".into(),
        Act::OpenWallet { purpose, .. } => match random.below(8) {
            0 => purpose.name = " ".into(),
            1 => purpose.name = "n".repeat(129).into(),
            2 => purpose.models = vec!["m".repeat(129).into()],
            3 => purpose.models = vec![" ".into()],
            4 => purpose.models = vec!["m".into(); 101],
            5 => (purpose.project, purpose.models) = (None, Vec::new()),
            6 => purpose.models.reverse(),
            _ => (purpose.overflow, purpose.models) = (true, vec!["m".into()]),
        },
        Act::Transfer { from, to, amount, .. } => match random.below(5) {
            0 => *to = *from,
            1 => *to = nobody,
            2 => *from = nobody,
            3 => *amount = Money::MAX,
            _ => *amount = Money::ZERO,
        },
        Act::Refund { amount, expires_at, .. } => match random.below(4) {
            0 => *amount = Money::ZERO,
            1 => *amount = Money::MAX,
            2 => *amount = Money::from_nano(-1),
            _ => *expires_at = Timestamp::from_micros(0),
        },
        Act::PayOut { wallet, amount, .. } => match random.below(3) {
            0 => *wallet = nobody,
            1 => *amount = Money::from_nano(-1),
            _ => *amount = Money::ZERO,
        },
        Act::Adjust { wallet, amount, expires_at, .. } => match random.below(5) {
            0 => *wallet = nobody,
            1 => *amount = Money::ZERO,
            2 => *amount = Money::from_nano(i64::MIN),
            3 => *amount = Money::MAX,
            _ => *expires_at = Timestamp::from_micros(0),
        },
        Act::SetBudget(budget) => match random.below(6) {
            0 => budget.caps = ledger::Caps::default(),
            1 => budget.caps.cost = Some(Money::from_nano(-1)),
            2 => budget.thresholds = vec![50, 50],
            3 => budget.thresholds = vec![0],
            4 => budget.thresholds = vec![101],
            _ => budget.thresholds = vec![80, 50],
        },
        Act::RemoveBudget(budget) => *budget = domain::BudgetId::from_bytes(id(7, 1)),
    }
}

fn spoil_grant(grant: &mut Grant, random: &mut Random) {
    match random.below(6) {
        0 => grant.kind = LotKind::Adjustment,
        1 => grant.kind = LotKind::Refund,
        2 => grant.amount = Money::ZERO,
        3 => grant.amount = Money::MAX,
        4 => grant.expires_at = Timestamp::from_micros(0),
        _ => grant.wallet = Some(WalletId::from_bytes(id(4, 99))),
    }
}
