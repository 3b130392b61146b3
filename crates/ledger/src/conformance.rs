//! The suite every ledger store must pass, a clock to turn by hand, and commands with sensible values.
//!
//! The suite asks through the port alone, so it sees books as their callers do: what is available is what a hold
//! that is far too large is told.
//!
//! ```ignore
//! ledger::conformance::check("sqlite", &|clock| Box::new(open_in_fresh_folder(clock)));
//! ```
#![expect(
    clippy::arithmetic_side_effects,
    reason = "the suite's own amounts are small, and an overflow must fail it"
)]

mod bookings;
mod budgets;
mod calls;
mod crowd;
mod payments;
mod pools;
mod samples;
mod wallets;

use std::sync::Arc;

use domain::{Clock, Money, Timestamp};

use crate::{
    Command, CostRow, Denial, Draw, HoldRequest, LedgerError, LedgerStore, Lot, LotKind, Reply, Settled,
    Ticket,
};

pub use samples::{
    ManualClock, Payer, START, budget, budget_id, cost_cap, cover, lot_id, named, parts, pool_key,
    project_id, promo, purpose, request_id, strict, wallet_id,
};

/// One case of the suite, on a fresh store.
type Case = fn(&Trial<'_>);

/// The cases, in the order in which a new store is best made to pass them.
const CASES: &[(&str, Case)] = &[
    ("books are opened once", calls::opens_once),
    ("an organization that is not there is named so", calls::names_unknown_organizations),
    ("a hold, its extension and its settlement", calls::holds_and_settles),
    ("a denial tells the figures and changes nothing", calls::denies_without_a_trace),
    ("a probe says what a hold would be answered and changes nothing", calls::probes),
    ("a request is held once, also after its end", calls::tells_duplicates),
    ("a hold ends once", calls::ends_holds_once),
    ("what was not covered is owed until it is paid", calls::owes_and_pays),
    ("credit expires by the clock, grace apart", calls::expires),
    ("a hold shrinks to what there is, down to its least", calls::shrinks_to_fit),
    ("holds that nobody ends are settled at their last checkpoint", calls::sweeps),
    ("commands are applied in the order they were queued", calls::keeps_the_queue),
    ("a grant adds a lot", bookings::grants),
    ("a lot's id is used once, also after it is spent", bookings::refuses_used_lots),
    ("a booking says who and why", bookings::asks_who_and_why),
    ("a named booking happens once, whatever kind it is", bookings::happens_once),
    ("a named booking that is denied may be made again", bookings::forgets_denials),
    ("the same booking twice in flight happens once", bookings::happens_once_in_flight),
    ("a payment is booked once for ever", payments::tops_up_once),
    ("refunds never exceed the charge, however long ago", payments::refunds),
    ("only prepaid credit is paid out", payments::pays_out),
    ("adjustments add and take", payments::adjusts),
    ("a promo code is redeemed once by each, as often as it may be", payments::redeems),
    ("a promo code for some models makes its wallet once", payments::redeems_for_models),
    ("a wallet is for what no other is for", wallets::opens_wallets),
    ("wallets pay in the order of their chain", wallets::pays_in_chain_order),
    ("a project without overflow lives on its own", wallets::keeps_projects_apart),
    ("an extension goes along the hold's own chain", wallets::extends_along_the_chain),
    ("a call that goes on at another model is paid from that model's wallets", wallets::moves_with_the_model),
    ("a transfer keeps kind and expiry", wallets::transfers),
    ("a budget counts the calls of its subject", budgets::counts_subjects),
    ("a budget begins anew with its period", budgets::begins_anew),
    ("a call counts in the period in which it was held", budgets::counts_where_it_was_held),
    ("money, tokens and steps are capped", budgets::caps_all_measures),
    ("a new budget counts what the period has seen", budgets::counts_the_past),
    ("a budget is changed and removed", budgets::changes_and_removes),
    ("of several budgets the first refuses, and a hold shrinks to the least room", budgets::refuses_in_order),
    ("a pool pays before money does, to the unit", pools::pays_to_the_unit),
    ("what a pool will not pay for is needed in money", pools::needs_the_rest_in_money),
    ("a pool pays for whoever ends first", pools::pays_who_comes_first),
    ("a hold that goes on elsewhere counts on that pool alone", pools::moves_to_another_pool),
    ("a hold that goes on elsewhere needs no more than it lacks", pools::lets_go_on_for_what_is_lacking),
    ("pools pay for what nobody ends", pools::settles_what_nobody_ends),
    ("promotional credit alone pays where it must", pools::grants_alone_may_pay),
    ("a strict pool gives out no more than it has", pools::gives_out_no_more_than_it_has),
    ("what an attempt took of a strict pool stays taken", pools::keeps_what_was_taken),
    ("many threads never hold more than there is", crowd::never_holds_too_much),
    ("many threads never hold more than a chain of wallets has", crowd::never_holds_more_than_a_chain),
    ("many threads never pass a budget", crowd::never_passes_a_budget),
    ("organizations do not disturb each other", crowd::keeps_organizations_apart),
];

/// Runs the whole suite on stores that `open` makes, each fresh and empty, on the clock it is given.
///
/// # Panics
/// On the first difference, naming the store and the case.
pub fn check(name: &str, open: &dyn Fn(Arc<dyn Clock>) -> Box<dyn LedgerStore>) {
    for (case, run) in CASES {
        let clock = Arc::new(ManualClock::new(START));
        let ledger = open(clock.clone());
        run(&Trial { place: format!("{name}: {case}"), ledger, clock });
    }
}

/// What a store answers.
type Answer = Result<Reply, Denial>;

/// One store under test.
struct Trial<'a> {
    place: String,
    ledger: Box<dyn LedgerStore + 'a>,
    clock: Arc<ManualClock>,
}

