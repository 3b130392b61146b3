//! The suite every ledger store must pass, a clock to turn by hand, and commands with sensible values.
//!
//! The suite asks through the port alone, so it sees a wallet as its callers do: what is available is what a hold
//! that is far too large is told.
//!
//! ```ignore
//! ledger::conformance::check("sqlite", &|clock| Box::new(open_in_fresh_folder(clock)));
//! ```
#![expect(
    clippy::arithmetic_side_effects,
    reason = "the suite's own amounts are small, and an overflow must fail it"
)]

mod crowd;
mod samples;

use std::sync::Arc;

use domain::{Clock, Money, Timestamp};

use crate::{
    Command, CostRow, Denial, Draw, Grant, HoldRequest, Idempotency, LedgerError, LedgerStore, Lot, LotKind,
    Reply, Settled, Ticket,
};

pub use samples::{ManualClock, Payer, START, lot_id, request_id};

/// One case of the suite, on a fresh store.
type Case = fn(&Subject<'_>);

/// Runs the whole suite on stores that `open` makes, each fresh and empty, on the clock it is given.
///
/// # Panics
/// On the first difference, naming the store and the case.
pub fn check(name: &str, open: &dyn Fn(Arc<dyn Clock>) -> Box<dyn LedgerStore>) {
    let cases: [(&str, Case); 14] = [
        ("a wallet is opened once", opens_once),
        ("a wallet that is not there is named so", names_unknown_wallets),
        ("a grant adds a lot", grants),
        ("a lot's id is used once, also after it is spent", refuses_used_lots),
        ("a named grant happens once", names_grants),
        ("a hold, its extension and its settlement", holds_and_settles),
        ("a denial tells the figures and changes nothing", denies_without_a_trace),
        ("a hold that is asked for again is told apart from one that is refused", tells_duplicates),
        ("a hold ends once", ends_holds_once),
        ("what was not covered is owed until it is paid", owes_and_pays),
        ("credit expires by the clock, grace apart", expires),
        ("commands are applied in the order they were queued", keeps_the_queue),
        ("many threads never hold more than there is", crowd::never_holds_too_much),
        ("wallets do not disturb each other", crowd::keeps_wallets_apart),
    ];
    for (case, run) in cases {
        let clock = Arc::new(ManualClock::new(START));
        let ledger = open(clock.clone());
        run(&Subject { place: format!("{name}: {case}"), ledger, clock });
    }
}

/// One store under test.
struct Subject<'a> {
    place: String,
    ledger: Box<dyn LedgerStore + 'a>,
    clock: Arc<ManualClock>,
}

impl Subject<'_> {
    fn submit(&self, command: impl Into<Command>) -> Ticket {
        self.ledger.submit(command.into())
    }

    /// What the ledger answers. A store that fails fails the suite.
    #[track_caller]
    fn ask(&self, command: impl Into<Command>) -> Result<Reply, Denial> {
        self.answer(self.submit(command))
    }

    #[track_caller]
    fn answer(&self, ticket: Ticket) -> Result<Reply, Denial> {
        let answer = ticket.wait();
        assert!(matches!(answer, Ok(_) | Err(LedgerError::Denied(_))), "{}: {answer:?}", self.place);
        match answer {
            Err(LedgerError::Denied(denial)) => Err(denial),
            other => Ok(other.unwrap_or(Reply::Opened)),
        }
    }

    #[track_caller]
    fn answers(&self, command: impl Into<Command>, expected: Result<Reply, Denial>) {
        let command = command.into();
        let asked = format!("{command:?}");
        assert_eq!(self.ask(command), expected, "{}: {asked}", self.place);
    }

    #[track_caller]
    fn expect_settled(&self, command: Command, draws: &[(u64, i64)], debt: i64) {
        let draws =
            draws.iter().map(|(lot, nano)| Draw { lot: lot_id(*lot), amount: Money::from_nano(*nano) });
        let settled = Settled { draws: draws.collect(), debt: Money::from_nano(debt) };
        self.answers(command, Ok(Reply::Settled(settled)));
    }

    /// Opens the wallet and puts one lot in that never expires.
    #[track_caller]
    fn fund(&self, payer: Payer, lot: u64, nano: i64) {
        self.answers(payer.open(), Ok(Reply::Opened));
        self.granted(payer.grant(lot, LotKind::Prepaid, nano, Timestamp::MAX));
    }

    #[track_caller]
    fn granted(&self, grant: Grant) -> Option<Lot> {
        let answer = self.ask(grant);
        assert!(matches!(answer, Ok(Reply::Granted(_))), "{}: {answer:?}", self.place);
        if let Ok(Reply::Granted(lot)) = answer { Some(lot) } else { None }
    }

    /// Asks for all the money there can be, which is refused with the figure.
    #[track_caller]
    fn expect_available(&self, payer: Payer, nano: i64) {
        self.answers(payer.hold(u64::MAX, i64::MAX), Err(short(nano, i64::MAX)));
    }
}

