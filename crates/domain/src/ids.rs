//! Typed ids: UUIDv7 values that write as a prefix and 32 hexadecimal digits, such as `org_0192…`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where fresh ids and secrets come from. The server has the real one; tests seed theirs.
pub trait Ids: Send + Sync {
    /// A fresh UUIDv7: time-ordered, unique, not secret.
    fn uuid(&self) -> [u8; 16];
    /// Unpredictable bytes, fit for secrets.
    fn secret(&self) -> [u8; 32];
}

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of this kind; it looks like {prefix}… with 32 hexadecimal digits")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

const HEX: &[u8; 16] = b"0123456789abcdef";
/// Room for the longest prefix and 32 digits.
const HEX_AT_MOST: usize = 48;

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id.
            pub fn fresh(ids: &(impl Ids + ?Sized)) -> Self {
                Self(ids.uuid())
            }

            /// The id with these 16 bytes, as stored.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes that are stored.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{:032x}", $prefix, u128::from_be_bytes(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let error = || IdError { text: text.chars().take(64).collect(), prefix: $prefix };
                let digits = text.strip_prefix($prefix).ok_or_else(error)?;
                let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                if digits.len() != 32 || !digits.bytes().all(lower_hex) {
                    return Err(error());
                }
                u128::from_str_radix(digits, 16).map(|value| Self(value.to_be_bytes())).map_err(|_| error())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // Ids are written for every call, many times; the formatter's way takes several times as long.
                const LENGTH: usize = $prefix.len() + 32;
                const { assert!(LENGTH <= HEX_AT_MOST) };
                let (mut text, prefix) = ([0; HEX_AT_MOST], $prefix.as_bytes());
                let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                let digits = digits.filter_map(|digit| HEX.get(usize::from(digit)).copied());
                for (place, byte) in text.iter_mut().zip(prefix.iter().copied().chain(digits)) {
                    *place = byte;
                }
                match text.get(..LENGTH).map(std::str::from_utf8) {
                    Some(Ok(text)) => serializer.serialize_str(text),
                    Some(Err(_)) | None => serializer.collect_str(self),
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

typed_ids! {
    /// An organization: the owner of credit.
    OrganizationId = "org_";
    /// A project of one organization.
    ProjectId = "proj_";
    /// A key: a credential of one project, not quota.
    KeyId = "key_";
    /// A wallet: money of one organization.
    WalletId = "wal_";
    /// A lot: one grant inside a wallet.
    LotId = "lot_";
    /// A budget: a cap on consumption over a period.
    BudgetId = "bud_";
    /// A request as the gateway took it; also the id of its hold.
    RequestId = "req_";
    /// A person, as one organization knows them.
    UserId = "user_";
    /// A service account: what calls for a project when no person does.
    ServiceAccountId = "svc_acct_";
    /// An invitation of a person into an organization.
    InviteId = "invite_";
    /// An administrator's key: it changes the directory and cannot call models.
    AdminKeyId = "admin_key_";
    /// A key at a provider that an organization brought.
    ProviderKeyId = "pkey_";
    /// A rate limit.
    LimitId = "rl_";
    /// A line of the audit log.
    AuditId = "audit_log_";
    /// A person's consent that an app calls at their expense.
    ConsentId = "con_";
    /// A top-up: one try to bring money in from outside, by a person or by auto-recharge.
    TopUpId = "top_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_prefix_and_hex_both_ways() {
        let id = OrganizationId::from_bytes([0x01, 0x92, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0xff]);
        assert_eq!(id.to_string(), "org_019200000000700080000000000000ff");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
        let longest = AdminKeyId::from_bytes([0xfe; 16]);
        assert_eq!(serde_json::to_value(longest).unwrap(), longest.to_string());
        for text in [
            "",
            "org_",
            "proj_019200000000700080000000000000ff",
            "org_019200000000700080000000000000fF",
            "org_+19200000000700080000000000000ff",
        ] {
            assert!(text.parse::<OrganizationId>().is_err(), "{text:?} was accepted");
        }
    }
}
