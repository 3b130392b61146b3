//! The contracts of the providers that are offered without being written down.
//!
//! What a vendor's standard terms say is taken from its own pages, named at each. A key alone does not tell which terms
//! an account has, so where a vendor trains on what it gets by any of them, or does not say, the contract says that it
//! trains and covers public data only. Whoever has other terms writes the provider down, with a contract of its own.

use directory::{DataClass, Environment};
use domain::AccessClass;
use domain::Timestamp;
use gateway::{Contract, Countries, Terms, Verified};

use super::contract::Verification;

/// 2026-11-01: when these were last looked up.
const LOOKED_UP: Timestamp = Timestamp::from_micros(1_793_491_200_000_000);
/// No period is published, so a century stands for "for ever".
const FOR_EVER_DAYS: u32 = 36_500;
/// Where prompts are processed is not promised to an account without an agreement of its own.
const NO_REGION: &str = "not fixed by the standard terms";

/// What the standard terms of a vendor's API say.
pub(super) struct Vendor {
    class: AccessClass,
    training: bool,
    retention_days: u32,
    region: &'static str,
    text: &'static str,
    support: &'static str,
}

/// <https://platform.openai.com/docs/guides/your-data>: not used to train "unless you explicitly opt in", abuse logs
/// for up to 30 days. The opt-in is the account's (class 2.3), so whoever has opted in writes a contract that says so.
pub(super) const OPENAI: Vendor = Vendor {
    class: AccessClass::Direct,
    training: false,
    retention_days: 30,
    region: NO_REGION,
    text: "https://platform.openai.com/docs/guides/your-data; of an account that shares no data",
    support: "https://help.openai.com",
};

/// <https://privacy.claude.com/en/articles/7996866> (deleted within 30 days; what is flagged, after up to 2 years) and
/// 7996875 ("we do not use API data for training").
pub(super) const ANTHROPIC: Vendor = Vendor {
    class: AccessClass::Direct,
    training: false,
    retention_days: 30,
    region: NO_REGION,
    text: "https://privacy.claude.com/en/articles/7996866",
    support: "https://support.claude.com",
};

/// <https://ai.google.dev/gemini-api/terms>: paid services do not improve products, unpaid ones do, and a key can be
/// of either. <https://ai.google.dev/gemini-api/docs/logs-policy>: logs expire after 55 days.
pub(super) const GEMINI: Vendor = Vendor {
    class: AccessClass::Direct,
    training: true,
    retention_days: 55,
    region: NO_REGION,
    text: "https://ai.google.dev/gemini-api/terms; of an unpaid account, as nothing shows that it is a paid one",
    support: "https://discuss.ai.google.dev",
};

/// <https://console.groq.com/docs/your-data>: inference is not retained by default; logs for reliability and against
/// abuse for up to 30 days, and for nothing else.
pub(super) const GROQ: Vendor = Vendor {
    class: AccessClass::Direct,
    training: false,
    retention_days: 30,
    region: NO_REGION,
    text: "https://console.groq.com/docs/your-data",
    support: "https://community.groq.com",
};

/// <https://help.mistral.ai/en/articles/323757>: the pay-per-use plan is not trained on, the free plan is, and a key
/// can be of either. Kept for 30 days against abuse, by Mistral's privacy policy.
pub(super) const MISTRAL: Vendor = Vendor {
    class: AccessClass::Direct,
    training: true,
    retention_days: 30,
    region: NO_REGION,
    text: "https://help.mistral.ai/en/articles/323757; of a free plan, as nothing shows that it is a paid one",
    support: "https://help.mistral.ai",
};

/// The terms of DeepSeek's open platform do not rule training out, and its privacy policy names it; no period of
/// retention is published, and data is kept in China.
pub(super) const DEEPSEEK: Vendor = Vendor {
    class: AccessClass::Direct,
    training: true,
    retention_days: FOR_EVER_DAYS,
    region: "China",
    text: "no period of retention is published, and training is not ruled out",
    support: "api-service@deepseek.com",
};

/// <https://docs.x.ai/developers/faq/security>: "never trains on your API inputs or outputs without your explicit
/// permission", kept for 30 days against abuse.
pub(super) const XAI: Vendor = Vendor {
    class: AccessClass::Direct,
    training: false,
    retention_days: 30,
    region: NO_REGION,
    text: "https://docs.x.ai/developers/faq/security",
    support: "support@x.ai",
};

/// <https://openrouter.ai/docs/guides/privacy/provider-logging>: what becomes of a prompt depends on the provider that
/// gets it, and some train.
pub(super) const OPENROUTER: Vendor = Vendor {
    class: AccessClass::Reseller,
    training: true,
    retention_days: FOR_EVER_DAYS,
    region: "wherever the provider is that gets the call",
    text: "https://openrouter.ai/docs/guides/privacy/provider-logging; of the least strict provider",
    support: "support@openrouter.ai",
};

/// A vendor's key and models at an address that is not the vendor's.
pub(super) const ELSEWHERE: Vendor = Vendor {
    class: AccessClass::Reseller,
    training: true,
    retention_days: FOR_EVER_DAYS,
    region: "unknown",
    text: "the address is not the vendor's own, so its terms are unknown",
    support: "whoever runs the address",
};

impl Vendor {
    /// The contract of the account whose key is in the environment variable `key`.
    pub(super) fn contract(&self, key: &str, verification: Verification) -> Contract {
        let holder = format!("the holder of {key}");
        Contract {
            class: self.class,
            programme: None,
            owner: holder.clone(),
            payer: holder,
            limits: "those of that account".to_owned(),
            support: self.support.to_owned(),
            terms: Terms {
                training: self.training,
                retention_days: self.retention_days,
                region: self.region.to_owned(),
                text: Some(self.text.to_owned()),
            },
            verified: verification.on(LOOKED_UP),
            countries: Countries::All,
            data: if self.training { DataClass::Public } else { DataClass::Internal },
            environments: Environment::ALL.to_vec(),
        }
    }
}

/// The simulated provider: a part of this gateway.
pub(super) fn simulated() -> Contract {
    own("this gateway", "none", "this machine")
}

/// Ollama: the operator's own machine.
pub(super) fn ollama() -> Contract {
    own("the operator of this gateway", "what the machine can do", "the machine that OLLAMA_HOST names")
}

/// Nobody but the operator has a part in it, so there is nothing to verify and nothing that leaves the house.
fn own(party: &str, limits: &str, region: &str) -> Contract {
    Contract {
        class: AccessClass::SelfHosted,
        programme: None,
        owner: party.to_owned(),
        payer: party.to_owned(),
        limits: limits.to_owned(),
        support: party.to_owned(),
        terms: Terms { training: false, retention_days: 0, region: region.to_owned(), text: None },
        verified: Verified::Always,
        countries: Countries::All,
        data: DataClass::Sensitive,
        environments: Environment::ALL.to_vec(),
    }
}