fn short(available: i64, needed: i64) -> Denial {
    Denial::InsufficientCredit { available: Money::from_nano(available), needed: Money::from_nano(needed) }
}

fn opens_once(subject: &Subject<'_>) {
    let (payer, other) = (Payer::number(1), Payer::number(2));
    subject.answers(payer.open(), Ok(Reply::Opened));
    subject.answers(payer.open(), Err(Denial::Duplicate));
    let taken = Command::Open { wallet: payer.wallet, organization: other.organization };
    subject.answers(taken, Err(Denial::Duplicate));
    subject.expect_available(payer, 0);
    subject.answers(other.open(), Ok(Reply::Opened));
}

fn names_unknown_wallets(subject: &Subject<'_>) {
    subject.fund(Payer::number(1), 1, 100);
    let nobody = Payer::number(2);
    let named = Some(Idempotency { key: "a".to_owned(), digest: [1; 32] });
    let grant = nobody.grant(2, LotKind::Promo, 5, Timestamp::MAX);
    subject.answers(grant.clone(), Err(Denial::UnknownWallet));
    subject.answers(Grant { idempotency: named, ..grant }, Err(Denial::UnknownWallet));
    subject.answers(nobody.hold(1, 1), Err(Denial::UnknownWallet));
    subject.answers(nobody.extend(1, 1), Err(Denial::UnknownWallet));
    subject.answers(nobody.settle_for(1, 1), Err(Denial::UnknownWallet));
}

fn grants(subject: &Subject<'_>) {
    let payer = Payer::number(1);
    subject.answers(payer.open(), Ok(Reply::Opened));
    let kinds = [LotKind::Promo, LotKind::Prepaid, LotKind::Refund, LotKind::Adjustment];
    for (n, kind) in (1..).zip(kinds) {
        let grant = payer.grant(n, kind, 10, START.plus_seconds(60));
        let Some(lot) = subject.granted(grant.clone()) else { continue };
        // The wallet's own time runs a microsecond a command when the clock stands still.
        let late = lot.created_at.micros() - START.micros();
        assert!((0..100).contains(&late), "{}: {lot:?}", subject.place);
        let expected = Lot {
            id: grant.lot,
            kind,
            granted: grant.amount,
            remaining: grant.amount,
            used: Money::ZERO,
            expired: Money::ZERO,
            created_at: lot.created_at,
            expires_at: grant.expires_at,
        };
        assert_eq!(lot, expected, "{}", subject.place);
    }
    for nano in [0, -1, i64::MIN] {
        let invalid = Err(Denial::Invalid { field: "amount" });
        subject.answers(payer.grant(9, LotKind::Promo, nano, Timestamp::MAX), invalid);
    }
    let past = payer.grant(9, LotKind::Promo, 10, START);
    subject.answers(past, Err(Denial::Invalid { field: "expires_at" }));
    let too_much = payer.grant(9, LotKind::Promo, i64::MAX, Timestamp::MAX);
    subject.answers(too_much, Err(Denial::Overflow));
    subject.expect_available(payer, 40);
}

fn refuses_used_lots(subject: &Subject<'_>) {
    let payer = Payer::number(1);
    subject.fund(payer, 1, 10);
    let again = payer.grant(1, LotKind::Promo, 20, Timestamp::MAX);
    subject.answers(again.clone(), Err(Denial::Duplicate));
    subject.answers(payer.hold(1, 10), Ok(Reply::Held));
    subject.answers(again.clone(), Err(Denial::Duplicate));
    subject.expect_settled(payer.settle_for(1, 10), &[(1, 10)], 0);
    subject.answers(again, Err(Denial::Duplicate));
    subject.expect_available(payer, 0);
}

