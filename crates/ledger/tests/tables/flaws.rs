//! Denials: each field that may be wrong, and which of several is told. A command with several flaws is denied for the
//! first in the list.

use domain::{LotId, Money, OrganizationId, Timestamp};
use tollkeeper_ledger::conformance::{
    Payer, budget, budget_id, cost_cap, lot_id, named, parts, promo, purpose, request_id, wallet_id,
};
use tollkeeper_ledger::{
    Act, Booking, Books, Budget, Caps, Changes, Charged, Command, CostRow, Denial, Extension, Hold,
    HoldRequest, Lot, LotKind, Note, Past, Period, PromoCode, PromoFault, Purpose, Reply, Share, Subject,
    Use, UseKey, Wallet, apply, issue,
};

use crate::harness::{denied, payer};

mod covers;

const NOW: Timestamp = Timestamp::from_micros(1_000);

/// A command on books, with a past.
struct Case {
    books: Books,
    past: Past,
    command: Command,
}

/// Spoils something, and what is said of it.
type Flaw = (fn(&mut Case), Denial);

/// Checks that the command succeeds as it is, is denied for each flaw, and for the first of each two.
fn check(name: &str, command: impl Into<Command>, flaws: &[Flaw]) {
    let command = command.into();
    let play = |spoils: &[fn(&mut Case)]| {
        let mut case = Case { books: stocked(), past: past(), command: command.clone() };
        for spoil in spoils {
            spoil(&mut case);
        }
        let Case { mut books, past, command } = case;
        let (before, mut changes) = (books.clone(), Changes::default());
        let answer = apply(&mut books, command, past, NOW, &mut changes);
        if answer.is_err() {
            denied(&before, &books, &changes);
            assert!(changes.is_empty(), "{name}: {changes:?}");
            let stamps = (books.last_at, books.seen_at);
            assert_eq!(Books { last_at: stamps.0, seen_at: stamps.1, ..before }, books, "{name}");
        }
        answer
    };
    let sound = play(&[]);
    assert!(sound.is_ok(), "{name}: {sound:?}");
    for (first, (spoil, denial)) in flaws.iter().enumerate() {
        assert_eq!(play(&[*spoil]), Err(denial.clone()), "{name}: flaw {first}");
        for (more, _) in &flaws[first + 1..] {
            // The one that counts less first, since the other may stand in its way.
            assert_eq!(play(&[*more, *spoil]), Err(denial.clone()), "{name}: flaw {first} before another");
        }
    }
}

/// 100 prepaid and 10 promotional in the own wallet, 20 adjusted in wallet 2, project 2's; a live hold 1 of 5.
fn stocked() -> Books {
    let mut books = Books::new(payer().organization, payer().wallet);
    books.wallets.push(Wallet::new(wallet_id(2), purpose(Some(2), &[], false)));
    put(&mut books, 0, 1, LotKind::Promo, 10);
    put(&mut books, 0, 2, LotKind::Prepaid, 100);
    put(&mut books, 1, 3, LotKind::Adjustment, 20);
    let HoldRequest { request, amount, tokens, draft, .. } = payer().hold(1, 5);
    let shares = vec![Share { wallet: payer().wallet, amount }];
    let (uses, earlier) = Default::default();
    let hold = Hold { request, amount, shares, tokens, units: 0, created_at: NOW, uses, earlier, draft };
    books.holds.insert(request, hold);
    books.budgets.push(spare(7));
    books.wallets[0].held = amount;
    assert_eq!(books.check(), Ok(()));
    books
}

/// A budget that counts none of these calls.
fn spare(number: u64) -> Budget {
    budget(number, Subject::User(Some("nobody".into())), Period::Total, cost_cap(5))
}