impl Trial<'_> {
    fn submit(&self, command: impl Into<Command>) -> Ticket {
        self.ledger.submit(command.into())
    }

    /// What the ledger answers. A store that fails fails the suite.
    #[track_caller]
    fn ask(&self, command: impl Into<Command>) -> Answer {
        let command = command.into();
        let Command::Hold(hold) = &command else { return self.answer(self.submit(command)) };
        // Whatever a case holds for: asked before, the ledger says the same, and it stays the same.
        let asked = format!("{command:?}");
        let [first, second] = [(), ()].map(|()| self.answer(self.submit(Command::Probe(hold.clone()))));
        let answer = self.answer(self.submit(command));
        for foreseen in [first, second] {
            assert_eq!(foreseen, answer.clone().map(would), "{}: a probe of {asked}", self.place);
        }
        answer
    }

    #[track_caller]
    fn answer(&self, ticket: Ticket) -> Answer {
        let answer = ticket.wait();
        assert!(matches!(answer, Ok(_) | Err(LedgerError::Denied(_))), "{}: {answer:?}", self.place);
        match answer {
            Err(LedgerError::Denied(denial)) => Err(denial),
            other => Ok(other.unwrap_or(Reply::Opened)),
        }
    }

    #[track_caller]
    fn answers(&self, command: impl Into<Command>, expected: Answer) {
        let command = command.into();
        let asked = format!("{command:?}");
        assert_eq!(self.ask(command), expected, "{}: {asked}", self.place);
    }

    /// Asks for things that must be refused so.
    #[track_caller]
    fn refuses<C: Into<Command>>(&self, commands: impl IntoIterator<Item = (C, Denial)>) {
        for (command, denial) in commands {
            self.answers(command, Err(denial));
        }
    }

    /// Asks for something that must happen, whatever the answer is in detail.
    #[track_caller]
    fn does(&self, command: impl Into<Command>) {
        let command = command.into();
        let asked = format!("{command:?}");
        let answer = self.ask(command);
        assert!(answer.is_ok(), "{}: {answer:?} to {asked}", self.place);
    }

    #[track_caller]
    fn expect_settled(&self, command: Command, draws: &[(u64, i64)], debt: i64) {
        let settled = Settled { draws: draws_of(draws), debt: Money::from_nano(debt) };
        self.answers(command, Ok(Reply::Settled(settled)));
    }

    #[track_caller]
    fn expect_withdrawn(&self, command: impl Into<Command>, draws: &[(u64, i64)]) {
        self.answers(command, Ok(Reply::Withdrawn(draws_of(draws))));
    }

    /// Opens the books and puts one lot in that never expires.
    #[track_caller]
    fn fund(&self, payer: Payer, lot: u64, nano: i64) {
        self.answers(payer.open(), Ok(Reply::Opened));
        self.does(payer.grant(lot, LotKind::Prepaid, nano, Timestamp::MAX));
    }

    /// Asks for new lots: they must be these, booked just now.
    #[track_caller]
    fn expect_lots(&self, command: impl Into<Command>, expected: &[NewLot]) {
        let answer = self.ask(command);
        let Ok(Reply::Granted(lots)) = answer else {
            return assert!(answer.is_err() && answer.is_ok(), "{}: {answer:?}", self.place);
        };
        // Stamps run a microsecond a command when the clock stands still.
        let now = self.clock.now().micros();
        assert!(lots.iter().all(|lot| (0..200).contains(&(lot.created_at.micros() - now))), "{lots:?}");
        let expected: Vec<Lot> =
            expected.iter().zip(&lots).map(|(new, lot)| new.lot(lot.created_at)).collect();
        assert_eq!(lots, expected, "{}", self.place);
    }

    /// Asks for all the money there can be, which is refused with the figure.
    #[track_caller]
    fn expect_available(&self, payer: Payer, nano: i64) {
        self.expect_available_to(payer.hold(u64::MAX, i64::MAX), nano);
    }

    /// The same, for the wallets that pay for a call like this.
    #[track_caller]
    fn expect_available_to(&self, hold: HoldRequest, nano: i64) {
        let (amount, least) = (Money::MAX, Money::MAX);
        self.answers(HoldRequest { amount, least, ..hold }, Err(short(nano, i64::MAX)));
    }
}

