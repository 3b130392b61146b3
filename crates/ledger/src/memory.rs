//! The port in memory: the rules without a store, for tests and simulations.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use domain::{Clock, LotId, WalletId};

use crate::{
    Changes, Command, CostRow, Denial, Entry, Grant, Idempotency, LedgerError, LedgerStore, Lot, Reply,
    Ticket, Wallet, apply,
};

/// A ledger that forgets everything when dropped.
pub struct MemoryLedger<C> {
    clock: C,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    wallets: HashMap<WalletId, Wallet>,
    grants: HashMap<(WalletId, String), ([u8; 32], Lot)>,
    /// Every lot there ever was: a wallet knows only those with something left.
    lots: HashSet<(WalletId, LotId)>,
    entries: Vec<Entry>,
    rows: Vec<CostRow>,
}

impl<C: Clock> MemoryLedger<C> {
    /// An empty ledger on this clock.
    pub fn new(clock: C) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// A wallet as it is now.
    pub fn wallet(&self, id: WalletId) -> Option<Wallet> {
        self.lock().wallets.get(&id).cloned()
    }

    /// Everything booked so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.clone()
    }

    /// Every cost row so far.
    pub fn rows(&self) -> Vec<CostRow> {
        self.lock().rows.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Clock> LedgerStore for MemoryLedger<C> {
    fn submit(&self, command: Command) -> Ticket {
        let now = self.clock.now();
        let answer = self.lock().run(command, now);
        Ticket::answered(answer.map_err(LedgerError::Denied))
    }
}

impl State {
    fn run(&mut self, command: Command, now: domain::Timestamp) -> Result<Reply, Denial> {
        if let Command::Open { wallet, organization } = command {
            if self.wallets.contains_key(&wallet) {
                return Err(Denial::Duplicate);
            }
            self.wallets.insert(wallet, Wallet::new(wallet, organization));
            return Ok(Reply::Opened);
        }
        let grant = match &command {
            Command::Grant(grant) => Some(grant.clone()),
            Command::Open { .. } | Command::Hold(_) | Command::Extend { .. } | Command::Settle { .. } => None,
        };
        if let Some(known) = grant.as_ref().and_then(|grant| self.known_grant(grant)) {
            return known;
        }
        let id = command.wallet();
        let wallet = self.wallets.get_mut(&id).ok_or(Denial::UnknownWallet)?;
        let mut changes = Changes::default();
        let answer = apply(wallet, command, now, &mut changes);
        if wallet.check_or_freeze(true).is_err() {
            return Err(Denial::Frozen);
        }
        self.entries.extend(changes.entries);
        self.rows.extend(changes.rows);
        if let (Some(grant), Ok(Reply::Granted(lot))) = (grant, &answer) {
            self.lots.insert((id, lot.id));
            if let Some(Idempotency { key, digest }) = grant.idempotency {
                self.grants.insert((id, key), (digest, lot.clone()));
            }
        }
        answer
    }

    /// The answer to a grant whose name or lot is known: the first answer for the same body, a denial for all else.
    fn known_grant(&self, grant: &Grant) -> Option<Result<Reply, Denial>> {
        if let Some(Idempotency { key, digest }) = &grant.idempotency
            && let Some((first_digest, lot)) = self.grants.get(&(grant.wallet, key.clone()))
        {
            let same = first_digest == digest;
            return Some(if same {
                Ok(Reply::Granted(lot.clone()))
            } else {
                Err(Denial::IdempotencyConflict)
            });
        }
        self.lots.contains(&(grant.wallet, grant.lot)).then_some(Err(Denial::Duplicate))
    }
}
