//! Budgets: whom they count, when they begin anew, what they cap, and how they change.

use domain::{KeyId, Money, Timestamp, Zone};

use super::{
    Answer, Payer, START, Trial, budget, budget_id, cost_cap, extended, held, held_for, invalid, project_id,
    short, unknown,
};
use crate::{
    Budget, BudgetBound, Caps, CostRow, Denial, Extension, HoldRequest, LotKind, Measure, Period, Reply,
    Subject, Tag,
};

const DAY: i64 = 86_400;
/// Tokens of a row of [`Payer::row`].
const ROW_TOKENS: u64 = 1_200 + 300 + 250;

/// What a budget of all calls for all time says when it is exhausted.
struct Bound(Budget, Measure, [i64; 3]);

impl Bound {
    fn refusal(self, value: &str, resets_at: Option<Timestamp>) -> Denial {
        let Self(budget, measure, figures) = self;
        let [cap, used, needed] = figures.map(|figure| match measure {
            Measure::Cost => Money::from_nano(figure).to_string(),
            Measure::Tokens | Measure::Steps => figure.to_string(),
        });
        let (subject, value) = (budget.subject, value.into());
        Denial::BudgetExceeded(Box::new(BudgetBound {
            budget: budget.id,
            subject,
            value,
            measure,
            cap,
            used,
            needed,
            resets_at,
        }))
    }
}

/// Whether a budget stopped it, whatever the figures.
fn refused(answer: &Answer, number: u64) -> bool {
    matches!(answer, Err(Denial::BudgetExceeded(bound)) if bound.budget == budget_id(number))
}

fn set(trial: &Trial<'_>, payer: Payer, budget: Budget) {
    trial.answers(payer.set_budget(budget.clone()), Ok(Reply::BudgetSet(Box::new(budget))));
}

/// Changes what a call says of itself.
type Said = fn(&mut CostRow);

pub(super) fn counts_subjects(trial: &Trial<'_>) {
    let usual = Payer::number(1).row(1, 1, 0);
    let (project, key) = (usual.project.to_string(), usual.key.to_string());
    let some = |name: &str| Some(Box::from(name));
    let elsewhere: Said = |row| row.project = project_id(2);
    let other_key: Said = |row| row.key = KeyId::from_bytes([9; 16]);
    let of_run: Said = |row| row.attribution.run = Some("r-1".into());
    let other_run: Said = |row| row.attribution.run = Some("r-2".into());
    let nobody: Said = |row| row.attribution.user = None;
    let somebody: Said = |row| row.attribution.user = Some("u-1".into());
    let chat: Said = |row| row.attribution.feature = Some("chat".into());
    let big: Said = |row| row.model = "big".into();
    let dev: Said = |row| row.environment = "dev".into();
    // The subject, two calls that it counts together, and one that it counts apart or not at all.
    let subjects: [(Subject, [Said; 2], Option<Said>); 13] = [
        (Subject::Organization, [elsewhere, other_key], None),
        (Subject::Project(some(&project)), [big, other_key], Some(elsewhere)),
        (Subject::Project(None), [big, other_key], Some(elsewhere)),
        (Subject::Key(some(&key)), [elsewhere, big], Some(other_key)),
        (Subject::Key(None), [elsewhere, big], Some(other_key)),
        (Subject::User(some("u-17")), [elsewhere, big], Some(somebody)),
        (Subject::User(None), [elsewhere, big], Some(nobody)),
        (Subject::Tag(Tag::Feature, some("sümmary")), [elsewhere, big], Some(chat)),
        (Subject::Tag(Tag::Feature, None), [elsewhere, big], Some(chat)),
        (Subject::Tag(Tag::Environment, some("prod")), [elsewhere, big], Some(dev)),
        (Subject::Tag(Tag::Environment, None), [elsewhere, big], Some(dev)),
        (Subject::Run(some("r-1")), [of_run, of_run], Some(other_run)),
        (Subject::Run(None), [of_run, of_run], Some(other_run)),
    ];
    for (n, (subject, [first, second], other)) in (1..).zip(subjects) {
        let payer = Payer::number(n);
        let place = format!("{}: {subject:?}", trial.place);
        trial.fund(payer, 1, 1_000);
        set(trial, payer, budget(1, subject, Period::Total, cost_cap(100)));
        let call = |request, said: Said| trial.ask(held_for(payer.hold(request, 60), said));
        assert_eq!(call(1, first), held(60), "{place}");
        assert!(refused(&call(2, second), 1), "{place}");
        if let Some(other) = other {
            assert_eq!(call(3, other), held(60), "{place}");
        }
        // What was reserved becomes what was spent, and no more.
        trial.does(payer.settle_for(1, 40));
        assert_eq!(call(4, second), held(60), "{place}");
        assert!(refused(&call(5, first), 1), "{place}");
    }
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap_or_default()
}

