//! Fields that take one of a few words.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
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

    /// What pays for a project's calls when no grant can (2.2).
    AfterGrant, "what follows a grant", "stop or paid" {
        /// The organization's other credit.
        #[default]
        Paid = "paid",
        /// Nothing: calls are refused until there is a grant again.
        Stop = "stop",
    }

    /// What becomes of an organization's running calls when its credit or a budget runs out (3.1).
    InFlight, "a policy for running calls", "completes or stops" {
        /// They end as they would have, and what they cost beyond their holds is booked, if need be as debt.
        #[default]
        Completes = "completes",
        /// They end where the money ends: streams are cut, other answers are capped before they start.
        Stops = "stops",
    }

    /// Whether a project's calls use the provider keys that its organization brought (2.7).
    Byok, "a use of brought provider keys", "off, first or only" {
        /// They are not used, which is where a new project starts.
        #[default]
        Off = "off",
        /// Before ours, where there is one for the call.
        First = "first",
        /// They alone: our keys are never used.
        Only = "only",
    }

    /// What a person may do in an organization.
    OrganizationRole, "a role in an organization", "owner, admin or reader" {
        /// Everything, and who else may.
        Owner = "owner",
        /// Projects, keys, limits and readers; neither owners nor administrators' keys.
        Admin = "admin",
        /// Sees everything, changes nothing but what a project's role allows. Where an invited person starts.
        #[default]
        Reader = "reader",
    }

    /// What a person may do in a project.
    ProjectRole, "a role in a project", "owner or member" {
        /// Its members, service accounts, keys and limits.
        Owner = "owner",
        /// Calls models with keys of their own.
        #[default]
        Member = "member",
    }

    /// When the limit of a consent starts anew.
    LimitReset, "a time when a limit starts anew", "none, daily, weekly or monthly" {
        /// Never: the limit is for all that the app ever spends.
        #[default]
        Never = "none",
        /// Each day (UTC).
        Daily = "daily",
        /// Each Monday (UTC).
        Weekly = "weekly",
        /// On the first of each month (UTC).
        Monthly = "monthly",
    }

    /// Where a project's or a key's calls may go.
    AccessMode, "a mode of a model list", "allow_list or deny_list" {
        /// To the listed models only.
        #[default]
        Allow = "allow_list",
        /// To every model but the listed ones.
        Deny = "deny_list",
    }

    /// An endpoint that a key may be limited to.
    Scope, "an endpoint",
    "chat_completions, responses, embeddings, moderations, images, messages, generate_content or models" {
        /// `POST /v1/chat/completions`.
        #[default]
        ChatCompletions = "chat_completions",
        /// `POST /v1/responses`.
        Responses = "responses",
        /// `POST /v1/embeddings`.
        Embeddings = "embeddings",
        /// `POST /v1/moderations`.
        Moderations = "moderations",
        /// `POST /v1/images/generations` and `/edits`.
        Images = "images",
        /// `POST /v1/audio/speech`, `/transcriptions` and `/translations`.
        Audio = "audio",
        /// `POST /v1/messages` and what belongs to it.
        Messages = "messages",
        /// Gemini's `POST /v1beta/models/{model}:generateContent` and what belongs to it.
        GenerateContent = "generate_content",
        /// `GET /v1/models`.
        Models = "models",
    }
}
