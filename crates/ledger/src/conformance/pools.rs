//! Pools: units that pay before money does, and strict ones that run out.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::{Money, Timestamp};

use super::{
    Answer, Payer, START, Trial, cover, extended, held, held_for, invalid, owes, parts, pool_key, short,
    strict,
};
use crate::{
    AttemptStatus, Command, CostRow, Cover, Denial, Extension, HoldRequest, LotKind, NextAttempt, Reply,
};

/// A hold that draws on a pool, with what of it the pool may pay for.
fn pooled(hold: HoldRequest, cover: Cover, ceiling: &[(u64, i64)]) -> HoldRequest {
    HoldRequest { ceiling: parts(ceiling), ..held_for(hold, |row| row.cover = Some(Box::new(cover))) }
}

/// A settlement with one row that costs so many pico-units, covered so.
fn settled(payer: Payer, request: u64, pico: i64, cover: Cover) -> Command {
    payer.settle(request, vec![CostRow { cover: Some(Box::new(cover)), ..payer.row(request, 1, pico) }])
}

fn used_up(pool: &str, cap: u64, used: u64) -> Answer {
    Err(Denial::PoolUsedUp { key: pool_key(pool), cap, used })
}

pub(super) fn pays_to_the_unit(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 1_000);
    // Of 10 units 7 are there: three must be paid in money, and no more than is asked for is set aside.
    let tokens = |units| cover("tokens", 7, &[(units, 1_000)]);
    trial.answers(pooled(payer.hold(1, 10), tokens(0), &[(10, 1_000)]), held(10 + 7));
    trial.expect_available(payer, 990);
    trial.expect_settled(settled(payer, 1, 10_500, tokens(10)), &[(1, 4)], 0);
    trial.expect_available(payer, 996);
    // Nothing is left: the next one pays for all of it, in the next period for nothing.
    trial.answers(pooled(payer.hold(2, 5), tokens(0), &[(5, 1_000)]), held(5));
    trial.expect_settled(settled(payer, 2, 5_000, tokens(5)), &[(1, 5)], 0);
    let mut tomorrow = tokens(5);
    tomorrow.key.start = tomorrow.key.start.plus_seconds(86_400);
    trial.does(payer.hold(3, 5));
    trial.expect_settled(settled(payer, 3, 5_000, tomorrow), &[], 0);
    // The first parts are paid for first, whatever they cost.
    let two = |cap| cover("mixed", cap, &[(2, 7_000), (3, 1_000)]);
    trial.does(payer.hold(4, 20));
    trial.expect_settled(settled(payer, 4, 17_000, two(3)), &[(1, 2)], 0);
    // More of it than before is left by a larger cap, and none by a smaller one.
    trial.does(payer.hold(5, 20));
    trial.expect_settled(settled(payer, 5, 17_000, two(4)), &[(1, 10)], 0);
    trial.does(payer.hold(6, 20));
    trial.expect_settled(settled(payer, 6, 17_000, two(2)), &[(1, 17)], 0);
    trial.expect_available(payer, 1_000 - 4 - 5 - 2 - 10 - 17);
}

