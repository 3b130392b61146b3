//! The app fetches its key: a code and its verifier become a key with a limit, once.

use std::net::IpAddr;

use directory::{Actor, ActorKind, ChangeError, Consent, CreatedKey, Key, LimitReset, Mandate};
use domain::{BudgetId, UserId, Zone};
use ledger::{Act, Booking, Budget, Caps, Command, LedgerError, Note, Period, Subject};

use super::challenge::Method;
use super::codes::Waiting;
use super::{TooMany, Trying, UserPays};
use crate::admin::Admin;
use crate::openrouter::LIMIT_THRESHOLDS;

/// A key that an app has fetched. It is shown this once.
pub(crate) struct Exchanged {
    pub(crate) key: CreatedKey,
    pub(crate) user: UserId,
}

/// Why an app gets no key.
#[derive(Debug)]
pub(crate) enum NotExchanged {
    /// The flow began with another method than it ends with.
    OtherMethod,
    /// There is no such code, any more or at all; or its verifier is another one.
    Wrong,
    TooMany(TooMany),
    Directory(ChangeError),
    Ledger(LedgerError),
}

impl UserPays {
    /// Makes the key of a consent. Whatever is wrong, the code is spent, and the consent with it: who holds a code
    /// without its verifier has it from somebody else.
    pub(crate) fn exchange(
        admin: &Admin,
        code: &str,
        verifier: Option<&str>,
        method: Option<Method>,
        address: Option<IpAddr>,
    ) -> Result<Exchanged, NotExchanged> {
        let (pays, clock, who) = (&admin.user_pays, &*admin.clock, Trying::Address(address));
        pays.may_try(who, clock).map_err(NotExchanged::TooMany)?;
        let now = clock.now();
        let checked = pays.codes.take(code, now).ok_or(NotExchanged::Wrong).and_then(|waiting| {
            let checked = check(&waiting, verifier, method);
            if checked.is_err() {
                let gateway = Actor { by: ActorKind::Gateway, address };
                revoke(admin, &waiting, &Mandate { actor: gateway, ids: admin.ids.as_ref(), now });
            }
            checked.map(|()| waiting)
        });
        let waiting = match checked {
            Ok(waiting) => waiting,
            Err(wrong) => {
                pays.count(who, clock).map_err(NotExchanged::TooMany)?;
                return Err(wrong);
            }
        };
        let by = ActorKind::App { consent: waiting.consent, origin: waiting.origin.clone() };
        let mandate = Mandate { actor: Actor { by, address }, ids: admin.ids.as_ref(), now };
        let made = admin.directory.fetch_consented_key(waiting.organization, waiting.consent, &mandate);
        let key = made.map_err(|error| match error {
            ChangeError::NotFound { .. } | ChangeError::Archived { .. } => NotExchanged::Wrong,
            ChangeError::Invalid { .. }
            | ChangeError::Conflict { .. }
            | ChangeError::Store(_)
            | ChangeError::Inconsistent(_) => NotExchanged::Directory(error),
        })?;
        if let Err(error) = limit(admin, &key.key, &mandate) {
            // Nobody has its secret yet; without its limit nobody shall.
            revoke(admin, &waiting, &mandate);
            return Err(error);
        }
        match key.key.owner {
            directory::KeyOwner::User(user) => Ok(Exchanged { key, user }),
            directory::KeyOwner::ServiceAccount(_) => Err(NotExchanged::Wrong),
        }
    }
}

/// Whether whoever has the code began the flow.
fn check(waiting: &Waiting, verifier: Option<&str>, method: Option<Method>) -> Result<(), NotExchanged> {
    match (&waiting.challenge, verifier) {
        (Some(challenge), _) if method.is_some_and(|method| method != challenge.method()) => {
            Err(NotExchanged::OtherMethod)
        }
        (Some(challenge), Some(verifier)) if challenge.is_of(verifier) => Ok(()),
        (None, _) => Ok(()),
        (Some(_), _) => Err(NotExchanged::Wrong),
    }
}

/// Ends the consent of a code that is spent. One that cannot be ended lapses by itself: it has no code any more.
fn revoke(admin: &Admin, waiting: &Waiting, mandate: &Mandate<'_>) {
    if let Err(error) = admin.directory.revoke_consent(waiting.organization, waiting.consent, mandate) {
        tracing::warn!(%error, consent = %waiting.consent, "a consent whose code is spent was not revoked");
    }
}

/// Sets the limit that its user agreed to, as a hard budget of the key.
fn limit(admin: &Admin, key: &Key, mandate: &Mandate<'_>) -> Result<(), NotExchanged> {
    let tenant = admin.directory.directory().tenant(key.organization);
    let consent = tenant.and_then(|tenant| tenant.consent(key.consent?).cloned());
    let consent = consent.ok_or(NotExchanged::Wrong)?;
    let budget = Budget {
        id: BudgetId::fresh(admin.ids.as_ref()),
        subject: Subject::Key(Some(key.id.to_string().into())),
        period: period(&consent),
        zone: Zone::default(),
        caps: Caps { cost: Some(consent.limit), ..Caps::default() },
        hard: true,
        thresholds: LIMIT_THRESHOLDS.to_vec(),
    };
    let note = Note { actor: consent.id.to_string().into(), reason: Some("limit of a consent".into()) };
    let act = Act::SetBudget(budget.clone());
    let booking = Booking { organization: key.organization, idempotency: None, note, act };
    admin.ledger.submit(Command::Book(Box::new(booking))).wait().map_err(NotExchanged::Ledger)?;
    admin
        .tell_budget(key.organization, budget.id, None, Some(&budget), mandate)
        .map_err(NotExchanged::Directory)
}

const fn period(consent: &Consent) -> Period {
    match consent.reset {
        LimitReset::Never => Period::Total,
        LimitReset::Daily => Period::Daily,
        LimitReset::Weekly => Period::Weekly,
        LimitReset::Monthly => Period::Monthly,
    }
}