fn names_grants(subject: &Subject<'_>) {
    let (payer, other) = (Payer::number(1), Payer::number(2));
    subject.answers(payer.open(), Ok(Reply::Opened));
    subject.answers(other.open(), Ok(Reply::Opened));
    let named = |key: &str, digest: u8| Some(Idempotency { key: key.to_owned(), digest: [digest; 32] });
    let grant = |lot, key, digest| Grant {
        idempotency: named(key, digest),
        ..payer.grant(lot, LotKind::Promo, 10, START.plus_seconds(60))
    };

    // A denied call leaves its name free, so that it can be made again when it can succeed.
    let denied = Grant { amount: Money::ZERO, ..grant(1, "a", 1) };
    subject.answers(denied, Err(Denial::Invalid { field: "amount" }));

    let Some(first) = subject.granted(grant(1, "a", 1)) else { return };
    let same = Ok(Reply::Granted(first));
    subject.answers(grant(1, "a", 1), same.clone());
    subject.answers(grant(2, "a", 1), same.clone());
    subject.answers(grant(2, "a", 2), Err(Denial::IdempotencyConflict));
    subject.expect_available(payer, 10);

    // The first answer stays the answer, whatever has become of the lot.
    subject.answers(payer.hold(1, 4), Ok(Reply::Held));
    subject.expect_settled(payer.settle_for(1, 4), &[(1, 4)], 0);
    subject.answers(grant(3, "a", 1), same.clone());
    subject.clock.advance_seconds(61);
    subject.expect_available(payer, 0);
    subject.answers(grant(3, "a", 1), same);
    subject.answers(grant(3, "a", 2), Err(Denial::IdempotencyConflict));
    subject.expect_available(payer, 0);

    // Another name, or the same name in another wallet, is another call.
    let later = |payer: Payer, lot, key| Grant {
        idempotency: named(key, 1),
        ..payer.grant(lot, LotKind::Promo, 10, Timestamp::MAX)
    };
    subject.granted(later(payer, 4, "A"));
    subject.granted(later(other, 5, "a"));
    subject.expect_available(payer, 10);
    subject.expect_available(other, 10);
}

fn holds_and_settles(subject: &Subject<'_>) {
    let payer = Payer::number(1);
    subject.fund(payer, 1, 100);
    subject.granted(payer.grant(2, LotKind::Prepaid, 10, START.plus_seconds(600)));
    subject.granted(payer.grant(3, LotKind::Promo, 10, Timestamp::MAX));
    subject.granted(payer.grant(4, LotKind::Promo, 10, START.plus_seconds(900)));

    subject.answers(payer.hold(1, 40), Ok(Reply::Held));
    subject.answers(payer.hold(2, 0), Ok(Reply::Held));
    subject.expect_available(payer, 90);
    subject.answers(payer.extend(1, 15), Ok(Reply::Extended));
    subject.answers(payer.extend(1, 0), Ok(Reply::Extended));
    subject.expect_available(payer, 75);

    // Promotional before paid, then the earliest expiry; the rows of one request are one charge.
    let rows = vec![payer.row(1, 1, 20_001), payer.row(1, 2, 0), payer.row(1, 3, 11_000)];
    subject.expect_settled(payer.settle(1, rows), &[(4, 10), (3, 10), (2, 10), (1, 2)], 0);
    subject.expect_available(payer, 98);
    subject.expect_settled(payer.settle_for(2, 0), &[], 0);
    subject.expect_available(payer, 98);
}

fn denies_without_a_trace(subject: &Subject<'_>) {
    let payer = Payer::number(1);
    subject.fund(payer, 1, 100);
    subject.answers(payer.hold(1, 60), Ok(Reply::Held));
    let invalid = |field| Err(Denial::Invalid { field });
    subject.answers(payer.hold(2, 41), Err(short(40, 41)));
    subject.answers(payer.extend(1, 41), Err(short(40, 41)));
    subject.answers(payer.hold(2, -1), invalid("amount"));
    subject.answers(payer.extend(1, -1), invalid("amount"));
    // A restart could not settle such a draft, and the hold would never end.
    let draft = Box::new(payer.row(2, 1, -1));
    subject.answers(HoldRequest { draft, ..payer.hold(2, 1) }, invalid("cost"));

    let good = payer.row(1, 1, 5_000);
    let wrong_rows = [
        (vec![], "rows"),
        (vec![payer.row(2, 1, 5_000)], "rows"),
        (
            vec![good.clone(), CostRow { organization: Payer::number(2).organization, ..payer.row(1, 2, 0) }],
            "rows",
        ),
        (vec![good.clone(), good.clone()], "rows"),
        (vec![payer.row(1, 0, 5_000)], "rows"),
        (vec![CostRow { cost: Money::from_nano(6), ..good.clone() }], "cost"),
        (vec![good.clone(), payer.row(1, 2, -1_000)], "cost"),
        (vec![payer.row(1, 1, -1)], "cost"),
    ];
    for (rows, field) in wrong_rows {
        subject.answers(payer.settle(1, rows), invalid(field));
    }
    subject.expect_available(payer, 40);
    subject.answers(payer.hold(2, 40), Ok(Reply::Held));
    subject.expect_settled(payer.settle(1, vec![good]), &[(1, 5)], 0);
    subject.expect_available(payer, 55);
}