pub(super) fn needs_the_rest_in_money(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.answers(payer.open(), Ok(Reply::Opened));
    let three = [(3, 333)];
    // All that is asked for is there: no money is needed, not even for the part of a nano-unit.
    let free = |cap| cover("free", cap, &[]);
    trial.answers(pooled(payer.hold(1, 1), free(3), &three), held(1));
    // What is counted on is not free for others, and two thirds are not worth a nano-unit.
    trial.answers(pooled(payer.hold(2, 1), free(3), &three), Err(short(0, 1)));
    trial.answers(pooled(payer.hold(2, 1), free(5), &three), Err(short(0, 1)));
    trial.answers(pooled(payer.hold(2, 1), free(6), &three), held(1));
    trial.answers(pooled(payer.hold(3, 5), free(12), &[(6, 500), (1, 0)]), Err(short(0, 2)));
    // Whoever needs no money is not asked for what is owed.
    trial.does(payer.settle_for(1, 4));
    trial.answers(payer.hold(3, 1), Err(owes(1, 4)));
    trial.answers(pooled(payer.hold(3, 1), free(6), &three), held(1));
    trial.answers(payer.hold(4, 0), held(0));
    trial.refuses([
        (pooled(payer.hold(5, 1), cover(" ", 1, &[]), &[]), invalid("cover")),
        (pooled(payer.hold(5, 1), cover(&"p".repeat(129), 1, &[]), &[]), invalid("cover")),
        (pooled(payer.hold(5, 1), cover("free", 1, &[(1, 1)]), &[]), invalid("cover")),
        (pooled(payer.hold(5, 1), cover("free", 1, &[(0, -1)]), &[]), invalid("cover")),
        (pooled(payer.hold(5, 1), Cover { units: 1, ..free(1) }, &[]), invalid("cover")),
        (pooled(payer.hold(5, 1), free(1), &[(1, -1)]), invalid("ceiling")),
    ]);
    trial.answers(settled(payer, 2, 5, cover("free", 1, &[(6, 1)])), Err(invalid("cover")));
}

pub(super) fn pays_who_comes_first(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    let tokens = |units| cover("tokens", 10, &[(units, 1_000)]);
    // The first counts on all there is, and keeps nothing from whoever ends before it.
    trial.answers(
        pooled(HoldRequest { least: Money::ZERO, ..payer.hold(1, 10) }, tokens(0), &[(10, 1_000)]),
        held(20),
    );
    trial.answers(pooled(payer.hold(2, 10), tokens(0), &[(10, 1_000)]), held(10));
    trial.expect_settled(settled(payer, 2, 8_000, tokens(8)), &[], 0);
    trial.expect_settled(settled(payer, 1, 12_000, tokens(12)), &[(1, 10)], 0);
    trial.expect_available(payer, 90);
    // What it counted on is let go when it ends, so that the next one finds what is left.
    let two = |units| cover("two", 10, &[(units, 1_000)]);
    trial.answers(pooled(payer.hold(3, 10), two(0), &[(10, 1_000)]), held(20));
    trial.expect_settled(settled(payer, 3, 4_000, two(4)), &[], 0);
    trial.answers(pooled(payer.hold(4, 10), two(0), &[(10, 1_000)]), held(16));
    trial.expect_settled(payer.settle_for(4, 0), &[], 0);
    trial.answers(pooled(payer.hold(5, 10), two(0), &[(10, 1_000)]), held(16));
}

pub(super) fn moves_to_another_pool(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    let ceiling = [(5, 1_000)];
    let counted = |request, pool, expected| {
        trial.answers(pooled(payer.hold(request, 5), cover(pool, 5, &[]), &ceiling), held(expected));
        trial.does(payer.settle_for(request, 0));
    };
    trial.answers(pooled(payer.hold(1, 5), cover("one", 5, &[]), &ceiling), held(10));
    counted(2, "one", 5);
    let next = |attempt, cover, units| {
        let earlier = (1..attempt).map(|attempt| payer.row(1, attempt, 0)).collect();
        let next = NextAttempt { cover, earlier, ..payer.next(attempt, "small", "other/model") };
        Extension { ceiling: parts(&[(units, 1_000)]), next: Some(Box::new(next)), ..payer.extend(1, 0) }
    };
    trial.answers(next(2, Some(Box::new(cover("two", 5, &[]))), 5), extended(10));
    counted(3, "one", 10);
    counted(4, "two", 5);
    // In the same pool it counts on more, as far as there is more, and twice is once; without one it lets go of all.
    for _ in 0..2 {
        trial.answers(next(3, Some(Box::new(cover("two", 7, &[]))), 9), extended(12));
    }
    trial.answers(pooled(payer.hold(5, 5), cover("two", 8, &[]), &ceiling), held(6));
    trial.does(payer.settle_for(5, 0));
    trial.answers(next(4, None, 9), extended(5));
    counted(6, "two", 10);
    // The pool pays for what each attempt says, also for one that failed.
    let covered = |attempt, pool, units: u64| CostRow {
        cover: Some(Box::new(cover(pool, 5, &[(units, 1_000)]))),
        ..payer.row(1, attempt, i64::try_from(units).unwrap_or_default() * 1_000)
    };
    let failed = CostRow { status: AttemptStatus::Failed, ..covered(1, "one", 2) };
    let rows = vec![failed, covered(2, "two", 4), covered(3, "two", 4)];
    trial.expect_settled(payer.settle(1, rows), &[(1, 3)], 0);
}

