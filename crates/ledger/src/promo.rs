//! Promo codes: credit that an operator gives to whoever names the code, once for each organization.

use domain::{Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::wallet::are_models;

/// A code and what it is worth. Its redemptions are counted over all organizations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromoCode {
    /// The code: 4 to 64 capital letters, digits and hyphens.
    pub code: Box<str>,
    /// The credit it gives.
    pub amount: Money,
    /// From when on it is worth nothing; [`Timestamp::MAX`] is never.
    pub expires_at: Timestamp,
    /// How long the credit lasts from its redemption, in seconds; `None` for ever.
    pub credit_seconds: Option<i64>,
    /// How many organizations may redeem it.
    pub uses_max: u64,
    /// How many have.
    pub uses: u64,
    /// The models that the credit pays for, as in [`crate::Purpose::models`]; empty for all of them.
    pub models: Vec<Box<str>>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl PromoCode {
    /// The code as people may type it, in the form in which it is kept.
    pub fn normal_form(typed: &str) -> Box<str> {
        typed.trim().to_ascii_uppercase().into()
    }

    /// The first field that no code may have, if there is one.
    pub fn fault(&self) -> Option<&'static str> {
        let proper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        if !(4..=64).contains(&self.code.len()) || !self.code.bytes().all(proper) {
            Some("code")
        } else if self.amount <= Money::ZERO {
            Some("amount")
        } else if self.uses_max == 0 {
            Some("uses")
        } else if self.credit_seconds.is_some_and(|seconds| seconds <= 0) {
            Some("credit_days")
        } else if !are_models(&self.models) {
            Some("models")
        } else {
            None
        }
    }
}