fn put(books: &mut Books, wallet: usize, lot: u64, kind: LotKind, nano: i64) {
    let amount = Money::from_nano(nano);
    let wallet = &mut books.wallets[wallet];
    wallet.lots.push(Lot {
        id: lot_id(lot),
        wallet: wallet.id,
        kind,
        granted: amount,
        remaining: amount,
        used: Money::ZERO,
        expired: Money::ZERO,
        withdrawn: Money::ZERO,
        created_at: NOW,
        expires_at: Timestamp::MAX,
        warned: false,
    });
    wallet.balance = wallet.balance.checked_add(amount).unwrap();
    books.net = books.net.checked_add(amount).unwrap();
}

/// A past in which call 9 was charged 30 and 10 of it refunded, and a promo code is to be had.
fn past() -> Past {
    let (wallet, amount, refunded) = (payer().wallet, Money::from_nano(30), Money::from_nano(10));
    let charged = Some(Charged { wallet, amount, refunded });
    Past { charged, promo: Some(promo("CODE-1", 30, 1)), ..Past::default() }
}

impl Case {
    fn hold(&mut self) -> &mut HoldRequest {
        if let Command::Hold(hold) = &mut self.command { hold } else { panic!("no hold") }
    }

    fn extension(&mut self) -> &mut Extension {
        if let Command::Extend(extension) = &mut self.command { extension } else { panic!("no extension") }
    }

    fn rows(&mut self) -> &mut Vec<CostRow> {
        if let Command::Settle { rows, .. } = &mut self.command { rows } else { panic!("no settlement") }
    }

    fn booking(&mut self) -> &mut Booking {
        if let Command::Book(booking) = &mut self.command { booking } else { panic!("no booking") }
    }

    fn amount(&mut self, nano: i64) {
        let new = Money::from_nano(nano);
        match &mut self.booking().act {
            Act::Grant(grant) | Act::TopUp { grant, .. } => grant.amount = new,
            Act::Transfer { amount, .. }
            | Act::Refund { amount, .. }
            | Act::PayOut { amount, .. }
            | Act::Adjust { amount, .. } => *amount = new,
            other @ (Act::Redeem { .. }
            | Act::OpenWallet { .. }
            | Act::SetBudget(_)
            | Act::RemoveBudget(_)) => {
                panic!("no amount in {other:?}")
            }
        }
    }

    fn wallet(&mut self, number: u64) {
        let new = wallet_id(number);
        match &mut self.booking().act {
            Act::Grant(grant) | Act::TopUp { grant, .. } => grant.wallet = Some(new),
            Act::Transfer { from: wallet, .. } | Act::PayOut { wallet, .. } | Act::Adjust { wallet, .. } => {
                *wallet = new;
            }
            other => panic!("no wallet in {other:?}"),
        }
    }

    fn expires(&mut self, micros: i64) {
        let new = Timestamp::from_micros(micros);
        match &mut self.booking().act {
            Act::Grant(grant) | Act::TopUp { grant, .. } => grant.expires_at = new,
            Act::Refund { expires_at, .. } | Act::Adjust { expires_at, .. } => *expires_at = new,
            other => panic!("no expiry in {other:?}"),
        }
    }

    fn purpose(&mut self) -> &mut Purpose {
        if let Act::OpenWallet { purpose, .. } = &mut self.booking().act {
            purpose
        } else {
            panic!("no purpose")
        }
    }

    fn budget(&mut self) -> &mut Budget {
        if let Act::SetBudget(budget) = &mut self.booking().act { budget } else { panic!("no budget") }
    }

    fn promo(&mut self) -> &mut PromoCode {
        self.past.promo.as_mut().unwrap()
    }

    /// A budget of the organization that is used up in one way.
    fn exhaust(&mut self, number: u64, caps: Caps) {
        let full = budget(number, Subject::Organization, Period::Total, caps);
        let at = self.books.budgets.partition_point(|other| other.refusal_order() < full.refusal_order());
        let start = full.span(NOW).start;
        let key = UseKey { budget: full.id, value: "".into(), start };
        self.books.budgets.insert(at, full);
        self.books.uses.insert(key.clone(), Use::default());
        if let Some(hold) = self.books.holds.get_mut(&request_id(1)) {
            hold.uses.insert(at, key);
        }
    }

