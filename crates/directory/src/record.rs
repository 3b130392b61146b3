//! The records of the directory, as they are stored.

use std::fmt;
use std::str::FromStr;

use domain::{KeyId, OrganizationId, ProjectId, Timestamp, WalletId, Zone};
use serde::{Deserialize, Serialize};

/// The owner of credit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// What people call it; not unique.
    pub name: String,
    /// Its own wallet, which pays for whatever no other one does.
    pub wallet: WalletId,
    /// Where its days begin, for budgets and statements that name no zone of their own.
    pub time_zone: Zone,
    /// What becomes of its running calls when its credit runs out.
    pub in_flight: InFlight,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A part of an organization that calls are made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// The organization that pays for it.
    pub organization: OrganizationId,
    /// What people call it; not unique.
    pub name: String,
    /// What its traffic is for.
    pub environment: Environment,
    /// What its prompts may contain.
    pub data_class: DataClass,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was closed for calls; `None` while it is open.
    pub archived_at: Option<Timestamp>,
}

/// A credential of one project. It carries no quota and no money, and its secret is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// The organization of its project.
    pub organization: OrganizationId,
    /// The project it calls for.
    pub project: ProjectId,
    /// What people call it; not unique.
    pub name: String,
    /// What its secret is recognised by.
    pub hash: KeyHash,
    /// What may be shown of its secret, such as `tk-a1b…xyz9`.
    pub redacted: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused; `None` if never.
    pub expires_at: Option<Timestamp>,
    /// When it was disabled, which holds at once; `None` while it works.
    pub disabled_at: Option<Timestamp>,
}

/// The keyed hash of a key's secret: 32 bytes, worthless to whoever steals the table without the pepper.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash with these bytes, as stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes that are stored.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyHash {
    /// The first four bytes: enough to tell two apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "KeyHash({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// A text is none of the words that a field takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}; write {words}")]
pub struct UnknownWord {
    text: String,
    what: &'static str,
    words: &'static str,
}

macro_rules! word_enums {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $words:literal {
        $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word for it in texts, JSON and tables.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(UnknownWord {
                        text: text.chars().filter(|c| !c.is_control()).take(32).collect(),
                        what: $what,
                        words: $words,
                    }),
                }
            }
        }
    )*};
}

word_enums! {
    /// What a project's traffic is for.
    Environment, "an environment", "dev, staging or prod" {
        /// Development, where a new project starts.
        #[default]
        Dev = "dev",
        /// Rehearsal.
        Staging = "staging",
        /// Real traffic.
        Prod = "prod",
    }

    /// What a project's prompts may contain.
    DataClass, "a data class", "public, internal or sensitive" {
        /// Nothing that is not published anyway.
        Public = "public",
        /// What stays in the house, where a new project starts.
        #[default]
        Internal = "internal",
        /// Personal, legal or otherwise guarded data.
        Sensitive = "sensitive",
    }

    /// What becomes of an organization's running calls when its credit or a budget runs out (3.1).
    InFlight, "a policy for running calls", "completes or stops" {
        /// They end as they would have, and what they cost beyond their holds is booked, if need be as debt.
        #[default]
        Completes = "completes",
        /// They end where the money ends: streams are cut, other answers are capped before they start.
        Stops = "stops",
    }
}