/// A lot as an answer must show it: number, number of its wallet, kind, amount, expiry.
struct NewLot(u64, u64, LotKind, i64, Timestamp);

impl NewLot {
    fn lot(&self, created_at: Timestamp) -> Lot {
        let Self(number, wallet, kind, nano, expires_at) = *self;
        let amount = Money::from_nano(nano);
        Lot {
            id: lot_id(number),
            wallet: wallet_id(wallet),
            kind,
            granted: amount,
            remaining: amount,
            used: Money::ZERO,
            expired: Money::ZERO,
            withdrawn: Money::ZERO,
            created_at,
            expires_at,
            warned: false,
        }
    }
}

fn draws_of(draws: &[(u64, i64)]) -> Vec<Draw> {
    draws.iter().map(|(lot, nano)| Draw { lot: lot_id(*lot), amount: Money::from_nano(*nano) }).collect()
}

fn held(nano: i64) -> Answer {
    Ok(Reply::Held(Money::from_nano(nano)))
}

fn extended(nano: i64) -> Answer {
    Ok(Reply::Extended(Money::from_nano(nano)))
}

/// What a probe says where a hold says this.
fn would(held: Reply) -> Reply {
    if let Reply::Held(amount) = held { Reply::WouldHold(amount) } else { held }
}

fn short(available: i64, needed: i64) -> Denial {
    Denial::InsufficientCredit { available: Money::from_nano(available), needed: Money::from_nano(needed) }
}

fn owes(wallet: u64, nano: i64) -> Denial {
    Denial::InDebt { wallet: wallet_id(wallet), debt: Money::from_nano(nano) }
}

const fn invalid(field: &'static str) -> Denial {
    Denial::Invalid { field }
}

const fn unknown(field: &'static str) -> Denial {
    Denial::Unknown { field }
}

/// The same hold for a call that differs in this.
fn held_for(hold: HoldRequest, change: impl FnOnce(&mut CostRow)) -> HoldRequest {
    let mut draft = hold.draft.clone();
    change(&mut draft);
    HoldRequest { draft, ..hold }
}