    fn kind(&mut self, new: LotKind) {
        match &mut self.booking().act {
            Act::Grant(grant) | Act::TopUp { grant, .. } => grant.kind = new,
            other => panic!("no kind in {other:?}"),
        }
    }

    fn payment(&mut self, length: usize) {
        if let Act::TopUp { payment, .. } = &mut self.booking().act {
            *payment = "x".repeat(length).into();
        }
    }

    /// Makes the receiver this one, or the giver itself.
    fn receiver(&mut self, number: Option<u64>) {
        if let Act::Transfer { from, to, .. } = &mut self.booking().act {
            *to = number.map_or(*from, wallet_id);
        }
    }

    fn first_lot(&mut self, id: LotId) {
        if let Act::Transfer { lot, .. } = &mut self.booking().act {
            *lot = id;
        }
    }

    fn charged(&mut self) -> &mut Charged {
        self.past.charged.as_mut().unwrap()
    }

    /// So much is available in the own wallet.
    fn leave(&mut self, nano: i64) {
        let wallet = &mut self.books.wallets[0];
        wallet.held = Money::from_nano(wallet.balance.nano() - nano);
    }

    /// So much is prepaid in the own wallet, all of it available.
    fn leave_prepaid(&mut self, nano: i64) {
        let wallet = &mut self.books.wallets[0];
        (wallet.lots[1].granted, wallet.lots[1].remaining) = (Money::from_nano(nano), Money::from_nano(nano));
        (wallet.balance, wallet.held) = (Money::from_nano(nano + 10), Money::from_nano(5));
    }

    /// The own wallet owes, and has nothing.
    fn owe(&mut self) {
        let wallet = &mut self.books.wallets[0];
        (wallet.lots, wallet.balance, wallet.debt) = (Vec::new(), wallet.held, Money::from_nano(7));
    }
}

const fn invalid(field: &'static str) -> Denial {
    Denial::Invalid { field }
}

const fn unknown(field: &'static str) -> Denial {
    Denial::Unknown { field }
}

fn short(available: i64, needed: i64) -> Denial {
    Denial::InsufficientCredit { available: Money::from_nano(available), needed: Money::from_nano(needed) }
}

const FROZEN: Flaw = (|case| case.books.frozen = true, Denial::Frozen);

fn full(number: u64, measure: tollkeeper_ledger::Measure, needed: &str) -> Denial {
    use tollkeeper_ledger::{BudgetBound, Measure};
    let nothing = if measure == Measure::Cost { "0.00" } else { "0" };
    Denial::BudgetExceeded(Box::new(BudgetBound {
        budget: budget_id(number),
        subject: Subject::Organization,
        value: "".into(),
        measure,
        cap: nothing.to_owned(),
        used: nothing.to_owned(),
        needed: needed.to_owned(),
        resets_at: None,
    }))
}

const NOTHING: Caps = Caps { cost: Some(Money::ZERO), tokens: None, steps: None };
const NO_TOKENS: Caps = Caps { tokens: Some(0), cost: Some(Money::ZERO), steps: None };
const NO_STEPS: Caps = Caps { steps: Some(0), ..NO_TOKENS };
const DEBT: fn() -> Denial = || Denial::InDebt { wallet: wallet_id(1), debt: Money::from_nano(7) };

const CONFLICT: Flaw = (
    |case| {
        let booking = named(case.booking().clone(), "key", 1);
        *case.booking() = booking;
        case.past.answered = Some(([2; 32], Reply::Opened));
    },
    Denial::IdempotencyConflict,
);
const NO_ACTOR: Flaw = (|case| case.booking().note.actor = "".into(), invalid("actor"));
const LONG_ACTOR: Flaw = (|case| case.booking().note.actor = "x".repeat(129).into(), invalid("actor"));
const LONG_REASON: Flaw =
    (|case| case.booking().note.reason = Some("x".repeat(501).into()), invalid("reason"));
