//! Money that went back: told of once, whichever comes first, the news of it or the payment it belongs to.

use domain::{OrganizationId, Timestamp};
use payments::{EventName, Receipt, ReturnKind, Returned, TopUp};
use rusqlite::{Connection, OptionalExtension};

use super::{append_event, is_known, load_topup, paid_by, remember};
use crate::StoreError;

/// Tells of it, or remembers it until its payment comes. It stands in one transaction with the look at what is booked,
/// so that a payment credited at the same moment is not missed.
pub(super) fn tell(connection: &Connection, returned: &Returned) -> Result<bool, StoreError> {
    let Returned { payment, kind, detail, event, at, .. } = returned;
    if is_known(connection, Some(event))? {
        return Ok(false);
    }
    remember(connection, Some(event), *at)?;
    let booked_for = booked_for(connection, &event.provider, payment)?;
    if let Some(topup) = topup_of(connection, returned)? {
        let early = if booked_for.is_some() {
            ""
        } else {
            "; the payment itself has not been told here yet, and will be credited when it is"
        };
        let detail = format!("{detail}{early}");
        append_event(connection, topup.organization, kind.as_str(), Some(topup.id), &detail, *at)?;
        return Ok(true);
    }
    if let Some(organization) = booked_for {
        append_event(connection, organization, kind.as_str(), None, detail, *at)?;
        return Ok(true);
    }
    // A dispute does not say what it is about. Perhaps it is not ours: another gateway may sell on the same account.
    let mark = mark(&event.provider, *kind, payment, *at);
    if !is_known(connection, Some(&mark))? {
        remember(connection, Some(&mark), *at)?;
    }
    Ok(false)
}

/// Tells of money of a payment booked just now that went back before.
pub(super) fn tell_of_earlier(
    connection: &Connection,
    topup: &TopUp,
    receipt: &Receipt,
) -> Result<(), StoreError> {
    for kind in ReturnKind::ALL {
        if is_known(connection, Some(&mark(&topup.provider, kind, &receipt.payment, receipt.at)))? {
            let detail = format!(
                "money of {} went back before its payment was told here and credited; look at it at the payment \
                 provider, and book what went back with `tollkeeper credits payout`",
                receipt.payment
            );
            append_event(connection, topup.organization, kind.as_str(), Some(topup.id), &detail, receipt.at)?;
        }
    }
    Ok(())
}

/// The top-up that it is about: the one that the payment paid first, or the one that the provider names, which is not yet
/// paid, or was paid twice.
fn topup_of(connection: &Connection, returned: &Returned) -> Result<Option<TopUp>, StoreError> {
    let provider = &returned.event.provider;
    if let Some(topup) = paid_by(connection, provider, &returned.payment)? {
        return Ok(Some(topup));
    }
    let Some(named) = returned.topup else { return Ok(None) };
    Ok(load_topup(connection, named)?.filter(|topup| topup.provider == *provider))
}

/// To whom the payment was credited, if it was.
fn booked_for(
    connection: &Connection,
    provider: &str,
    payment: &str,
) -> Result<Option<OrganizationId>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT organization FROM payment WHERE payment = ?1")?;
    let found = statement.query_row([format!("{provider}:{payment}")], |row| row.get(0));
    Ok(found.optional()?.map(OrganizationId::from_bytes))
}

/// What stands among the events for money that went back and belongs to nothing that is known. No event of a provider's
/// has a space in its id.
fn mark(provider: &str, kind: ReturnKind, payment: &str, created: Timestamp) -> EventName {
    EventName { provider: provider.to_owned(), id: format!("{} {payment}", kind.as_str()), created }
}
