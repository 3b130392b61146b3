//! A top-up's words: what became of it, and who asked for it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of a top-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopUpStatus {
    /// The provider has been asked, or is about to be; nothing is known.
    Pending,
    /// A payment was verified and credit granted.
    Paid,
    /// The provider or the customer's bank said no.
    Declined,
    /// Nobody paid in time.
    Expired,
}

/// Who asked for a top-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A person, who pays on the provider's page or by transfer.
    Manual,
    /// Auto-recharge, with the payment method that a person left for it.
    Recharge,
}

impl TopUpStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Paid, Self::Declined, Self::Expired];

    /// The word in APIs and stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Declined => "declined",
            Self::Expired => "expired",
        }
    }

    /// The status with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether news of `next` may change this status. Events arrive in any order: money that came is never unmade by
    /// an older no, and it still counts after one.
    pub const fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Pending, Self::Paid | Self::Declined | Self::Expired)
            | (Self::Declined | Self::Expired, Self::Paid) => true,
            (Self::Pending, Self::Pending)
            | (Self::Paid, _)
            | (Self::Declined | Self::Expired, Self::Pending | Self::Declined | Self::Expired) => false,
        }
    }
}

impl Purpose {
    /// The word in APIs, stores and the provider's metadata.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Recharge => "recharge",
        }
    }

    /// The purpose with this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Manual, Self::Recharge].into_iter().find(|purpose| purpose.as_str() == word)
    }
}

impl fmt::Display for TopUpStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for status in TopUpStatus::ALL {
            assert_eq!(TopUpStatus::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        for purpose in [Purpose::Manual, Purpose::Recharge] {
            assert_eq!(Purpose::parse(purpose.as_str()), Some(purpose));
            assert_eq!(serde_json::to_value(purpose).unwrap(), purpose.as_str());
        }
        assert_eq!(TopUpStatus::parse("Paid"), None);
        assert_eq!(Purpose::parse(""), None);
    }

    #[test]
    fn money_that_came_is_never_unmade() {
        use TopUpStatus::{Declined, Expired, Paid, Pending};
        let allowed =
            [(Pending, Paid), (Pending, Declined), (Pending, Expired), (Declined, Paid), (Expired, Paid)];
        for from in TopUpStatus::ALL {
            for to in TopUpStatus::ALL {
                assert_eq!(from.may_become(to), allowed.contains(&(from, to)), "{from} to {to}");
            }
        }
    }
}