pub(super) fn begins_anew(trial: &Trial<'_>) {
    let periods = [
        (Period::Daily, "UTC", "2026-09-22T00:00:00Z"),
        (Period::Daily, "Europe/Berlin", "2026-09-21T22:00:00Z"),
        (Period::Weekly, "UTC", "2026-09-28T00:00:00Z"),
        (Period::Weekly, "Asia/Tokyo", "2026-09-27T15:00:00Z"),
        (Period::Monthly, "UTC", "2026-10-01T00:00:00Z"),
        (Period::Monthly, "America/New_York", "2026-10-01T04:00:00Z"),
        (Period::Total, "UTC", ""),
    ];
    for (n, (period, zone, end)) in (1..).zip(periods) {
        let payer = Payer::number(n);
        let zone: Zone = zone.parse().unwrap_or_default();
        trial.clock.set(START);
        trial.fund(payer, 1, 1_000);
        let daily = Budget { zone, ..budget(1, Subject::Organization, period, cost_cap(100)) };
        set(trial, payer, daily.clone());
        let ends = (!end.is_empty()).then(|| moment(end));
        let full = Bound(daily.clone(), Measure::Cost, [100, 100, 1]).refusal("", ends);
        trial.answers(payer.hold(1, 100), held(100));
        trial.answers(payer.hold(2, 1), Err(full.clone()));
        trial.does(payer.settle_for(1, 100));
        let end = ends.unwrap_or(START.plus_seconds(20 * 366 * DAY));
        trial.clock.set(end.plus_micros(-1));
        trial.answers(payer.hold(2, 1), Err(full.clone()));
        trial.clock.set(end);
        if ends.is_none() {
            trial.answers(payer.hold(2, 1), Err(full));
            continue;
        }
        trial.answers(payer.hold(2, 60), held(60));
        trial.answers(payer.extend(2, 100), extended(100));
        assert!(refused(&trial.ask(payer.hold(3, 1)), 1), "{}: {period:?}", trial.place);
        // A clock that is set back is in the old period, which is as full as it was.
        trial.clock.set(START);
        trial.answers(payer.hold(3, 1), Err(full));
    }
}

pub(super) fn counts_where_it_was_held(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 1_000);
    set(trial, payer, budget(1, Subject::Organization, Period::Daily, cost_cap(100)));
    let (today, tomorrow) = (START, START.plus_seconds(DAY));
    trial.answers(payer.hold(1, 50), held(50));
    trial.clock.set(tomorrow);
    trial.answers(payer.hold(2, 100), held(100));
    trial.does(payer.settle_for(2, 90));
    // It extends and ends in the day in which it began.
    trial.answers(payer.extend(1, 80), extended(80));
    assert!(refused(&trial.ask(payer.extend(1, 101)), 1), "{}", trial.place);
    trial.does(payer.settle_for(1, 70));
    trial.answers(payer.hold(3, 10), held(10));
    trial.clock.set(today);
    let full =
        Bound(budget(1, Subject::Organization, Period::Daily, cost_cap(100)), Measure::Cost, [100, 70, 31]);
    trial.answers(payer.hold(4, 31), Err(full.refusal("", Some(moment("2026-09-22T00:00:00Z")))));
    trial.answers(payer.hold(4, 30), held(30));
}

pub(super) fn caps_all_measures(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 1_000);
    let run = |request, run: &'static str, tokens| {
        let hold = held_for(payer.hold(request, 10), |row| row.attribution.run = Some(run.into()));
        HoldRequest { tokens, ..hold }
    };
    let caps = Caps { tokens: Some(2_000), steps: Some(3), ..cost_cap(30) };
    let runs = budget(1, Subject::Run(None), Period::Total, caps);
    set(trial, payer, runs.clone());
    let bound = |measure, figures, value| Err(Bound(runs.clone(), measure, figures).refusal(value, None));
    trial.answers(run(1, "a", 2_000), held(10));
    trial.answers(run(2, "a", 1), bound(Measure::Tokens, [2_000, 2_000, 1], "a"));
    trial.answers(run(2, "a", 0), held(10));
    trial.answers(
        Extension { tokens: 1, ..payer.extend(2, 11) },
        bound(Measure::Tokens, [2_000, 2_000, 1], "a"),
    );
    trial.does(payer.settle_for(1, 5));
    // What it consumed in the end replaces what was estimated: 250 tokens and 15 nano are left.
    let left = i64::try_from(ROW_TOKENS).unwrap_or_default();
    trial.answers(run(3, "a", 251), bound(Measure::Tokens, [2_000, left, 251], "a"));
    trial.answers(payer.extend(2, 26), bound(Measure::Cost, [30, 15, 16], "a"));
    // The second time nothing is asked for.
    for _ in 0..2 {
        trial.answers(Extension { tokens: 250, ..payer.extend(2, 25) }, extended(25));
    }
    trial.answers(HoldRequest { amount: Money::ZERO, least: Money::ZERO, ..run(3, "a", 0) }, held(0));
    // A step remains a step when the call has ended.
    trial.does(payer.settle(3, vec![payer.row(3, 1, 0), payer.row(3, 2, 0)]));
    trial.answers(run(4, "a", 0), bound(Measure::Steps, [3, 3, 1], "a"));
    trial.answers(run(4, "b", 2_000), held(10));
    trial.answers(run(5, "c", 2_001), bound(Measure::Tokens, [2_000, 0, 2_001], "c"));

    // A soft budget only tells.
    let other = Payer::number(2);
    trial.fund(other, 1, 1_000);
    let caps = Caps { tokens: Some(0), steps: Some(0), ..cost_cap(0) };
    let thresholds = vec![50, 80];
    let soft = budget(1, Subject::Organization, Period::Total, caps);
    set(trial, other, Budget { hard: false, thresholds, ..soft });
    trial.answers(HoldRequest { tokens: 9, ..other.hold(1, 1_000) }, held(1_000));
    trial.does(other.settle_for(1, 10));
    trial.expect_available(other, 990);
}