const NO_REASON: Flaw = (|case| case.booking().note.reason = None, invalid("reason"));
const BLANK_REASON: Flaw = (|case| case.booking().note.reason = Some(" ".into()), invalid("reason"));
const ZERO: Flaw = (|case| case.amount(0), invalid("amount"));
const BELOW_ZERO: Flaw = (|case| case.amount(-1), invalid("amount"));
const DUE: Flaw = (|case| case.expires(NOW.micros()), invalid("expires_at"));
const NO_WALLET: Flaw = (|case| case.wallet(9), unknown("wallet"));
const TAKEN: Flaw = (|case| case.past.taken = true, Denial::Duplicate);
const NET_FULL: Flaw = (|case| case.books.net = Money::MAX, Denial::Overflow);
const WALLET_FULL: Flaw = (|case| case.books.wallets[0].balance = Money::MAX, Denial::Overflow);
/// The new lot's id is that of an open one.
const OPEN: Flaw = (
    |case| match &mut case.booking().act {
        Act::Grant(grant) | Act::TopUp { grant, .. } => grant.lot = lot_id(1),
        Act::Redeem { lot, .. }
        | Act::Transfer { lot, .. }
        | Act::Refund { lot, .. }
        | Act::Adjust { lot, .. } => *lot = lot_id(1),
        other => panic!("no lot in {other:?}"),
    },
    Denial::Duplicate,
);

#[test]
fn holds() {
    use tollkeeper_ledger::Measure::{Cost, Steps, Tokens};
    let live = |case: &mut Case| {
        let hold = case.books.holds.remove(&request_id(1)).unwrap();
        case.books.holds.insert(request_id(5), Hold { request: request_id(5), ..hold });
    };
    let flaws: [Flaw; 16] = [
        FROZEN,
        (|case| case.hold().least = Money::from_nano(-1), invalid("amount")),
        (|case| case.hold().amount = Money::from_nano(1), invalid("amount")),
        (|case| case.hold().ceiling = parts(&[(5, 0), (0, -1)]), invalid("ceiling")),
        (|case| case.hold().draft.attempt = 0, invalid("rows")),
        (|case| case.hold().draft.request = request_id(6), invalid("rows")),
        (|case| case.hold().draft.organization = OrganizationId::from_bytes([9; 16]), invalid("rows")),
        (|case| case.hold().draft.cost = Money::from_nano(1), invalid("cost")),
        (|case| case.hold().draft.cost_pico = -1, invalid("cost")),
        TAKEN,
        (live, Denial::Duplicate),
        (|case| case.exhaust(1, NO_STEPS), full(1, Steps, "1")),
        (|case| case.exhaust(2, NO_TOKENS), full(2, Tokens, "3")),
        (|case| case.exhaust(3, NOTHING), full(3, Cost, "0.000000002")),
        (Case::owe, DEBT()),
        (|case| case.leave(1), short(1, 2)),
    ];
    check("hold", HoldRequest { tokens: 3, ..payer().hold(5, 2) }, &flaws);
}

#[test]
fn extensions() {
    use tollkeeper_ledger::Measure::{Cost, Tokens};
    let flaws: [Flaw; 10] = [
        FROZEN,
        (|case| case.extension().cost_pico = -1, invalid("cost_pico")),
        (|case| case.extension().least = Money::from_nano(-1), invalid("amount")),
        (|case| case.extension().amount = Money::from_nano(6), invalid("amount")),
        (|case| case.extension().ceiling = parts(&[(1, -1)]), invalid("ceiling")),
        (|case| case.books.holds.clear(), Denial::HoldGone),
        (|case| case.exhaust(2, NO_TOKENS), full(2, Tokens, "3")),
        (|case| case.exhaust(3, NOTHING), full(3, Cost, "0.000000002")),
        (Case::owe, DEBT()),
        (|case| case.leave(1), short(1, 2)),
    ];
    check("extend", Extension { tokens: 3, ..payer().extend(1, 7) }, &flaws);
    // A checkpoint alone asks nobody for anything.
    let nothing: [Flaw; 1] = [FROZEN];
    check("checkpoint", payer().extend(1, 5), &nothing);
    let mut case = Case { books: stocked(), past: past(), command: payer().extend(1, 0).into() };
    case.owe();
    case.exhaust(1, NO_STEPS);
    let answer = apply(&mut case.books, case.command, case.past, NOW, &mut Changes::default());
    assert_eq!(answer, Ok(Reply::Extended(Money::from_nano(5))));
}

