//! The words every other crate speaks: money, token counts, ids, time, refusals.
//!
//! Nothing here does I/O, waits, or uses a floating-point number. Time and chance enter the product only
//! through the two ports declared here, [`Clock`] and [`Ids`].
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::float_arithmetic)]

mod access;
mod country;
mod decimal;
mod ids;
mod money;
mod pattern;
mod refusal;
mod service_tier;
mod time;
mod usage;
mod zone;

pub use access::{AccessClass, NotAccessClass, Payer};
pub use country::{Country, UnknownCountry};
pub use decimal::{Scaled, scaled};
pub use ids::{
    AdminKeyId, AuditId, BudgetId, ConsentId, IdError, Ids, InviteId, KeyId, LimitId, LotId, OrganizationId,
    ProjectId, ProviderKeyId, RequestId, ServiceAccountId, TopUpId, UserId, WalletId,
};
pub use money::{Money, MoneyError, Pico, Price};
pub use pattern::name_fits;
pub use refusal::{Owner, Refusal, RefusalCode};
pub use service_tier::{NotServiceTier, ServiceTier};
pub use time::{Clock, TimeError, Timestamp};
pub use usage::Usage;
pub use zone::{UnknownZone, Zone};