pub(super) fn lets_go_on_for_what_is_lacking(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 10);
    let tokens = || cover("tokens", 50, &[]);
    trial.answers(pooled(payer.hold(1, 10), tokens(), &[(10, 1_000)]), held(20));
    // All the money there is is held already: it is enough where no pool pays, and not for more.
    let next = |nano, least, cover| {
        let earlier = vec![payer.row(1, 1, 0)];
        let next = NextAttempt { cover, earlier, ..payer.next(2, "small", "other/model") };
        let least = Money::from_nano(least);
        Extension { least, next: Some(Box::new(next)), ..payer.extend(1, nano) }
    };
    trial.answers(next(12, 11, None), Err(short(0, 1)));
    for _ in 0..2 {
        trial.answers(next(12, 10, None), extended(10));
    }
    trial.expect_available(payer, 0);
    let ceiling = parts(&[(60, 1_000)]);
    trial.answers(
        Extension { ceiling: ceiling.clone(), ..next(60, 60, Some(Box::new(tokens()))) },
        extended(60),
    );
    trial.answers(Extension { ceiling, ..next(61, 61, Some(Box::new(tokens()))) }, Err(short(0, 1)));
    trial.expect_settled(payer.settle_for(1, 10), &[(1, 10)], 0);
}

pub(super) fn settles_what_nobody_ends(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    let tokens = || cover("tokens", 6, &[]);
    trial.answers(pooled(payer.hold(1, 20), tokens(), &[(20, 1_000)]), held(26));
    let consumed = parts(&[(8, 1_000)]);
    trial.answers(
        Extension { cost_pico: 7_999, consumed: consumed.clone(), ..payer.extend(1, 0) },
        Err(invalid("cover")),
    );
    trial.answers(Extension { cost_pico: 9_000, consumed, ..payer.extend(1, 0) }, extended(20));
    trial.answers(payer.sweep(0, Timestamp::MAX), Ok(Reply::Swept(1)));
    // Six of eight units are paid for, and a nano-unit that no pool covers is charged.
    trial.expect_available(payer, 97);
    let too_large = Denial::RefundTooLarge { charged: Money::from_nano(3), refunded: Money::ZERO };
    trial.answers(payer.refund(1, 4, 2), Err(too_large));
    trial.answers(pooled(payer.hold(2, 1), tokens(), &[(1, 1_000)]), held(1));
}

pub(super) fn grants_alone_may_pay(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    let granted = |request, nano, least| HoldRequest {
        least: Money::from_nano(least),
        grants_only: true,
        ..payer.hold(request, nano)
    };
    trial.answers(granted(1, 1, 1), Err(short(0, 1)));
    trial.answers(granted(1, 1, 0), held(0));
    trial.does(payer.grant(2, LotKind::Promo, 20, Timestamp::MAX));
    trial.answers(granted(2, 21, 21), Err(short(20, 21)));
    trial.answers(granted(2, 21, 5), held(20));
    trial.answers(granted(3, 1, 1), Err(short(0, 1)));
    trial.does(payer.settle_for(2, 8));
    // What others hold is promotional as far as it can be.
    trial.answers(payer.hold(4, 7), held(7));
    trial.answers(granted(5, 6, 6), Err(short(5, 6)));
    trial.answers(granted(5, 4, 4), held(4));
    let more = |nano| Extension { grants_only: true, ..payer.extend(5, nano) };
    trial.answers(more(6), Err(short(1, 2)));
    trial.answers(more(5), extended(5));
    trial.answers(payer.extend(5, 7), extended(7));
    // What is due is there no more, though nobody has expired it yet.
    trial.does(payer.settle_for(4, 0));
    trial.does(payer.settle_for(5, 12));
    trial.does(payer.grant(3, LotKind::Promo, 9, START.plus_seconds(60)));
    trial.clock.advance_seconds(60);
    trial.answers(granted(6, 1, 1), Err(short(0, 1)));
}