#[test]
fn settlements() {
    let flaws: [Flaw; 10] = [
        FROZEN,
        (|case| case.books.holds.clear(), Denial::HoldGone),
        (|case| case.rows().clear(), invalid("rows")),
        (|case| case.rows().iter_mut().for_each(|row| row.attempt = 2), invalid("rows")),
        (|case| case.rows()[1].attempt = 0, invalid("rows")),
        (|case| case.rows()[1].request = request_id(6), invalid("rows")),
        (|case| case.rows()[0].organization = OrganizationId::from_bytes([9; 16]), invalid("rows")),
        (|case| case.rows()[0].cost = Money::from_nano(9), invalid("cost")),
        (|case| case.rows()[1].cost_pico = -1, invalid("cost")),
        (
            |case| case.rows().extend((10..1_010).map(|attempt| payer().row(1, attempt, i64::MAX))),
            Denial::Overflow,
        ),
    ];
    let rows = vec![payer().row(1, 1, 1_000), payer().row(1, 2, 1_000)];
    check("settle", payer().settle(1, rows), &flaws);
    // What the call leaves owing must fit into the debt, and the charge into the net.
    let full: [Flaw; 2] = [
        (
            |case| {
                case.owe();
                case.books.wallets[0].debt = Money::MAX;
            },
            Denial::Overflow,
        ),
        (|case| case.books.net = Money::from_nano(i64::MIN), Denial::Overflow),
    ];
    check("a large settlement", payer().settle_for(1, 106), &full);
}

#[test]
fn grants() {
    let flaws: [Flaw; 16] = [
        FROZEN,
        CONFLICT,
        NO_ACTOR,
        LONG_ACTOR,
        LONG_REASON,
        (|case| case.kind(LotKind::Refund), invalid("kind")),
        (|case| case.kind(LotKind::Adjustment), invalid("kind")),
        ZERO,
        BELOW_ZERO,
        DUE,
        (|case| case.expires(NOW.micros() - 1), invalid("expires_at")),
        NO_WALLET,
        TAKEN,
        OPEN,
        NET_FULL,
        WALLET_FULL,
    ];
    for kind in [LotKind::Promo, LotKind::Prepaid] {
        check("grant", payer().grant(5, kind, 5, NOW.plus_micros(1)), &flaws);
    }
}

#[test]
fn top_ups() {
    let elsewhere: Flaw =
        (|case| case.past.paid = Some((Payer::number(2).organization, Reply::Opened)), Denial::Duplicate);
    let flaws: [Flaw; 15] = [
        FROZEN,
        CONFLICT,
        NO_ACTOR,
        LONG_REASON,
        elsewhere,
        (|case| case.kind(LotKind::Promo), invalid("kind")),
        (|case| case.payment(0), invalid("payment")),
        (|case| case.payment(129), invalid("payment")),
        ZERO,
        DUE,
        NO_WALLET,
        TAKEN,
        OPEN,
        NET_FULL,
        WALLET_FULL,
    ];
    check("top up", payer().top_up(5, 5, &"x".repeat(128)), &flaws);
}

