//! Wallets, lots and the journal as JSON.

use std::collections::HashMap;

use domain::{LotId, Money, OrganizationId, RequestId, WalletId};
use ledger::{Account, Draw, Entry, EntryKind, Lot, PromoCode, Wallet};
use serde_json::{Value, json};
use store::Balance;

use super::{expiry, list};

/// What stands for an organization's own wallet, in calls and in answers.
pub(crate) const OWN: &str = "own";

/// A lot just made.
pub(crate) fn granted(organization: OrganizationId, lot: &Lot) -> Value {
    json!({
        "id": lot.id,
        "object": "lot",
        "organization": organization,
        "wallet": lot.wallet,
        "kind": lot.kind,
        "amount": lot.granted,
        "expires_at": expiry(lot.expires_at),
        "created_at": lot.created_at,
    })
}

pub(crate) fn transfer(
    organization: OrganizationId,
    (from, to): (WalletId, WalletId),
    amount: Money,
    lots: &[Lot],
) -> Value {
    let lots: Vec<Value> = lots.iter().map(|lot| granted(organization, lot)).collect();
    json!({
        "object": "transfer",
        "organization": organization,
        "from": from,
        "to": to,
        "amount": amount,
        "lots": lots,
    })
}

/// A payout, or an adjustment that took credit away.
pub(crate) fn withdrawal(
    object: &str,
    id: LotId,
    (organization, wallet): (OrganizationId, WalletId),
    amount: Money,
    draws: &[Draw],
) -> Value {
    json!({
        "id": id,
        "object": object,
        "organization": organization,
        "wallet": wallet,
        "amount": amount,
        "draws": draws,
    })
}

pub(crate) fn balance(balance: &Balance) -> Value {
    json!({
        "object": "balance",
        "organization": balance.organization,
        "currency": "USD",
        "posted": balance.total(|wallet| wallet.balance),
        "held": balance.total(|wallet| wallet.held),
        "available": balance.total(Wallet::available),
        "debt": balance.total(|wallet| wallet.debt),
        "net": balance.net,
        "frozen": balance.frozen,
        "wallets": all_wallets(balance),
    })
}

pub(crate) fn wallets(balance: &Balance) -> Value {
    list(all_wallets(balance), false)
}

fn all_wallets(balance: &Balance) -> Vec<Value> {
    let numbered = balance.wallets.iter().enumerate();
    numbered.map(|(number, one)| wallet(balance.organization, one, number == 0)).collect()
}

/// A wallet. The organization's own has no name of its own, so it is called by the word that stands for it in calls.
pub(crate) fn wallet(organization: OrganizationId, wallet: &Wallet, own: bool) -> Value {
    let purpose = &wallet.purpose;
    let lots: Vec<Value> = wallet.lots.iter().map(lot).collect();
    json!({
        "id": wallet.id,
        "object": "wallet",
        "organization": organization,
        "own": own,
        "name": if own { OWN } else { &*purpose.name },
        "project": purpose.project,
        "models": purpose.models,
        "overflow": purpose.overflow,
        "posted": wallet.balance,
        "held": wallet.held,
        "available": wallet.available(),
        "debt": wallet.debt,
        "lots": lots,
    })
}

fn lot(lot: &Lot) -> Value {
    json!({
        "id": lot.id,
        "kind": lot.kind,
        "granted": lot.granted,
        "remaining": lot.remaining,
        "used": lot.used,
        "expired": lot.expired,
        "withdrawn": lot.withdrawn,
        "expires_at": expiry(lot.expires_at),
        "created_at": lot.created_at,
    })
}

pub(crate) fn promo_code(code: &PromoCode) -> Value {
    json!({
        "object": "promo_code",
        "code": code.code,
        "amount": code.amount,
        "uses": code.uses_max,
        "used": code.uses,
        "expires_at": expiry(code.expires_at),
        "credit_days": code.credit_seconds.map(|seconds| seconds / (24 * 60 * 60)),
        "models": code.models,
        "created_at": code.created_at,
    })
}

/// A booking as a person reads it: what it changed, what was there afterwards, what it is about.
///
/// `amount` is by how much the organization has more; a transfer changes nothing, so `moved` says what went from wallet
/// to wallet. In `lots` credit that came is above zero and credit that went below.
pub(crate) fn entry(entry: &Entry, wallets: &[Wallet], places: &HashMap<LotId, WalletId>) -> Value {
    let name = |id: &WalletId| {
        let at = wallets.iter().position(|wallet| wallet.id == *id)?;
        Some(if at == 0 { OWN } else { &*wallets.get(at)?.purpose.name })
    };
    let lots = entry.legs.iter().filter_map(|leg| {
        let Account::Lot(lot) = leg.account else { return None };
        let wallet = places.get(&lot);
        // Debits stand above zero in the journal; for the owner of a lot a debit is what went.
        let amount = leg.amount.checked_neg();
        Some(json!({ "lot": lot, "wallet": wallet, "wallet_name": wallet.and_then(name), "amount": amount }))
    });
    let lots: Vec<Value> = lots.collect();
    let moved =
        Money::sum(entry.draws().map(|draw| draw.amount)).filter(|_| entry.kind == EntryKind::Transfer);
    json!({
        "object": "entry",
        "sequence": entry.sequence,
        "at": entry.at,
        "kind": entry.kind,
        "about": about(entry),
        "amount": entry.net_change(),
        "moved": moved,
        "debt": entry.amount_on(Account::Receivable),
        "balance": entry.balance,
        "wallet": entry.wallet,
        "wallet_name": name(&entry.wallet),
        "lots": lots,
        "actor": entry.note.as_ref().map(|note| &note.actor),
        "reason": entry.note.as_ref().and_then(|note| note.reason.as_ref()),
        "hash": hex(&entry.hash),
    })
}

/// What the entry's reference names: a call, a lot, or a booking that has no other name.
fn about(entry: &Entry) -> Value {
    let lot = || LotId::from_bytes(entry.reference);
    let names_a_new_lot = || entry.legs.iter().any(|leg| leg.account == Account::Lot(lot()));
    match entry.kind {
        EntryKind::Settle | EntryKind::Refund => {
            json!({ "type": "request", "id": RequestId::from_bytes(entry.reference) })
        }
        EntryKind::PayOut => json!({ "type": "payout", "id": lot() }),
        EntryKind::Adjust if !names_a_new_lot() => json!({ "type": "adjustment", "id": lot() }),
        EntryKind::Grant
        | EntryKind::Expire
        | EntryKind::PayDebt
        | EntryKind::TopUp
        | EntryKind::Redeem
        | EntryKind::Transfer
        | EntryKind::Adjust => json!({ "type": "lot", "id": lot() }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
