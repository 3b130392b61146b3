//! What a rule must know of the past that open books no longer show. A store looks it up for each command before it is
//! applied; most commands need nothing.

use domain::{LotId, Money, OrganizationId, WalletId};

use crate::{Books, PromoCode, Reply, Use, UseKey};

/// The past as one command needs it. The default is that there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The digest and the answer of the booking that had the same idempotency key.
    pub answered: Option<([u8; 32], Reply)>,
    /// Whether the id of what is to be made was used before: of a lot, a wallet, a budget, or a request that ended.
    /// For a transfer, whether any of as many ids was, counting up, as there are open lots (see [`Past::lot_ids`]).
    pub taken: bool,
    /// What the call of a refund was charged.
    pub charged: Option<Charged>,
    /// The organization that a payment was booked for, and the answer.
    pub paid: Option<(OrganizationId, Reply)>,
    /// The promo code that is named.
    pub promo: Option<PromoCode>,
    /// Whether this organization has redeemed the promo code.
    pub redeemed: bool,
    /// What calls have consumed of a new budget in the period that runs.
    pub consumed: Vec<(UseKey, Use)>,
}

impl Past {
    /// The first and the last id that a transfer may give to lots it makes.
    pub fn lot_ids(books: &Books, first: LotId) -> (LotId, LotId) {
        let open = books.wallets.iter().map(|wallet| wallet.lots.len()).sum::<usize>();
        let more = u128::try_from(open).unwrap_or(u128::MAX).saturating_sub(1);
        let last = u128::from_be_bytes(*first.as_bytes()).saturating_add(more);
        (first, LotId::from_bytes(last.to_be_bytes()))
    }
}

/// A call's charge, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    /// The wallet that paid last.
    pub wallet: WalletId,
    /// What was charged.
    pub amount: Money,
    /// What was given back.
    pub refunded: Money,
}