#[test]
fn redemptions() {
    let spent = |fault| Denial::PromoSpent(fault);
    let flaws = |more: &[Flaw]| {
        let mut flaws: Vec<Flaw> = vec![
            FROZEN,
            CONFLICT,
            NO_ACTOR,
            LONG_REASON,
            (|case| case.past.promo = None, unknown("code")),
            (|case| case.past.redeemed = true, spent(PromoFault::Redeemed)),
            (|case| case.promo().expires_at = NOW, spent(PromoFault::Expired)),
            (|case| case.promo().uses = 1, spent(PromoFault::UsedUp)),
            TAKEN,
            OPEN,
            NET_FULL,
        ];
        flaws.extend_from_slice(more);
        flaws
    };
    check("redeem", payer().redeem("CODE-1", 5, 6), &flaws(&[WALLET_FULL]));
    let for_models: Flaw = (
        |case| {
            case.promo().models = vec!["small".into()];
            if let Act::Redeem { wallet, .. } = &mut case.booking().act {
                *wallet = wallet_id(2);
            }
        },
        Denial::Duplicate,
    );
    check("redeem for models", payer().redeem("CODE-1", 5, 6), &flaws(&[for_models]));
    // A denial makes no wallet either.
    for (spoil, _) in [TAKEN, OPEN] {
        let mut case =
            Case { books: stocked(), past: past(), command: payer().redeem("CODE-1", 5, 6).into() };
        case.promo().models = vec!["small".into()];
        spoil(&mut case);
        let (before, mut changes) = (case.books.clone(), Changes::default());
        let answer = apply(&mut case.books, case.command, case.past, NOW, &mut changes);
        assert_eq!(answer, Err(Denial::Duplicate));
        denied(&before, &case.books, &changes);
    }
}

#[test]
fn new_wallets() {
    let flaws: [Flaw; 15] = [
        FROZEN,
        CONFLICT,
        NO_ACTOR,
        LONG_REASON,
        (|case| case.purpose().name = "".into(), invalid("name")),
        (|case| case.purpose().name = " \t".into(), invalid("name")),
        (|case| case.purpose().name = "x".repeat(129).into(), invalid("name")),
        (|case| case.purpose().models.push(" ".into()), invalid("models")),
        (|case| case.purpose().models.push("x".repeat(129).into()), invalid("models")),
        (|case| case.purpose().models = vec!["m".into(); 101], invalid("models")),
        (
            |case| {
                case.purpose().project = None;
                case.purpose().models.clear();
            },
            invalid("project"),
        ),
        (|case| case.purpose().models = vec!["m".into()], invalid("overflow")),
        (
            |case| {
                case.purpose().project = None;
                case.purpose().models = vec!["m".into()];
            },
            invalid("overflow"),
        ),
        TAKEN,
        (
            |case| {
                let same = case.purpose().clone();
                case.books.wallets.push(Wallet::new(wallet_id(8), same));
            },
            Denial::Duplicate,
        ),
    ];
    let sound = |overflow, models: &[&str]| payer().open_wallet(6, purpose(Some(3), models, overflow));
    check("open wallet", sound(true, &[]), &flaws);
    check(
        "open a wallet with an id that is there",
        sound(false, &[]),
        &[(
            |case| {
                if let Act::OpenWallet { wallet, .. } = &mut case.booking().act {
                    *wallet = wallet_id(2);
                }
            },
            Denial::Duplicate,
        )],
    );
    // What is just long enough.
    let (name, model) = ("x".repeat(128), "y".repeat(128));
    check("open a restricted wallet", sound(false, &[model.as_str(); 100]), &[]);
    let mut named = sound(true, &[]);
    if let Act::OpenWallet { purpose, .. } = &mut named.act {
        purpose.name = name.clone().into();
    }
    named.note = Note { actor: name.into(), reason: Some("z".repeat(500).into()) };
    check("open a wallet with a long name", named, &[]);
}