/// A strict pool of ten units, and many who want one at once.
pub(super) fn gives_out_no_more_than_it_has(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.answers(payer.open(), Ok(Reply::Opened));
    let admitted = AtomicU64::new(0);
    let ask = |request| {
        let hold = pooled(payer.hold(request, 0), strict("free", 10, 1), &[]);
        match trial.answer(trial.submit(hold)) {
            Ok(Reply::Held(Money::ZERO)) => drop(admitted.fetch_add(1, Ordering::SeqCst)),
            answer => assert_eq!(answer, used_up("free", 10, 10), "{}", trial.place),
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..16 {
            scope.spawn(move || (0..4).for_each(|number| ask(thread * 4 + number)));
        }
    });
    assert_eq!(admitted.into_inner(), 10, "{}", trial.place);
}

pub(super) fn keeps_what_was_taken(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    let free = |units| Some(Box::new(strict("free", 2, units)));
    let take = |request, units| pooled(payer.hold(request, 5), strict("free", 2, units), &[]);
    let row = |request, attempt, cover| CostRow {
        status: AttemptStatus::Failed,
        cover,
        ..payer.row(request, attempt, 0)
    };
    // Asking takes nothing; an attempt that failed has taken its unit all the same.
    trial.answers(Command::Probe(take(1, 2)), Ok(Reply::WouldHold(Money::from_nano(5))));
    trial.answers(take(1, 1), held(5));
    trial.does(payer.settle(1, vec![row(1, 1, free(1))]));
    trial.answers(take(2, 2), used_up("free", 2, 1));
    trial.answers(take(2, 1), held(5));
    // It is tried again elsewhere, which takes another unit, and there is none.
    let next = |attempt, cover: Option<Box<Cover>>, earlier| Extension {
        next: Some(Box::new(NextAttempt { cover, earlier, ..payer.next(attempt, "small", "other/model") })),
        ..payer.extend(2, 0)
    };
    trial.answers(next(2, free(1), vec![row(2, 1, free(1))]), used_up("free", 2, 2));
    trial.answers(take(3, 1), used_up("free", 2, 2));
    // One that was never sent goes elsewhere and gives its unit back; then another may have it.
    trial.answers(next(1, None, Vec::new()), extended(5));
    trial.answers(take(3, 1), held(5));
    trial.answers(next(1, free(1), Vec::new()), used_up("free", 2, 2));
    // The pool pays for all that is said, and money for what is beyond.
    let paid = Some(Box::new(Cover { parts: parts(&[(1, 2_000)]), ..strict("free", 2, 1) }));
    let rows = vec![row(3, 1, free(1)), CostRow { cover: paid, ..payer.row(3, 2, 3_500) }];
    trial.expect_settled(payer.settle(3, rows), &[(1, 2)], 0);
    trial.answers(take(4, 1), used_up("free", 2, 3));
    trial.answers(take(4, 0), held(5));
    // A settlement that took less than its hold gives the rest back.
    trial.answers(pooled(payer.hold(5, 5), strict("free", 9, 4), &[]), held(5));
    trial.does(payer.settle(5, vec![row(5, 1, free(1))]));
    trial.answers(pooled(payer.hold(6, 5), strict("free", 9, 6), &[]), used_up("free", 9, 4));
    trial.answers(pooled(payer.hold(6, 5), strict("free", 9, 5), &[]), held(5));
}
