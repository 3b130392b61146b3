//! The books of one organization: its wallets, its live holds, its budgets. The unit in which everything is decided,
//! journaled, loaded and, when a promise broke, frozen.

use std::collections::{HashMap, HashSet};

use domain::{Money, OrganizationId, RequestId, Timestamp, WalletId};

use crate::{
    AttemptStatus, Budget, Command, CostRow, Extension, PoolKey, PoolUse, Purpose, Use, UseKey, Wallet,
};

/// Money set aside for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The request; also the hold's id.
    pub request: RequestId,
    /// How much is set aside in all.
    pub amount: Money,
    /// What each wallet of the chain sets aside, in the order in which they pay; zero shares stand for wallets that
    /// pay only what was not held for. The last one owes what nobody can pay.
    pub shares: Vec<Share>,
    /// Tokens as estimated, for budgets of tokens.
    pub tokens: u64,
    /// Units of the draft's pool that it counts on.
    pub units: u64,
    /// When it was admitted, by the clock.
    pub created_at: Timestamp,
    /// The budget periods it counts in. Follows from the draft, the time of admission and the budgets.
    pub uses: Vec<UseKey>,
    /// The rows of the attempts before the present one, in order, booked with the draft.
    pub earlier: Vec<CostRow>,
    /// The present attempt's row, to be booked if the gateway dies before it settles: consumption as of the last
    /// checkpoint.
    pub draft: Box<CostRow>,
}

impl Hold {
    /// All rows of the call as they stand, the present attempt's last.
    pub fn rows(&self) -> impl Iterator<Item = &CostRow> {
        self.earlier.iter().chain([&*self.draft])
    }

    /// The pool whose units it counts on.
    pub(crate) fn counts_on(&self) -> Option<&PoolKey> {
        self.draft.cover.as_ref().filter(|cover| !cover.strict).map(|cover| &cover.key)
    }

    /// The rows to book if the gateway dies before it settles, the present attempt's last, for this reason.
    pub fn rows_now(&self, reason: &str) -> Vec<CostRow> {
        let last = CostRow { reason: reason.into(), ..CostRow::clone(&self.draft) };
        self.earlier.iter().cloned().chain([last]).collect()
    }
}

/// One wallet's part of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The wallet.
    pub wallet: WalletId,
    /// What it sets aside.
    pub amount: Money,
}

/// All money of one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Books {
    /// The owner.
    pub organization: OrganizationId,
    /// The number of the last journal entry, 0 before the first.
    pub sequence: u64,
    /// The hash of the last journal entry, zeros before the first.
    pub head: [u8; 32],
    /// What remains in all wallets less what they owe, as of the last entry.
    pub net: Money,
    /// The stamp of the last command. Stamps only rise, whatever the clock does.
    pub last_at: Timestamp,
    /// What the clock showed at the last command.
    pub seen_at: Timestamp,
    /// Set when an invariant broke: nothing moves until an operator has looked.
    pub frozen: bool,
    /// The organization's own wallet first, then the others in the order in which they were made.
    pub wallets: Vec<Wallet>,
    /// Live holds.
    pub holds: HashMap<RequestId, Hold>,
    /// Budgets in the order in which they refuse.
    pub budgets: Vec<Budget>,
    /// Consumption by budget, subject and period. One that is not here is zero, or must be loaded before a call that
    /// counts in it is held (see [`Books::absent_uses`]).
    pub uses: HashMap<UseKey, Use>,
    /// What was used of pools. One that is not here is zero, or must be loaded before a command that draws on it (see
    /// [`Books::absent_pools`]).
    pub pools: HashMap<PoolKey, PoolUse>,
}

impl Books {
    /// Empty books with the organization's own wallet.
    pub fn new(organization: OrganizationId, wallet: WalletId) -> Self {
        Self {
            organization,
            sequence: 0,
            head: [0; 32],
            net: Money::ZERO,
            last_at: Timestamp::default(),
            seen_at: Timestamp::default(),
            frozen: false,
            wallets: vec![Wallet::new(wallet, Purpose::default())],
            holds: HashMap::new(),
            budgets: Vec::new(),
            uses: HashMap::new(),
            pools: HashMap::new(),
        }
    }

