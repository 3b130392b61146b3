//! One wallet and everything it ever said: applies commands, and after each checks all that must always hold.

use std::collections::BTreeMap;

use domain::{LotId, Money, RequestId, Timestamp};
use tollkeeper_ledger::conformance::Payer;
use tollkeeper_ledger::{
    Account, Changes, Command, CostRow, Denial, Entry, EntryKind, Hold, Lot, LotKind, Replayed, Reply,
    Wallet, apply, replay,
};

/// The wallet's owner.
pub(crate) fn payer() -> Payer {
    Payer::number(1)
}

/// Kinds of lots that take from what calls earned.
const GIVEN_BACK: [LotKind; 2] = [LotKind::Refund, LotKind::Adjustment];

/// A wallet, and the tables a store would have made of its changes.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) wallet: Wallet,
    /// Every lot there ever was.
    pub(crate) lots: BTreeMap<LotId, Lot>,
    pub(crate) entries: Vec<Entry>,
    holds: BTreeMap<RequestId, Hold>,
    rows: BTreeMap<(RequestId, u32), CostRow>,
}

impl Bench {
    /// An empty wallet.
    pub(crate) fn new() -> Self {
        Self {
            wallet: Wallet::new(payer().wallet, payer().organization),
            lots: BTreeMap::new(),
            entries: Vec::new(),
            holds: BTreeMap::new(),
            rows: BTreeMap::new(),
        }
    }

    /// Applies a command, saves what changed, and checks every promise.
    pub(crate) fn apply(&mut self, command: impl Into<Command>, now: Timestamp) -> Result<Reply, Denial> {
        let before = self.wallet.clone();
        let mut changes = Changes::default();
        let answer = apply(&mut self.wallet, command.into(), now, &mut changes);
        if answer.is_err() {
            denied(&before, &self.wallet, &changes);
        }
        self.check_entries(&before, &changes);
        self.save(changes);
        self.check_tables();
        assert_eq!(self.wallet.check(true), Ok(()));
        answer
    }

    /// Each entry follows the one before, is stamped with the command's time, and tells what the rows tell.
    fn check_entries(&self, before: &Wallet, changes: &Changes) {
        let (mut sequence, mut head) = (before.sequence, before.head);
        for entry in &changes.entries {
            assert_eq!(entry.check((sequence, &head)), Ok(()));
            assert_eq!(entry.at, self.wallet.last_at);
            assert!(entry.at > before.last_at || entry.at == Timestamp::MAX, "{entry:?}");
            assert!(entry.legs.iter().all(|leg| !leg.amount.is_zero()), "{entry:?}");
            assert_eq!(Entry::decode_legs(&entry.encoded_legs()).as_ref(), Ok(&entry.legs));
            (sequence, head) = (entry.sequence, entry.hash);
        }
        assert_eq!((self.wallet.sequence, self.wallet.head), (sequence, head));

        let ends = changes.entries.iter().filter(|entry| entry.kind == EntryKind::Settle);
        let ends: Vec<_> = ends.map(|entry| (entry.reference, entry.amount_on(Account::Revenue))).collect();
        let charge = Money::sum(changes.rows.iter().map(|row| row.cost)).and_then(Money::checked_neg);
        let expected: Vec<_> = changes.holds_ended.iter().map(|hold| (*hold.as_bytes(), charge)).collect();
        assert_eq!(
            ends, expected,
            "each hold that ended has its entry, and its charge is what the rows cost"
        );
    }

    fn save(&mut self, changes: Changes) {
        self.lots.extend(changes.lots.into_iter().map(|lot| (lot.id, lot)));
        self.holds.extend(changes.holds.into_iter().map(|hold| (hold.request, hold)));
        for ended in changes.holds_ended {
            assert!(self.holds.remove(&ended).is_some(), "{ended} ended without having been saved");
        }
        for row in changes.rows {
            let taken = self.rows.insert((row.request, row.attempt), row);
            assert_eq!(taken, None, "one attempt, two rows");
        }
        self.entries.extend(changes.entries);
    }

    /// What was saved is what the wallet knows.
    fn check_tables(&self) {
        let mut open: Vec<Lot> = self.lots.values().filter(|lot| !lot.remaining.is_zero()).cloned().collect();
        open.sort_by_key(|lot| (lot.kind != LotKind::Promo, lot.expires_at, lot.id));
        assert_eq!(open, self.wallet.lots);
        let live: BTreeMap<RequestId, Hold> =
            self.wallet.holds.iter().map(|(id, hold)| (*id, hold.clone())).collect();
        assert_eq!(live, self.holds);
        for lot in self.lots.values() {
            let parts = [lot.remaining, lot.used, lot.expired];
            assert!(parts.iter().all(|part| !part.is_negative()), "{lot:?}");
            assert_eq!(Money::sum(parts), Some(lot.granted), "{lot:?}");
        }
    }

    /// The journal alone tells the same story.
    pub(crate) fn check_replay(&self) {
        let replayed = replay(self.entries.iter().cloned());
        assert!(replayed.is_ok(), "{replayed:?}");
        let Replayed { lots, balance, debt, sequence, head, charges, revenue } = replayed.unwrap_or_default();
        let wallet = &self.wallet;
        assert_eq!((balance, debt), (wallet.balance, wallet.debt));
        assert_eq!((sequence, head), (wallet.sequence, wallet.head));
        assert_eq!(lots.len(), self.lots.len());
        for (id, lot) in lots {
            let known = &self.lots[&id];
            assert_eq!((lot.granted, lot.used, lot.expired), (known.granted, known.used, known.expired));
            assert_eq!(lot.remaining(), Some(known.remaining));
        }
        let mut costs: BTreeMap<[u8; 16], Money> = BTreeMap::new();
        for row in self.rows.values() {
            let cost = costs.entry(*row.request.as_bytes()).or_default();
            *cost = cost.checked_add(row.cost).unwrap_or(Money::MAX);
        }
        assert_eq!(charges, costs);
        let given_back = self.lots.values().filter(|lot| GIVEN_BACK.contains(&lot.kind));
        let given_back: i128 = given_back.map(|lot| i128::from(lot.granted.nano())).sum();
        let charged: i128 = costs.values().map(|cost| i128::from(cost.nano())).sum();
        if charged + given_back <= i128::from(i64::MAX) {
            assert_eq!(i128::from(revenue.nano()), charged - given_back);
        }
    }
}

/// A denial has moved no money, apart from credit that was due.
fn denied(before: &Wallet, after: &Wallet, changes: &Changes) {
    if before.frozen {
        assert_eq!(before, after);
        assert!(changes.lots.is_empty() && changes.entries.is_empty());
    }
    assert!(changes.holds.is_empty() && changes.holds_ended.is_empty() && changes.rows.is_empty());
    assert!(changes.entries.iter().all(|entry| entry.kind == EntryKind::Expire), "{:?}", changes.entries);
    assert_eq!((before.held, before.debt, &before.holds), (after.held, after.debt, &after.holds));
    for lot in &before.lots {
        let due = lot.expires_at <= after.last_at && lot.expires_at != Timestamp::MAX;
        let kept = after.lots.contains(lot);
        assert!(due || kept, "{lot:?} was changed by a denial");
    }
    for lot in &changes.lots {
        let was = before.lots.iter().find(|was| was.id == lot.id).map(|was| was.used);
        assert_eq!(was, Some(lot.used), "{lot:?} was drawn by a denial");
    }
}
