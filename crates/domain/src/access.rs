//! Access classes: who owns the credential that a call goes out with, and who pays its provider (mission section 2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the access to a provider was come by. A copied, shared or generated key (class 2.10) is none of these: it
/// cannot be configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessClass {
    /// 2.1 An account of one's own at the provider, billed to oneself.
    #[default]
    Direct,
    /// 2.2 A trial or promotional credit on an account of one's own.
    Trial,
    /// 2.3 Complimentary tokens a day for data that the provider may use.
    Complimentary,
    /// 2.4 Another gateway or reseller, on its own account at the provider.
    Reseller,
    /// 2.5 Free variants of models at a gateway, capped.
    Free,
    /// 2.6 The free tier of a provider, capped.
    FreeTier,
    /// 2.7 The caller's own key.
    Byok,
    /// 2.8 The end user's own session or key.
    UserPays,
    /// 2.9 Open weights on one's own hardware.
    SelfHosted,
}

/// Who pays for what an attempt consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payer {
    /// The organization that calls, from its wallets.
    Organization,
    /// The provider, which gives it away.
    Provider,
    /// The organization that calls, by its own account at the provider.
    Caller,
    /// The end user of the application that calls.
    EndUser,
    /// Whoever runs this gateway, with hardware.
    Operator,
}

/// A word that names no access class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such access class")]
pub struct NotAccessClass;

impl AccessClass {
    /// Every class, in order.
    pub const ALL: &'static [Self] = &[
        Self::Direct,
        Self::Trial,
        Self::Complimentary,
        Self::Reseller,
        Self::Free,
        Self::FreeTier,
        Self::Byok,
        Self::UserPays,
        Self::SelfHosted,
    ];

    /// The word for it in the configuration, in JSON and in cost rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Trial => "trial",
            Self::Complimentary => "complimentary",
            Self::Reseller => "reseller",
            Self::Free => "free",
            Self::FreeTier => "free_tier",
            Self::Byok => "byok",
            Self::UserPays => "user_pays",
            Self::SelfHosted => "self_hosted",
        }
    }

    /// Who pays for what no pool does.
    pub const fn payer(self) -> Payer {
        match self {
            Self::Direct | Self::Trial | Self::Complimentary | Self::Reseller => Payer::Organization,
            Self::Free | Self::FreeTier => Payer::Provider,
            Self::Byok => Payer::Caller,
            Self::UserPays => Payer::EndUser,
            Self::SelfHosted => Payer::Operator,
        }
    }
}

impl fmt::Display for AccessClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AccessClass {
    type Err = NotAccessClass;

    /// Reads what [`AccessClass::as_str`] writes.
    fn from_str(text: &str) -> Result<Self, NotAccessClass> {
        Self::ALL.iter().copied().find(|class| class.as_str() == text).ok_or(NotAccessClass)
    }
}

impl Payer {
    /// One payer or two, as one word: of what straddles the end of a pool both, who paid first before the other.
    pub const fn word((first, second): (Self, Option<Self>)) -> &'static str {
        match second {
            None => first.as_str(),
            // The one pair there is.
            Some(_) => "provider+organization",
        }
    }

    /// The word for it in JSON and in cost rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Provider => "provider",
            Self::Caller => "caller",
            Self::EndUser => "end_user",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