    /// The wallet with this id.
    pub fn wallet(&self, id: WalletId) -> Option<&Wallet> {
        self.wallets.iter().find(|wallet| wallet.id == id)
    }

    /// The wallets that pay for a call with these attempts, in the order in which they do: those for some models first,
    /// the project's before the organization's; then the project's own; then the organization's, unless the project has
    /// its own and is to live on it. Each covers every attempt but those that failed at no cost, and the last one in any
    /// case. A call never goes without: the last wallet is the one that owes what nobody can pay.
    pub fn chain(&self, attempts: &[CostRow]) -> Vec<WalletId> {
        let is_free = |row: &CostRow| row.status == AttemptStatus::Failed && row.cost_pico == 0;
        let last = attempts.len().saturating_sub(1);
        let paid = |(place, row): &(usize, &CostRow)| *place == last || !is_free(row);
        let calls: Vec<&CostRow> = attempts.iter().enumerate().filter(paid).map(|(_, row)| row).collect();
        let class = |wallet: &Wallet| match (wallet.purpose.is_restricted(), wallet.purpose.project) {
            (true, Some(_)) => 0_u8,
            (true, None) => 1,
            (false, Some(_)) => 2,
            (false, None) => 3,
        };
        let pays = |wallet: &&Wallet| {
            calls.iter().all(|call| wallet.purpose.covers(call.project, [&call.model, &call.target]))
        };
        let lives_on_its_own =
            self.wallets.iter().any(|wallet| class(wallet) == 2 && pays(&wallet) && !wallet.purpose.overflow);
        let last_class = if lives_on_its_own { 2 } else { 3 };
        let mut chain: Vec<(u8, WalletId)> = self
            .wallets
            .iter()
            .filter(pays)
            .map(|wallet| (class(wallet), wallet.id))
            .filter(|(class, _)| *class <= last_class)
            .collect();
        // Stable: within a class they stay in the order in which they were made.
        chain.sort_by_key(|(class, _)| *class);
        chain.into_iter().map(|(_, id)| id).collect()
    }

    /// The budget periods that a call falls under at a moment, in the order in which their budgets refuse.
    pub fn uses_of(&self, call: &CostRow, at: Timestamp) -> Vec<UseKey> {
        self.budgets.iter().filter_map(|budget| budget.use_of(call, at)).collect()
    }

    /// The periods that a store must load before this call is held at this moment, since memory need not know all.
    pub fn absent_uses(&self, call: &CostRow, at: Timestamp) -> Vec<UseKey> {
        let mut keys = self.uses_of(call, at);
        keys.retain(|key| !self.uses.contains_key(key));
        keys
    }

    /// The pools that a store must load before this command, since memory need not know all.
    pub fn absent_pools(&self, command: &Command) -> Vec<PoolKey> {
        let rows: Vec<&CostRow> = match command {
            Command::Hold(hold) | Command::Probe(hold) => vec![&hold.draft],
            Command::Settle { rows, .. } => rows.iter().collect(),
            Command::Extend(Extension { next: Some(next), .. }) => next.earlier.iter().collect(),
            Command::Open { .. }
            | Command::Extend(_)
            | Command::Sweep { .. }
            | Command::Book(_)
            | Command::Issue(_) => Vec::new(),
        };
        let mut covers: Vec<_> = rows.into_iter().filter_map(|row| row.cover.as_ref()).collect();
        if let Command::Extend(Extension { next: Some(next), .. }) = command {
            covers.extend(&next.cover);
        }
        covers.retain(|cover| !self.pools.contains_key(&cover.key));
        covers.into_iter().map(|cover| cover.key.clone()).collect()
    }

    /// Forgets consumption that no live hold counts in. What was saved can be loaded again.
    pub fn forget_idle_uses(&mut self) {
        let needed: HashSet<&UseKey> = self.holds.values().flat_map(|hold| &hold.uses).collect();
        self.uses.retain(|key, _| needed.contains(key));
        let covers = self.holds.values().flat_map(Hold::rows).filter_map(|row| row.cover.as_ref());
        let drawn: HashSet<&PoolKey> = covers.map(|cover| &cover.key).collect();
        self.pools.retain(|key, _| drawn.contains(key));
    }
}