fn tells_duplicates(subject: &Subject<'_>) {
    let payer = Payer::number(1);
    subject.fund(payer, 1, 10);
    subject.answers(payer.hold(1, 10), Ok(Reply::Held));
    // Who lost the first answer must learn that the hold is there, although nothing is left for a second.
    subject.answers(payer.hold(1, 10), Err(Denial::Duplicate));
    subject.expect_available(payer, 0);
    subject.expect_settled(payer.settle_for(1, 3), &[(1, 3)], 0);
    subject.expect_available(payer, 7);
}

fn ends_holds_once(subject: &Subject<'_>) {
    let payer = Payer::number(1);
    subject.fund(payer, 1, 100);
    subject.answers(payer.settle_for(1, 5), Err(Denial::HoldGone));
    subject.answers(payer.extend(1, 5), Err(Denial::HoldGone));
    subject.answers(payer.hold(1, 10), Ok(Reply::Held));
    subject.expect_settled(payer.settle_for(1, 5), &[(1, 5)], 0);
    subject.answers(payer.settle_for(1, 5), Err(Denial::HoldGone));
    subject.answers(payer.extend(1, 0), Err(Denial::HoldGone));
    subject.expect_available(payer, 95);
}

fn owes_and_pays(subject: &Subject<'_>) {
    let payer = Payer::number(1);
    subject.fund(payer, 1, 100);
    subject.answers(payer.hold(1, 10), Ok(Reply::Held));
    subject.answers(payer.hold(2, 70), Ok(Reply::Held));
    // 30 are not held by the other: they pay, the rest is owed.
    subject.expect_settled(payer.settle_for(1, 75), &[(1, 30)], 45);
    let debt = |nano| Err(Denial::InDebt { debt: Money::from_nano(nano) });
    subject.answers(payer.hold(3, 0), debt(45));
    subject.answers(payer.extend(2, 1), debt(45));
    subject.answers(payer.extend(2, 0), Ok(Reply::Extended));
    subject.granted(payer.grant(2, LotKind::Promo, 5, Timestamp::MAX));
    subject.answers(payer.hold(3, 1), debt(40));
    // The 50 that the other hold leaves over pay the 40.
    subject.expect_settled(payer.settle_for(2, 20), &[(1, 20)], 0);
    subject.expect_available(payer, 10);
}

fn expires(subject: &Subject<'_>) {
    let payer = Payer::number(1);
    subject.fund(payer, 1, 10);
    subject.granted(payer.grant(2, LotKind::Promo, 20, START.plus_seconds(60)));
    subject.answers(payer.hold(1, 15), Ok(Reply::Held));
    subject.clock.advance_seconds(59);
    subject.expect_available(payer, 15);
    subject.clock.advance_seconds(1);
    // Of the promotional 20 the hold still needs 5, which stay as grace; the 10 that were paid for stay.
    subject.expect_available(payer, 0);
    subject.expect_settled(payer.settle_for(1, 3), &[(2, 3)], 0);
    subject.expect_available(payer, 10);
    subject.clock.set(START);
    subject.expect_available(payer, 10);
    subject.answers(payer.hold(2, 10), Ok(Reply::Held));
    subject.expect_settled(payer.settle_for(2, 10), &[(1, 10)], 0);
}

fn keeps_the_queue(subject: &Subject<'_>) {
    let payer = Payer::number(1);
    subject.answers(payer.open(), Ok(Reply::Opened));
    let mut tickets = Vec::new();
    for n in 1..=40 {
        // Whoever drops a ticket does not take the grant back.
        drop(subject.submit(payer.grant(n, LotKind::Prepaid, 10, Timestamp::MAX)));
        tickets.push((subject.submit(payer.hold(n, 10)), Ok(Reply::Held)));
        tickets.push((subject.submit(payer.hold(1_000, 1)), Err(short(0, 1))));
        let draws = vec![Draw { lot: lot_id(n), amount: Money::from_nano(10) }];
        let paid = Reply::Settled(Settled { draws, debt: Money::ZERO });
        tickets.push((subject.submit(payer.settle_for(n, 10)), Ok(paid)));
    }
    for (ticket, expected) in tickets {
        assert_eq!(subject.answer(ticket), expected, "{}", subject.place);
    }
    subject.expect_available(payer, 0);
}
