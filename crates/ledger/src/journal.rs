//! The journal: what was booked, in double entry, append only and hash-chained.
//!
//! Each entry's legs sum to zero. Debits are positive: a lot is a liability, so granting credits it (negative) and
//! drawing debits it (positive).

use domain::{LotId, Money, OrganizationId, Timestamp, WalletId};
use serde::{Deserialize, Serialize};

use crate::Note;

/// What kind of booking an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// An operator put credit in.
    Grant,
    /// A hold ended; also with a charge of zero, so that every hold has its end on record.
    Settle,
    /// A lot's time ran out.
    Expire,
    /// Free credit paid debt.
    PayDebt,
    /// A payment came in.
    TopUp,
    /// A promo code was redeemed.
    Redeem,
    /// Credit moved between two wallets.
    Transfer,
    /// A charge was given back.
    Refund,
    /// Credit was paid back to its owner.
    PayOut,
    /// An operator put something right.
    Adjust,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Grant,
        Self::Settle,
        Self::Expire,
        Self::PayDebt,
        Self::TopUp,
        Self::Redeem,
        Self::Transfer,
        Self::Refund,
        Self::PayOut,
        Self::Adjust,
    ];

    /// The number that is stored and hashed.
    pub const fn code(self) -> u8 {
        match self {
            // What calls bring about comes first, so that a store can tell it from what people and payments book.
            Self::Settle => 1,
            Self::Expire => 2,
            Self::PayDebt => 3,
            Self::Grant => 4,
            Self::TopUp => 5,
            Self::Redeem => 6,
            Self::Transfer => 7,
            Self::Refund => 8,
            Self::PayOut => 9,
            Self::Adjust => 10,
        }
    }

    /// The kind with this number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// What a leg moves money in or out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// What the operator owes the wallet's owner, lot by lot.
    Lot(LotId),
    /// Money that was paid in.
    Cash,
    /// Money that was given away.
    PromoExpense,
    /// What calls earned.
    Revenue,
    /// What expired unused.
    Breakage,
    /// What the entry's wallet owes.
    Receivable,
    /// What was put right.
    Correction,
}

/// One side of a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The account.
    pub account: Account,
    /// Debit above zero, credit below; never zero.
    pub amount: Money,
}

/// How much one lot paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// The lot.
    pub lot: LotId,
    /// What it paid, above zero.
    pub amount: Money,
}

/// One booking in an organization's books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose books.
    pub organization: OrganizationId,
    /// 1, 2, 3, … for each organization, without a gap.
    pub sequence: u64,
    /// When it was booked: later than what earlier commands booked; what one command books shares it.
    pub at: Timestamp,
    /// What was booked.
    pub kind: EntryKind,
    /// The wallet that new lots lie in and that owes what is owed. Lots that pay may lie in others.
    pub wallet: WalletId,
    /// The request, the lot, or the booking it is about.
    pub reference: [u8; 16],
    /// The legs; their sum is zero.
    pub legs: Vec<Leg>,
    /// What remains in all wallets less what they owe, after this entry.
    pub balance: Money,
    /// Who booked it and why, when it was no call.
    pub note: Option<Note>,
    /// This entry's link in the chain.
    pub hash: [u8; 32],
}

impl Entry {
    /// The chain's link: everything in this entry, and the link before it.
    pub fn compute_hash(&self, previous: &[u8; 32]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(previous);
        hasher.update(self.organization.as_bytes());
        hasher.update(&self.sequence.to_be_bytes());
        hasher.update(&self.at.micros().to_be_bytes());
        hasher.update(&[self.kind.code()]);
        hasher.update(self.wallet.as_bytes());
        hasher.update(&self.reference);
        hasher.update(&self.balance.nano().to_be_bytes());
        if let Some(Note { actor, reason }) = &self.note {
            // Each text with its length, so that no two notes read the same.
            for text in [actor.as_bytes(), reason.as_deref().unwrap_or_default().as_bytes()] {
                hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
                hasher.update(text);
            }
            hasher.update(&[u8::from(reason.is_some()), 1]);
        }
        hasher.update(&encode_legs(&self.legs));
        hasher.finalize().into()
    }

    /// The legs in the form in which they are stored and hashed.
    pub fn encoded_legs(&self) -> Vec<u8> {
        encode_legs(&self.legs)
    }

    /// Reads legs in their stored form.
    ///
    /// # Errors
    /// When the bytes are not what [`Entry::encoded_legs`] writes.
    pub fn decode_legs(bytes: &[u8]) -> Result<Vec<Leg>, LegsError> {
        decode_legs(bytes).ok_or(LegsError)
    }

    /// Whether the legs sum to zero (invariant I1).
    pub fn is_balanced(&self) -> bool {
        Money::sum(self.legs.iter().map(|leg| leg.amount)) == Some(Money::ZERO)
    }

    /// The lots that paid in this entry, in the order they were drawn.
    pub fn draws(&self) -> impl Iterator<Item = Draw> + '_ {
        self.legs.iter().filter_map(|leg| match leg.account {
            Account::Lot(lot) if !leg.amount.is_negative() => Some(Draw { lot, amount: leg.amount }),
            Account::Lot(_)
            | Account::Cash
            | Account::PromoExpense
            | Account::Revenue
            | Account::Breakage
            | Account::Receivable
            | Account::Correction => None,
        })
    }

    /// By how much this entry changes what its organization has: lots are what it has, the receivable what it owes.
    /// `None` when no amount can say it.
    pub fn net_change(&self) -> Option<Money> {
        let counts = |account| matches!(account, Account::Lot(_) | Account::Receivable);
        Money::sum(self.legs.iter().filter(|leg| counts(leg.account)).map(|leg| leg.amount))?.checked_neg()
    }

    /// The sum of the legs on one account, zero when there is none; `None` when it does not fit.
    pub fn amount_on(&self, account: Account) -> Option<Money> {
        Money::sum(self.legs.iter().filter(|leg| leg.account == account).map(|leg| leg.amount))
    }
}