#[test]
fn transfers() {
    let flaws: [Flaw; 15] = [
        FROZEN,
        CONFLICT,
        NO_ACTOR,
        LONG_REASON,
        (|case| case.receiver(None), invalid("to")),
        (|case| case.receiver(Some(8)), unknown("to")),
        ZERO,
        BELOW_ZERO,
        NO_WALLET,
        // The 10 promotional ones may not move; 5 of the others are held.
        (|case| case.leave_prepaid(49), short(49, 50)),
        (|case| case.books.wallets[0].held = Money::from_nano(61), short(49, 50)),
        (|case| case.books.wallets[1].balance = Money::MAX, Denial::Overflow),
        TAKEN,
        OPEN,
        (|case| case.first_lot(lot_id(3)), Denial::Duplicate),
    ];
    check("transfer", payer().transfer(1, 2, 50, 5), &flaws);
    let ids: [Flaw; 2] = [
        // The second of two new ids is that of an open lot, or there is none.
        (|case| case.first_lot(lot_id(0)), Denial::Duplicate),
        (|case| case.first_lot(LotId::from_bytes([0xff; 16])), Denial::Overflow),
    ];
    let mut case = Case { books: stocked(), past: past(), command: payer().transfer(1, 2, 101, 5).into() };
    put(&mut case.books, 0, 4, LotKind::Prepaid, 5);
    for (spoil, denial) in ids {
        let mut case = Case { books: case.books.clone(), past: past(), command: case.command.clone() };
        spoil(&mut case);
        let before = case.books.clone();
        let mut changes = Changes::default();
        let answer = apply(&mut case.books, case.command, case.past, NOW, &mut changes);
        assert_eq!(answer, Err(denial));
        denied(&before, &case.books, &changes);
    }
}

#[test]
fn refunds() {
    let flaws: [Flaw; 16] = [
        FROZEN,
        CONFLICT,
        NO_ACTOR,
        NO_REASON,
        BLANK_REASON,
        LONG_REASON,
        (|case| case.past.charged = None, unknown("request")),
        ZERO,
        BELOW_ZERO,
        DUE,
        (|case| case.charged().wallet = wallet_id(9), unknown("wallet")),
        TAKEN,
        OPEN,
        NET_FULL,
        WALLET_FULL,
        (
            |case| case.charged().refunded = Money::from_nano(11),
            Denial::RefundTooLarge { charged: Money::from_nano(30), refunded: Money::from_nano(11) },
        ),
    ];
    check("refund", payer().refund(9, 20, 5), &flaws);
}

#[test]
fn payouts_and_adjustments() {
    let common = |more: &[Flaw]| {
        let mut flaws = vec![FROZEN, CONFLICT, NO_ACTOR, LONG_ACTOR, NO_REASON, BLANK_REASON, LONG_REASON];
        flaws.extend_from_slice(more);
        flaws
    };
    let out = common(&[
        ZERO,
        BELOW_ZERO,
        NO_WALLET,
        (|case| case.leave_prepaid(49), short(49, 50)),
        (|case| case.books.wallets[0].held = Money::from_nano(61), short(49, 50)),
        TAKEN,
    ]);
    check("pay out", payer().pay_out(1, 50, 5), &out);
    let up = common(&[ZERO, DUE, NO_WALLET, TAKEN, OPEN, NET_FULL, WALLET_FULL]);
    check("adjust up", payer().adjust(1, 50, 5), &up);
    let down = common(&[
        (|case| case.amount(0), invalid("amount")),
        (|case| case.amount(i64::MIN), Denial::Overflow),
        NO_WALLET,
        (|case| case.leave(49), short(49, 50)),
        TAKEN,
    ]);
    check("adjust down", payer().adjust(1, -50, 5), &down);
    // An expiry is of no account where no lot is made.
    let mut late = Case { books: stocked(), past: past(), command: payer().adjust(1, -50, 5).into() };
    late.expires(0);
    assert!(apply(&mut late.books, late.command, late.past, NOW, &mut Changes::default()).is_ok());
}

