//! The gateway's path: from a caller's bytes to a provider's and back, with every call held before and settled after.
//!
//! Start at `pipeline.rs`: it is the order of things. The crate knows neither axum nor SQL nor the environment.

mod access;
mod allowance;
mod answer;
mod attempt;
mod attempts;
mod beside;
mod brought;
mod candidate;
mod capability;
mod caps;
mod checkpoint;
mod contract;
mod count;
mod credential;
mod decision;
mod decode;
mod denial;
mod evidence;
mod failure;
mod funding;
mod health;
mod hedge;
mod hold;
mod observer;
mod operator_keys;
mod pipeline;
mod pools;
mod rates;
mod relay;
mod retry;
mod route_explanation;
mod routes;
mod routing;
mod settle;
mod shown;
mod substitution;
mod tasks;
#[cfg(test)]
mod tests;
mod tiers;
mod whole;

pub use answer::{Answer, BrokenOff};
pub use brought::{Access, Brought, BroughtKeys};
pub use capability::Capability;
pub use caps::{Account, CapLook, CapRules, DayOfAccount};
pub use contract::{Contract, Countries, Terms, Verified, date};
pub use decision::{Decision, Recorder};
pub use decode::{Limit, discard};
pub use evidence::Caller;
pub use failure::Failure;
pub use health::{BreakerRules, Health, Look};
pub use observer::{Finished, Observer};
pub use operator_keys::{OF_THE_OPERATOR, OperatorKeys};
pub use pipeline::{Gateway, Settings, Shared};
pub use pools::{BYOK_POOL, ByokAllowance, ByokRules, FREE_POOL, FreeRules, Pools, Programme, TokenGroup};
pub use rates::{ConsentedCaps, EffectiveLimit, ModelGroup, Rates, by_measure, day_of, effective_limits};
pub use retry::{RetryBudget, RetryRules};
pub use route_explanation::{RouteExplanation, TargetExplanation, explain_route};
pub use routes::{Route, Routes, Target, TargetRules};
pub use routing::Strategy;
pub use substitution::Substitution;
pub use tasks::{Task, Tasks};
pub use tiers::{Tier, TierLimit, Tiers, ceiling_id};
