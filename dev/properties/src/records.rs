//! What must hold of every record that is read from a disk: it is read or refused, never half, and what is read is
//! written as it was.

use std::fmt::Debug;

use directory::{Actor, Bounds, InvitedTo, LimitSubject, ModelAccess};
use domain::{Money, OrganizationId, RequestId, Timestamp, WalletId};
use ledger::{Account, Budget, CostRow, Entry, EntryKind, EventKind, Reply};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::draft;

use crate::input::Input;

/// Bytes as a stored record, with one byte that chooses which: the draft of a hold, what wallets set aside, the legs of
/// a booking, or one of the records that are kept as JSON.
pub fn records(data: &[u8]) {
    let mut input = Input(data);
    let kind = input.byte();
    match kind {
        0 => check_draft(input.0),
        1 => check_shares(input.0),
        2 => check_legs(input.0),
        3 => check_json::<EventKind>(input),
        4 => check_json::<Reply>(input),
        5 => check_json::<Budget>(input),
        6 => check_json::<Bounds>(input),
        7 => check_json::<LimitSubject>(input),
        8 => check_json::<Actor>(input),
        9 => check_json::<ModelAccess>(input),
        10 => check_json::<Vec<InvitedTo>>(input),
        11 => check_json::<CostRow>(input),
        _ => {}
    }
}

fn check_draft(bytes: &[u8]) {
    let (organization, request) = (OrganizationId::from_bytes([1; 16]), RequestId::from_bytes([2; 16]));
    let Ok((row, earlier)) = draft::decode(bytes, organization, request) else { return };
    let mut written = Vec::new();
    draft::encode(&row, &earlier, &mut written);
    let again = draft::decode(&written, organization, request);
    assert!(again.is_ok_and(|again| again == (row, earlier)), "{written:?} is read as another");
    assert!(written.len() <= bytes.len(), "{} bytes became {}", bytes.len(), written.len());
}

fn check_shares(bytes: &[u8]) {
    if let Ok(shares) = draft::decode_shares(bytes) {
        assert_eq!(draft::encode_shares(&shares), bytes);
    }
}

fn check_legs(bytes: &[u8]) {
    let Ok(legs) = Entry::decode_legs(bytes) else { return };
    let accounts: Vec<Account> = legs.iter().map(|leg| leg.account).collect();
    let entry = Entry {
        organization: OrganizationId::from_bytes([1; 16]),
        sequence: u64::MAX,
        at: Timestamp::from_micros(i64::MIN),
        kind: EntryKind::Settle,
        wallet: WalletId::from_bytes([3; 16]),
        reference: [4; 16],
        legs,
        balance: Money::from_nano(i64::MIN),
        note: None,
        hash: [0; 32],
    };
    assert_eq!(entry.encoded_legs(), bytes);
    let _ = (entry.is_balanced(), entry.net_change(), entry.draws().count(), entry.compute_hash(&[0; 32]));
    for account in accounts {
        let _ = entry.amount_on(account);
    }
}

fn check_json<T: DeserializeOwned + Serialize + PartialEq + Debug>(input: Input<'_>) {
    let Some(text) = input.text() else { return };
    let Ok(value) = serde_json::from_str::<T>(text) else { return };
    let written = serde_json::to_string(&value).expect("a record of ours has a form");
    let again = serde_json::from_str::<T>(&written);
    assert!(again.as_ref().is_ok_and(|again| *again == value), "{again:?} was read from {written}");
}