pub(super) fn counts_the_past(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 1_000);
    let today = trial.clock.clone();
    let row = |request, nano: i64, at| CostRow { at, ..payer.row(request, 1, nano * 1_000) };
    let yesterday = START.plus_seconds(-DAY);
    today.set(yesterday);
    for request in [1, 2] {
        trial.does(payer.hold(request, 100));
    }
    trial.does(payer.settle(1, vec![row(1, 10, yesterday)]));
    today.set(START);
    for request in [3, 4, 5] {
        trial.does(HoldRequest { tokens: 11, ..payer.hold(request, 100) });
    }
    // Two attempts of one call are one step; what was dispatched today counts today.
    let retry = CostRow { attempt: 2, ..row(3, 3, START) };
    trial.does(payer.settle(3, vec![row(3, 20, START), retry]));
    trial.does(held_for(payer.hold(6, 9), |row| row.attribution.user = Some("u-1".into())));
    let other = |row: &mut CostRow| row.attribution.user = Some("u-1".into());
    let mut row_of_other = row(6, 9, START);
    other(&mut row_of_other);
    trial.does(payer.settle(6, vec![row_of_other]));

    let resets_at = Some(moment("2026-09-22T00:00:00Z"));
    let left = i64::try_from(2 * ROW_TOKENS).unwrap_or_default();
    for (n, measure, caps, figures) in [
        // Spent today 23, held today 200.
        (1, Measure::Cost, cost_cap(223), [223, 223, 1]),
        (2, Measure::Tokens, Caps { tokens: Some(1), ..Caps::default() }, [1, left + 22, 1]),
        (3, Measure::Steps, Caps { steps: Some(3), ..Caps::default() }, [3, 3, 1]),
    ] {
        let users = budget(n, Subject::User(None), Period::Daily, caps);
        set(trial, payer, users.clone());
        let hold = HoldRequest { tokens: 1, ..payer.hold(9, 1) };
        trial.answers(hold, Err(Bound(users, measure, figures).refusal("u-17", resets_at)));
        trial.does(payer.remove_budget(n));
    }
    // A hold that was counted is let go of when it ends.
    set(trial, payer, budget(4, Subject::User(None), Period::Daily, cost_cap(224)));
    trial.does(payer.settle_for(4, 0));
    trial.answers(payer.hold(9, 101), held(101));
    // Yesterday's hold counts in yesterday.
    trial.does(payer.settle_for(2, 100));
    assert!(refused(&trial.ask(payer.hold(10, 1)), 4), "{}", trial.place);
    // All time is all of it.
    let always = budget(5, Subject::Organization, Period::Total, cost_cap(400));
    set(trial, payer, always.clone());
    let used = 10 + 100 + 23 + 9 + 100 + 101;
    let other_call = held_for(payer.hold(10, 400), other);
    trial.answers(other_call, Err(Bound(always, Measure::Cost, [400, used, 400]).refusal("", None)));
}