#[test]
fn budgets() {
    let flaws: [Flaw; 14] = [
        FROZEN,
        CONFLICT,
        NO_ACTOR,
        LONG_REASON,
        (|case| case.budget().caps = Caps::default(), invalid("caps")),
        (|case| case.budget().caps = cost_cap(-1), invalid("cost")),
        (|case| case.budget().thresholds = vec![0], invalid("thresholds")),
        (|case| case.budget().thresholds = vec![50, 101], invalid("thresholds")),
        (|case| case.budget().thresholds = vec![80, 50], invalid("thresholds")),
        (|case| case.budget().thresholds = vec![50, 50], invalid("thresholds")),
        // Number 7 is there, for another subject, period, zone.
        (
            |case| {
                case.budget().id = budget_id(7);
                case.budget().subject = Subject::Organization;
            },
            invalid("budget"),
        ),
        (
            |case| {
                case.budget().id = budget_id(7);
                case.budget().period = Period::Weekly;
            },
            invalid("budget"),
        ),
        (
            |case| {
                case.budget().id = budget_id(7);
                case.budget().zone = "Europe/Berlin".parse().unwrap();
            },
            invalid("budget"),
        ),
        TAKEN,
    ];
    let whole = Budget { thresholds: vec![1, 99, 100], ..spare(8) };
    check("set budget", payer().set_budget(whole), &flaws);
    for caps in
        [cost_cap(0), Caps { tokens: Some(0), ..Caps::default() }, Caps { steps: Some(0), ..Caps::default() }]
    {
        check("set budget", payer().set_budget(Budget { caps, ..spare(8) }), &[]);
    }
    let gone: [Flaw; 5] =
        [FROZEN, CONFLICT, NO_ACTOR, LONG_REASON, (|case| case.books.budgets.clear(), unknown("budget"))];
    check("remove budget", payer().remove_budget(7), &gone);
}

/// Spoils a promo code.
type Spoil = fn(&mut PromoCode);

/// What is asked of a promo code, and the field that is named.
#[test]
fn promo_codes() {
    let sound =
        PromoCode { uses: 9, credit_seconds: Some(1), models: vec!["m".into()], ..promo("AZ-09", 1, 1) };
    let issued = PromoCode { uses: 0, ..sound.clone() };
    assert_eq!(issue(sound.clone(), None), Ok(issued.clone()));
    let flaws: [(Spoil, &str); 16] = [
        (|code| code.code = "ABC".into(), "code"),
        (|code| code.code = "A".repeat(65).into(), "code"),
        (|code| code.code = "ABCd".into(), "code"),
        (|code| code.code = "AB C".into(), "code"),
        (|code| code.code = "ÄBCD".into(), "code"),
        (|code| code.code = "AB_CD".into(), "code"),
        (|code| code.amount = Money::ZERO, "amount"),
        (|code| code.amount = Money::from_nano(-1), "amount"),
        (|code| code.uses_max = 0, "uses"),
        (|code| code.credit_seconds = Some(0), "credit_days"),
        (|code| code.credit_seconds = Some(-1), "credit_days"),
        (|code| code.models.push("".into()), "models"),
        (|code| code.models.push(" ".into()), "models"),
        (|code| code.models.push("x".repeat(129).into()), "models"),
        (|code| code.models = vec!["m".into(); 101], "models"),
        (|code| code.models[0] = " ".into(), "models"),
    ];
    for (first, (spoil, field)) in flaws.iter().enumerate() {
        for more in [None].into_iter().chain(flaws[first..].iter().map(Some)) {
            let mut code = sound.clone();
            if let Some((spoil, _)) = more {
                spoil(&mut code);
            }
            spoil(&mut code);
            assert_eq!(issue(code, Some(&issued)), Err(invalid(field)), "flaw {first}");
        }
    }
    for code in ["ABCD", &"Z9-".repeat(22)[..64]] {
        assert!(issue(PromoCode { code: code.into(), ..sound.clone() }, None).is_ok(), "{code}");
    }
    let known = PromoCode { uses: 1, ..issued };
    let later = PromoCode { created_at: NOW, ..sound.clone() };
    assert_eq!(issue(later, Some(&known)), Ok(known.clone()));
    assert_eq!(issue(PromoCode { uses_max: 2, ..sound }, Some(&known)), Err(Denial::Duplicate));
    assert_eq!(&*PromoCode::normal_form(" ab-1z\n"), "AB-1Z");
}

/// What touches no books, or makes them, is not for these.
#[test]
fn commands_for_other_books() {
    let refused = |command: Command, denial: Denial| {
        let mut books = stocked();
        assert_eq!(apply(&mut books, command, past(), NOW, &mut Changes::default()), Err(denial));
    };
    refused(payer().open(), Denial::Duplicate);
    refused(promo("CODE-1", 1, 1).into(), Denial::UnknownOrganization);
}
