//! Who administers: the one place that turns a request's head into somebody with a name, for `/admin/v1` and
//! `/v1/organization` alike.
//!
//! It knows credentials; what somebody may do is the directory's word (`directory::Permission`), asked in `route.rs`.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, header, request::Parts};
use directory::{Administrator, KeyKind, Mandate, Permission, mask};
use domain::{OrganizationId, Refusal, RefusalCode};

use super::Admin;

/// The header by which OpenAI's clients name an organization.
const ORGANIZATION: &str = "openai-organization";
/// The one call whose credential is in its body.
const ACCEPT: &str = "/admin/v1/invites/accept";
const KEYS_OF_ADMINISTRATORS: &str = "send an administrator's key, which begins with `tk-admin-`, or the operator's key: operator.key in the data \
     folder holds it, and the command line reads it from TOLLKEEPER_OPERATOR_KEY";

/// Who asks for a change, and from where.
#[derive(Clone, Debug)]
pub(crate) struct Hand {
    pub(crate) by: Administrator,
    pub(crate) address: Option<IpAddr>,
    /// The organization that the head names, as it was written.
    pub(crate) named: Option<String>,
}

impl Hand {
    /// Whether they see what belongs to an organization; what belongs to none is the operator's.
    pub(crate) fn may_see(&self, organization: Option<OrganizationId>) -> bool {
        match organization {
            Some(organization) => self.by.may(Permission::Read, organization, None),
            None => matches!(self.by, Administrator::Operator),
        }
    }
}

/// The client's address, as the front door found it out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) Option<IpAddr>);

/// How a request for the administration is received.
#[derive(Debug)]
pub(crate) enum Reception {
    /// By somebody known, whose body may be as long as an operator's.
    Known(Box<Hand>),
    /// By a stranger who brings a credential in the body.
    Open,
}

impl Admin {
    /// Who comes, from the head alone.
    ///
    /// # Errors
    /// A refusal of layer 1.1 or 1.2.
    pub(crate) fn receive(&self, head: &Parts) -> Result<Reception, Refusal> {
        if head.uri.path() == ACCEPT && head.method == Method::POST {
            return Ok(Reception::Open);
        }
        let by = self.administrator(&head.headers)?;
        let named = head.headers.get(ORGANIZATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let named = named.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if let (Some(own), Some(named)) = (by.organization(), &named)
            && own.to_string() != *named
        {
            return Err(other_organization(own));
        }
        let address = head.extensions.get().and_then(|ClientAddress(address)| *address);
        Ok(Reception::Known(Box::new(Hand { by, address, named })))
    }

    /// Whether this is the operator's key.
    pub(crate) fn is_operator(&self, key: &str) -> bool {
        // Two hashes are compared, not two keys: how long that takes tells nothing about the key.
        self.hasher.hash(key) == self.operator
    }

    fn administrator(&self, headers: &HeaderMap) -> Result<Administrator, Refusal> {
        let key = bearer(headers).ok_or_else(missing)?;
        self.directory.directory().check_published(key)?;
        if self.is_operator(key) {
            return Ok(Administrator::Operator);
        }
        match KeyKind::of(key) {
            Ok(KeyKind::Admin | KeyKind::Invite) => {
                self.directory.directory().administrator(key, self.clock.now())
            }
            Ok(KeyKind::Project) => Err(of_a_project(key)),
            Ok(KeyKind::Operator) | Err(_) => Err(unknown(key)),
        }
    }

    /// What a change is made with.
    pub(crate) fn mandate(&self, hand: &Hand) -> Mandate<'_> {
        Mandate { actor: hand.by.actor(hand.address), ids: self.ids.as_ref(), now: self.clock.now() }
    }
}

/// The key that came with these headers.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    // Of two headers a proxy in front of us may have looked at the other one: neither counts.
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.to_str().ok()?;
    let (scheme, key) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(key.trim())
}

fn missing() -> Refusal {
    Refusal::new(
        RefusalCode::MissingKey,
        "You didn't provide an API key. Provide an administrator's in an Authorization header using Bearer auth \
         (i.e. Authorization: Bearer YOUR_KEY).",
        KEYS_OF_ADMINISTRATORS,
    )
}

fn unknown(key: &str) -> Refusal {
    let message = format!("Incorrect API key provided: {}. It administers nothing here.", mask(key));
    Refusal::new(RefusalCode::InvalidKey, message, KEYS_OF_ADMINISTRATORS)
}

fn of_a_project(key: &str) -> Refusal {
    let message =
        format!("Incorrect API key provided: {}. It is a project's, which calls models alone.", mask(key));
    Refusal::new(RefusalCode::InvalidKey, message, KEYS_OF_ADMINISTRATORS)
}

fn other_organization(own: OrganizationId) -> Refusal {
    Refusal::new(
        RefusalCode::EndpointNotAllowed,
        format!(
            "This administrator's key is of the organization {own}, and the header OpenAI-Organization names another."
        ),
        format!("leave the header out, or set it to {own} (most clients read OPENAI_ORG_ID)"),
    )
}

/// The operator's key is asked for, and an administrator's came.
pub(crate) fn operator_only() -> Refusal {
    Refusal::new(
        RefusalCode::EndpointNotAllowed,
        "You have insufficient permissions for this operation: only the operator's key does this.",
        "ask whoever operates this gateway; operator.key in its data folder holds the key",
    )
}

/// Somebody's roles do not cover what they asked for.
pub(crate) fn not_allowed(by: &Administrator, permission: Permission) -> Refusal {
    let who = match by {
        Administrator::Operator => "the operator".to_owned(),
        Administrator::Member { user, .. } => {
            format!("{}, who is {} of the organization", user.email, user.role)
        }
    };
    let (what, helper) = needs(permission);
    Refusal::new(
        RefusalCode::EndpointNotAllowed,
        format!("You have insufficient permissions for this operation: this key acts for {who}, and {what}."),
        format!("ask {helper} of the organization to do it, or for a role that may"),
    )
}

/// What a permission is about, and who has it.
const fn needs(permission: Permission) -> (&'static str, &'static str) {
    match permission {
        Permission::Read => ("only members see the organization", "a member"),
        Permission::ReadAudit => ("the audit log is for owners and admins", "an owner or admin"),
        Permission::ManageOrganization => ("owners and admins change the organization", "an owner or admin"),
        Permission::ManageProjects => ("owners and admins make and archive projects", "an owner or admin"),
        Permission::ManageProject => {
            ("owners and admins of the organization and owners of the project change it", "an owner or admin")
        }
        Permission::OwnKeys => ("only members of the project make keys in it", "an owner or admin"),
        Permission::ManageLimits => ("owners and admins set limits and budgets", "an owner or admin"),
        Permission::ManageReaders => ("owners and admins invite and remove readers", "an owner or admin"),
        Permission::ManagePeople => ("only owners decide on owners, admins and roles", "an owner"),
        Permission::ManageAdminKeys => ("only owners make and end administrators' keys", "an owner"),
        Permission::ShareData => ("only owners decide whether data is shared with a provider", "an owner"),
    }
}
