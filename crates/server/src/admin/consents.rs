//! Consents by which apps call at people's expense: whoever gave one sees and revokes it, and so do owners and admins of
//! their organization. Which apps others use is nobody else's affair.

use axum::http::StatusCode;
use directory::{Administrator, Consent, Permission};
use domain::{ConsentId, UserId};

use super::view::{self, json};
use super::{Answered, Call};

/// One's own consents, and everybody's for those who may see them; the newest first.
pub(super) fn list(call: &Call) -> Answered {
    let of: Option<UserId> = call.query.value("user")?;
    let now = call.admin.clock.now();
    let seen = call.tenant.consents().into_iter().rev();
    let seen = seen.filter(|consent| may_see(call, consent) && of.is_none_or(|of| consent.user == of));
    let data = seen.map(|consent| view::consent(&consent, call.tenant.state_of(&consent, now))).collect();
    Ok(json(StatusCode::OK, &view::list(data, false)))
}

/// Ends a consent, and with it the app's key, from this moment on.
pub(super) fn revoke(call: &Call) -> Answered {
    let consent = call.tenant.consent(call.id::<ConsentId>("consent")?);
    let consent = consent.ok_or_else(|| call.unknown("consent"))?;
    let mandate = call.admin.mandate(&call.hand);
    let revoked = call.admin.directory.revoke_consent(consent.organization, consent.id, &mandate)?;
    let state = call.tenant.state_of(&revoked, mandate.now);
    Ok(json(StatusCode::OK, &view::consent(&revoked, state)))
}

fn may_see(call: &Call, consent: &Consent) -> bool {
    let is_own = match &call.hand.by {
        Administrator::Operator => true,
        Administrator::Member { user, .. } => user.id == consent.user,
    };
    is_own || call.hand.by.may(Permission::ManageConsents, consent.organization, Some(consent.project))
}