pub(super) fn changes_and_removes(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 1_000);
    let first = budget(1, Subject::Organization, Period::Monthly, cost_cap(100));
    let none = Caps::default();
    let flawed = [
        (Budget { caps: none, ..first.clone() }, "caps"),
        (Budget { caps: cost_cap(-1), ..first.clone() }, "cost"),
        (Budget { thresholds: vec![0], ..first.clone() }, "thresholds"),
        (Budget { thresholds: vec![101], ..first.clone() }, "thresholds"),
        (Budget { thresholds: vec![80, 50], ..first.clone() }, "thresholds"),
        (Budget { thresholds: vec![50, 50], ..first.clone() }, "thresholds"),
    ];
    trial.refuses(flawed.map(|(budget, field)| (payer.set_budget(budget), invalid(field))));
    trial.answers(payer.remove_budget(1), Err(unknown("budget")));
    set(trial, payer, first.clone());
    trial.answers(payer.hold(1, 60), held(60));
    trial.does(payer.hold(2, 40));
    trial.does(payer.settle_for(2, 30));
    assert!(refused(&trial.ask(payer.hold(3, 11)), 1), "{}", trial.place);
    // What it counts is fixed for its life; the caps are not.
    let berlin: Zone = "Europe/Berlin".parse().unwrap_or_default();
    trial.refuses([
        (payer.set_budget(Budget { subject: Subject::User(None), ..first.clone() }), invalid("budget")),
        (payer.set_budget(Budget { period: Period::Weekly, ..first.clone() }), invalid("budget")),
        (payer.set_budget(Budget { zone: berlin, ..first.clone() }), invalid("budget")),
    ]);
    set(trial, payer, Budget { caps: cost_cap(120), thresholds: vec![1, 100], ..first.clone() });
    trial.answers(payer.hold(3, 30), held(30));
    assert!(refused(&trial.ask(payer.hold(4, 1)), 1), "{}", trial.place);
    set(trial, payer, Budget { hard: false, ..first.clone() });
    trial.answers(payer.hold(4, 100), held(100));
    set(trial, payer, Budget { caps: cost_cap(10), ..first.clone() });
    assert!(refused(&trial.ask(payer.hold(5, 1)), 1), "{}", trial.place);
    trial.answers(payer.hold(5, 0), held(0));
    trial.answers(payer.remove_budget(1), Ok(Reply::BudgetRemoved));
    trial.answers(payer.remove_budget(1), Err(unknown("budget")));
    trial.answers(payer.set_budget(first), Err(Denial::Duplicate));
    trial.answers(payer.hold(6, 700), held(700));
    for request in [1, 3, 4, 5, 6] {
        trial.does(payer.settle_for(request, 0));
    }
    trial.expect_available(payer, 970);
}

pub(super) fn refuses_in_order(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 70);
    trial.does(payer.grant(2, LotKind::Promo, 30, Timestamp::MAX));
    let some = |name: &str| Some(Box::from(name));
    let row = payer.row(1, 1, 0);
    let subjects = [
        Subject::Organization,
        Subject::Project(None),
        Subject::Project(some(&row.project.to_string())),
        Subject::Key(None),
        Subject::Key(some(&row.key.to_string())),
        Subject::User(None),
        Subject::User(some("u-17")),
        Subject::Tag(Tag::Feature, None),
        Subject::Tag(Tag::Feature, some("sümmary")),
        Subject::Tag(Tag::Environment, None),
        Subject::Tag(Tag::Environment, some("prod")),
        Subject::Run(None),
        Subject::Run(some("r-1")),
        Subject::Run(some("r-1")),
    ];
    // Made last to first, and with ids that fall, but for the last two, which are for the same calls.
    let subjects: Vec<(u64, Subject)> = (2..=14).rev().chain([20]).zip(subjects).collect();
    for (n, subject) in subjects.iter().rev() {
        set(trial, payer, budget(*n, subject.clone(), Period::Total, cost_cap(50)));
    }
    let call = |request, nano, least| {
        let hold = held_for(payer.hold(request, nano), |row| row.attribution.run = Some("r-1".into()));
        HoldRequest { least: Money::from_nano(least), ..hold }
    };
    for (n, (number, _)) in (100..).zip(&subjects) {
        assert!(refused(&trial.ask(call(n, 60, 51)), *number), "{}: {number}", trial.place);
        trial.does(payer.remove_budget(*number));
    }
    // The smallest of what was asked, every budget's room and what there is.
    set(trial, payer, budget(30, Subject::Organization, Period::Total, cost_cap(90)));
    set(trial, payer, budget(31, Subject::Run(None), Period::Total, cost_cap(40)));
    trial.answers(call(1, 60, 10), held(40));
    trial.answers(
        held_for(payer.hold(2, 60), |_| {}),
        Err(Bound(
            budget(30, Subject::Organization, Period::Total, cost_cap(90)),
            Measure::Cost,
            [90, 40, 60],
        )
        .refusal("", None)),
    );
    // Budgets come before the wallets.
    trial.answers(payer.hold(3, 50), held(50));
    assert!(refused(&trial.ask(payer.hold(4, 1_000)), 30), "{}", trial.place);
    trial.does(payer.remove_budget(30));
    trial.answers(payer.hold(4, 1_000), Err(short(10, 1_000)));
}
