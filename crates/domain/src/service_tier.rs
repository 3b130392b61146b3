//! Service tiers: how a provider treats a call, and which of its prices it takes for it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A service tier, by which providers sell the same model at several prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    /// What a call gets that asks for nothing.
    #[default]
    Standard,
    /// Cheaper, and served when there is room.
    Flex,
    /// Cheaper, and served within a day.
    Batch,
    /// Dearer, and served first.
    Priority,
    /// Dearer still, and served fastest.
    Ultrafast,
}

/// A name that is no service tier with a price of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of standard, flex, batch, priority, ultrafast")]
pub struct NotServiceTier;

impl ServiceTier {
    /// Every tier, the standard one first.
    pub const ALL: [Self; 5] = [Self::Standard, Self::Flex, Self::Batch, Self::Priority, Self::Ultrafast];

    /// Our own name for it, as price files and cost rows write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Flex => "flex",
            Self::Batch => "batch",
            Self::Priority => "priority",
            Self::Ultrafast => "ultrafast",
        }
    }

    /// The tier that a request or an answer names in `service_tier`; `None` for a name that nobody here has a price
    /// for, such as OpenAI's `scale`, which is sold by the hour.
    ///
    /// OpenAI says `default` and `auto`, Anthropic `standard_only`, Groq `on_demand` for the standard one; `fast` is
    /// OpenAI's other name for `priority`, which its answers say for both.
    pub fn of_wire(name: &str) -> Option<Self> {
        Some(match name {
            "" | "auto" | "default" | "standard" | "standard_only" | "on_demand" => Self::Standard,
            "flex" => Self::Flex,
            "batch" => Self::Batch,
            "priority" | "fast" => Self::Priority,
            "ultrafast" => Self::Ultrafast,
            _ => return None,
        })
    }
}

impl fmt::Display for ServiceTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ServiceTier {
    type Err = NotServiceTier;

    /// Reads what [`ServiceTier::as_str`] writes.
    fn from_str(text: &str) -> Result<Self, NotServiceTier> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == text).ok_or(NotServiceTier)
    }
}
