//! Who asks: the commands of a seed, and those asked again because nobody heard the answer.

use std::collections::{BTreeSet, VecDeque};

use domain::{LotId, Timestamp, Usage};
use ledger::{Act, Command};

use crate::Random;
use crate::chaos::{Chaos, Scale, Universe};
use crate::model::Model;
use crate::script::Step;
use crate::tally::Tally;

/// Tokens that a command may count; sums of them fit in 63 bits.
const TOKENS_MOST: u64 = 1 << 40;

/// Open lots of an organization are fewer.
const LOTS_MOST: u128 = 1 << 15;

/// The callers of a store.
pub(crate) struct Client {
    chaos: Chaos,
    tally: Tally,
    retries: VecDeque<Command>,
}

impl Client {
    pub(crate) fn new(seed: u64) -> Self {
        Self { chaos: Chaos::new(chaos_seed(seed)), tally: Tally::default(), retries: VecDeque::new() }
    }

    /// Nobody heard what came of these.
    pub(crate) fn unanswered(&mut self, commands: &[Command]) {
        self.retries.extend(commands.iter().cloned());
    }

    /// A new command, and when it is given.
    pub(crate) fn next(&mut self, model: &Model, random: &mut Random) -> (Command, Timestamp) {
        loop {
            let Step::Do(command, now) = self.chaos.next(model, &mut self.tally) else { continue };
            // Calls that are over are asked for often enough.
            if is_fair(&command, model) && (!is_over(&command, model) || random.chance(100)) {
                return (command, now);
            }
        }
    }

    /// Whoever never heard asks again, with the same body or, by mistake, with another; or gives up (the inner `None`).
    /// So does one whose id somebody else has drawn since: the generator knows no ids but those that are booked.
    pub(crate) fn again(&mut self, model: &Model, random: &mut Random) -> Option<Option<Command>> {
        if self.retries.is_empty() || !random.chance(600) {
            return None;
        }
        let mut command = self.retries.pop_front()?;
        match random.below(10) {
            0 => return Some(None),
            1 => {
                if let Command::Book(booking) = &mut command
                    && let Some(named) = &mut booking.idempotency
                {
                    named.digest = [0xee; 32];
                }
            }
            _ => {}
        }
        Some(Some(command).filter(|command| is_fair(command, model)))
    }
}

/// Whether a command is about a call that is not live.
fn is_over(command: &Command, model: &Model) -> bool {
    let request = match command {
        Command::Settle { request, .. } => request,
        Command::Extend(extension) => &extension.request,
        Command::Open { .. }
        | Command::Hold(_)
        | Command::Probe(_)
        | Command::Sweep { .. }
        | Command::Book(_)
        | Command::Issue(_) => return false,
    };
    let owner = command.organization().and_then(|id| model.owners.get(&id));
    owner.is_none_or(|owner| !owner.stakes.contains_key(request))
}

/// Ids are unique over all organizations, as those that are drawn are; the model counts on it. And no call has more
/// tokens than a column of the database takes.
fn is_fair(command: &Command, model: &Model) -> bool {
    if let Command::Open { wallet, .. } = command {
        return !model.wallet_ids.contains(wallet);
    }
    let Command::Book(booking) = command else { return most_tokens(command) < TOKENS_MOST };
    let lot = match &booking.act {
        Act::Grant(grant) | Act::TopUp { grant, .. } => grant.lot,
        Act::Redeem { lot, .. }
        | Act::Transfer { lot, .. }
        | Act::Refund { lot, .. }
        | Act::Adjust { lot, .. }
        | Act::PayOut { payout: lot, .. } => *lot,
        Act::SetBudget(budget) => {
            return model.budget_ids.get(&budget.id).is_none_or(|owner| *owner == booking.organization);
        }
        Act::OpenWallet { .. } | Act::RemoveBudget(_) => return true,
    };
    // A transfer counts up from the id that it names.
    let mut used = model.lot_ids.range(lot..).take_while(|id| is_near(lot, **id)).peekable();
    if used.peek().is_none() {
        return true;
    }
    let owner = model.owners.get(&booking.organization);
    let purses = owner.into_iter().flat_map(|owner| &owner.purses);
    let own: BTreeSet<LotId> =
        purses.flat_map(|purse| purse.lots.values().chain(&purse.closed)).map(|piece| piece.id).collect();
    used.all(|id| own.contains(id))
}

/// Whether an id may be among those that begin with the first.
fn is_near(first: LotId, id: LotId) -> bool {
    let number = |id: LotId| u128::from_be_bytes(*id.as_bytes());
    number(id).saturating_sub(number(first)) < LOTS_MOST
}

/// The largest count of tokens in a command.
fn most_tokens(command: &Command) -> u64 {
    let most = |usage: &Usage| usage.counts().into_iter().max().unwrap_or(0);
    match command {
        Command::Hold(hold) | Command::Probe(hold) => hold.tokens.max(most(&hold.draft.usage)),
        Command::Extend(extension) => extension.tokens.max(most(&extension.usage)),
        Command::Settle { rows, .. } => rows.iter().map(|row| most(&row.usage)).max().unwrap_or(0),
        Command::Open { .. } | Command::Sweep { .. } | Command::Book(_) | Command::Issue(_) => 0,
    }
}

/// The seed of the commands. Universes of huge amounts are left out: there, a charge may not fit at a start, and books
/// are frozen.
fn chaos_seed(seed: u64) -> u64 {
    let mut seeds = (0..).map(|turn: u64| seed.wrapping_add(turn << 48));
    let fits = |seed: &u64| Universe::new(&mut Random::new(*seed)).scale != Scale::Huge;
    seeds.find(fits).unwrap_or(seed)
}
