//! The audit log: who changed what, from where.

use std::net::IpAddr;

use domain::{AdminKeyId, AuditId, ConsentId, KeyId, OrganizationId, ProjectId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// One change of the directory. Written with the change or not at all, and never changed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// The organization that was changed.
    pub organization: OrganizationId,
    /// The project that was changed, or the one of what was changed.
    pub project: Option<ProjectId>,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: Actor,
    /// What happened, in OpenAI's words where it has one, such as `api_key.created`.
    pub action: &'static str,
    /// The id of what was changed.
    pub subject: String,
    /// What it was before, as JSON; `None` for what is new.
    pub before: Option<String>,
    /// What it is now, as JSON; `None` for what is gone.
    pub after: Option<String>,
}

/// Who changes the directory, and from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Who.
    #[serde(flatten)]
    pub by: ActorKind,
    /// From which address, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// Who changes the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ActorKind {
    /// Whoever has the operator's key.
    Operator,
    /// A member, by a key.
    AdminKey {
        /// The key.
        key: AdminKeyId,
        /// The member.
        user: UserId,
        /// Their address for mail at that moment.
        email: String,
    },
    /// A member, by a key of their own that calls models: how one consents that an app calls.
    Person {
        /// The key.
        key: KeyId,
        /// The member.
        user: UserId,
        /// Their address for mail at that moment.
        email: String,
    },
    /// An app that a member consented to, by the code that it was given for that.
    App {
        /// The consent.
        consent: ConsentId,
        /// Where the app is.
        origin: String,
    },
    /// Somebody who was invited, by the invitation's token.
    Invited {
        /// Their address for mail.
        email: String,
    },
    /// The gateway itself, by its own rules.
    Gateway,
}

impl Actor {
    /// The member, where one acts.
    pub const fn user(&self) -> Option<UserId> {
        match self.by {
            ActorKind::AdminKey { user, .. } | ActorKind::Person { user, .. } => Some(user),
            ActorKind::Operator | ActorKind::App { .. } | ActorKind::Invited { .. } | ActorKind::Gateway => {
                None
            }
        }
    }

    /// Every id and mail address by which one may look for them.
    pub fn names(&self) -> Vec<String> {
        match &self.by {
            ActorKind::Operator => vec!["operator".to_owned()],
            ActorKind::AdminKey { key, user, email } => {
                vec![key.to_string(), user.to_string(), email.clone()]
            }
            ActorKind::Person { key, user, email } => {
                vec![key.to_string(), user.to_string(), email.clone()]
            }
            ActorKind::App { consent, origin } => vec![consent.to_string(), origin.clone()],
            ActorKind::Invited { email } => vec![email.clone()],
            ActorKind::Gateway => vec!["gateway".to_owned()],
        }
    }
}