/// Stored legs that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the legs of a journal entry are not readable")]
pub struct LegsError;

const TAG_LOT: u8 = 1;
const TAG_CASH: u8 = 2;
const TAG_PROMO_EXPENSE: u8 = 3;
const TAG_REVENUE: u8 = 4;
const TAG_BREAKAGE: u8 = 5;
const TAG_RECEIVABLE: u8 = 6;
const TAG_CORRECTION: u8 = 7;

fn encode_legs(legs: &[Leg]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(legs.len().saturating_mul(25));
    for leg in legs {
        match leg.account {
            Account::Lot(lot) => {
                bytes.push(TAG_LOT);
                bytes.extend_from_slice(lot.as_bytes());
            }
            Account::Cash => bytes.push(TAG_CASH),
            Account::PromoExpense => bytes.push(TAG_PROMO_EXPENSE),
            Account::Revenue => bytes.push(TAG_REVENUE),
            Account::Breakage => bytes.push(TAG_BREAKAGE),
            Account::Receivable => bytes.push(TAG_RECEIVABLE),
            Account::Correction => bytes.push(TAG_CORRECTION),
        }
        bytes.extend_from_slice(&leg.amount.nano().to_be_bytes());
    }
    bytes
}

fn decode_legs(mut bytes: &[u8]) -> Option<Vec<Leg>> {
    let mut legs = Vec::new();
    while let Some((tag, rest)) = bytes.split_first() {
        let (account, rest) = match *tag {
            TAG_LOT => {
                let (lot, rest) = rest.split_first_chunk::<16>()?;
                (Account::Lot(LotId::from_bytes(*lot)), rest)
            }
            TAG_CASH => (Account::Cash, rest),
            TAG_PROMO_EXPENSE => (Account::PromoExpense, rest),
            TAG_REVENUE => (Account::Revenue, rest),
            TAG_BREAKAGE => (Account::Breakage, rest),
            TAG_RECEIVABLE => (Account::Receivable, rest),
            TAG_CORRECTION => (Account::Correction, rest),
            _ => return None,
        };
        let (amount, rest) = rest.split_first_chunk::<8>()?;
        legs.push(Leg { account, amount: Money::from_nano(i64::from_be_bytes(*amount)) });
        bytes = rest;
    }
    Some(legs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_survive_storage_and_garbage_is_refused() {
        let lot = LotId::from_bytes([7; 16]);
        let legs = vec![
            Leg { account: Account::Lot(lot), amount: Money::from_nano(5) },
            Leg { account: Account::Receivable, amount: Money::from_nano(2) },
            Leg { account: Account::Revenue, amount: Money::from_nano(-7) },
        ];
        let bytes = encode_legs(&legs);
        assert_eq!(Entry::decode_legs(&bytes), Ok(legs));
        for cut in 1..25 {
            assert_eq!(Entry::decode_legs(&bytes[..cut]), Err(LegsError), "cut at {cut}");
        }
        assert_eq!(Entry::decode_legs(&[9, 0, 0, 0, 0, 0, 0, 0, 1]), Err(LegsError));
    }

    #[test]
    fn every_field_is_in_the_chain() {
        let entry = Entry {
            organization: OrganizationId::from_bytes([1; 16]),
            sequence: 3,
            at: Timestamp::from_micros(9),
            kind: EntryKind::Settle,
            wallet: WalletId::from_bytes([1; 16]),
            reference: [2; 16],
            legs: vec![Leg { account: Account::Cash, amount: Money::from_nano(1) }],
            balance: Money::ZERO,
            note: Some(Note { actor: "ab".into(), reason: None }),
            hash: [0; 32],
        };
        let original = entry.compute_hash(&[0; 32]);
        assert_ne!(original, entry.compute_hash(&[1; 32]));
        let note = |actor: &str, reason: Option<&str>| {
            Some(Note { actor: actor.into(), reason: reason.map(Box::from) })
        };
        let changed = [
            Entry { organization: OrganizationId::from_bytes([9; 16]), ..entry.clone() },
            Entry { sequence: 4, ..entry.clone() },
            Entry { at: Timestamp::from_micros(10), ..entry.clone() },
            Entry { kind: EntryKind::Expire, ..entry.clone() },
            Entry { wallet: WalletId::from_bytes([9; 16]), ..entry.clone() },
            Entry { reference: [3; 16], ..entry.clone() },
            Entry { legs: Vec::new(), ..entry.clone() },
            Entry { balance: Money::from_nano(1), ..entry.clone() },
            Entry { note: None, ..entry.clone() },
            Entry { note: note("ab", Some("")), ..entry.clone() },
            Entry { note: note("a", Some("b")), ..entry.clone() },
            Entry { note: note("", Some("ab")), ..entry.clone() },
        ];
        for other in changed {
            assert_ne!(original, other.compute_hash(&[0; 32]), "{other:?}");
        }
    }

    #[test]
    fn every_kind_keeps_its_number() {
        for kind in EntryKind::ALL {
            assert_eq!(EntryKind::from_code(kind.code()), Some(kind));
        }
        assert_eq!((EntryKind::from_code(0), EntryKind::from_code(11)), (None, None));
    }
}
