//! The contract of a route: who owns the credential, who pays, within which limits, on which terms for prompts and
//! answers, who helps when it fails, and when a person last checked all that; and whether it covers a call (layers 1.4
//! and 1.5).
//!
//! It knows what a contract covers and what the refusals say. It must never know how contracts are written down (the
//! server's configuration), what time it is (the caller says) or where an organization's country is kept.

use std::fmt::Display;
use std::sync::Arc;

use directory::{DataClass, Environment};
use domain::{AccessClass, Country, OrganizationId, Refusal, RefusalCode, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

/// What the provider may do with prompts and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whether it may train models on them.
    pub training: bool,
    /// How long it keeps them, in days; 0 is not at all.
    pub retention_days: u32,
    /// Where it processes and keeps them, in words.
    pub region: String,
    /// Where the terms stand, or the sentence that matters.
    pub text: Option<String>,
}

/// When a person last checked a contract against what the provider publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Nothing is to be checked: nobody but the operator has a part in it. It never becomes stale.
    Always,
    /// On a day, which counts for so long.
    On {
        /// The day's first moment.
        day: Timestamp,
        /// For how many days the check counts; from the day after these on the contract is stale.
        days_max: u32,
    },
}

/// Organizations of which countries a route serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Countries {
    /// Of every country, also those that have stated none.
    #[default]
    All,
    /// Of these alone. Never empty.
    Only(Vec<Country>),
    /// Of all but these. Never empty.
    Except(Vec<Country>),
}

impl Countries {
    /// In words, for people; `None` for all countries.
    pub(crate) fn describe(&self) -> Option<String> {
        let list =
            |countries: &[Country]| countries.iter().map(Country::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::All => None,
            Self::Only(countries) => Some(format!("only {}", list(countries))),
            Self::Except(countries) => Some(format!("all but {}", list(countries))),
        }
    }
}

/// A route's contract (mission section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// How the access was come by.
    pub class: AccessClass,
    /// The programme of complimentary tokens that it is of, for that class.
    pub programme: Option<String>,
    /// Who owns the credential.
    pub owner: String,
    /// Who pays the provider.
    pub payer: String,
    /// Within which limits, in words.
    pub limits: String,
    /// Who helps when it fails.
    pub support: String,
    /// What the provider may do with prompts and answers.
    pub terms: Terms,
    /// When that was last checked.
    pub verified: Verified,
    /// Whose organizations it serves.
    pub countries: Countries,
    /// The most guarded data it may carry.
    pub data: DataClass,
    /// The environments it may carry traffic of. Never empty.
    pub environments: Vec<Environment>,
}

/// What of a call a contract is checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic<'a> {
    /// The organization that calls.
    pub(crate) organization: OrganizationId,
    /// Its name.
    pub(crate) organization_name: &'a str,
    /// Where it is; `None` as long as it has not said so.
    pub(crate) country: Option<Country>,
    /// The name of the project that calls.
    pub(crate) project: &'a str,
    /// What the project's traffic is for.
    pub(crate) environment: Environment,
    /// What the project's prompts may contain.
    pub(crate) data_class: DataClass,
}

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

impl Verified {
    /// The day of the check, and how many days ago it was; `None` when there is nothing to check.
    pub fn age(self, now: Timestamp) -> Option<(Timestamp, u32)> {
        match self {
            Self::Always => None,
            Self::On { day, .. } => {
                let days = now.micros().saturating_sub(day.micros()) / MICROS_PER_DAY;
                Some((day, u32::try_from(days).unwrap_or(if days < 0 { 0 } else { u32::MAX })))
            }
        }
    }
}

/// What a decision tells of a contract.
#[derive(Serialize)]
struct Facts<'a> {
    class: &'static str,
    owner: &'a str,
    payer: &'a str,
    /// `None` for what needs no verification.
    verified_on: Option<String>,
}

impl Contract {
    /// The same for a key that somebody brought: whose it is and who pays is theirs to say, and their own account's limits
    /// apply. What the provider may do with which data, and where, stays as it was checked: a key opens nothing that the
    /// operator has not opened.
    pub(crate) fn of_brought_key(&self, class: AccessClass, owner: String) -> Self {
        let limits = "those of the account that the key is of".to_owned();
        Self { class, payer: owner.clone(), owner, limits, programme: None, ..self.clone() }
    }

    /// What a decision tells of it, as JSON.
    pub(crate) fn facts(&self) -> Arc<RawValue> {
        let verified_on = match self.verified {
            Verified::On { day, .. } => Some(date(day)),
            Verified::Always => None,
        };
        let (class, owner, payer) = (self.class.as_str(), cut(&self.owner), cut(&self.payer));
        let facts = serde_json::value::to_raw_value(&Facts { class, owner, payer, verified_on });
        // Texts into memory: there is nothing that could fail.
        facts.map_or_else(|_| RawValue::NULL.to_owned().into(), Arc::from)
    }

    /// Whether the last check was too long ago.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        match self.verified {
            Verified::Always => false,
            Verified::On { days_max, .. } => self.verified.age(now).is_some_and(|(_, days)| days > days_max),
        }
    }

    /// Whether this traffic may go to `target` (`provider/model`) by this contract.
    ///
    /// # Errors
    /// The refusal that is first in precedence: [`RefusalCode::CountryNotSupported`] (1.4), then
    /// [`RefusalCode::ContractUnfit`] and [`RefusalCode::ContractStale`] (1.5).
    pub(crate) fn check(&self, target: &str, traffic: &Traffic<'_>, now: Timestamp) -> Result<(), Refusal> {
        self.check_country(target, traffic)?;
        self.check_data(target, traffic)?;
        self.check_environment(target, traffic)?;
        self.check_freshness(target, traffic, now)
    }

    fn check_country(&self, target: &str, traffic: &Traffic<'_>) -> Result<(), Refusal> {
        let (named, wanted, rule) = match &self.countries {
            Countries::All => return Ok(()),
            Countries::Only(named) => (named, true, "of these countries only"),
            Countries::Except(named) => (named, false, "of all countries but these"),
        };
        let limit = listed(named);
        let Some(country) = traffic.country else {
            let message = format!(
                "The route to `{target}` serves organizations {rule}: {limit}. Organization `{}` has not stated its \
                 country.",
                traffic.organization_name
            );
            let next = format!(
                "The operator states the organization's country, by its two letters of ISO 3166-1: \
                 `tollkeeper org update {} --country XX`.",
                traffic.organization
            );
            return Err(refusal(RefusalCode::CountryNotSupported, message, next, limit, "not stated"));
        };
        if named.contains(&country) == wanted {
            return Ok(());
        }
        let message = format!(
            "Country, region, or territory not supported: the route to `{target}` serves organizations {rule}: \
             {limit}. Organization `{}` is in {country}.",
            traffic.organization_name
        );
        let next = format!("Call a model whose route serves {country}; the operator knows which do.");
        Err(refusal(RefusalCode::CountryNotSupported, message, next, limit, country))
    }

    fn check_data(&self, target: &str, traffic: &Traffic<'_>) -> Result<(), Refusal> {
        let (project, class) = (traffic.project, traffic.data_class);
        let unfit =
            |message, next, limit| Err(refusal(RefusalCode::ContractUnfit, message, next, limit, class));
        if self.terms.training && class != DataClass::Public {
            let message = format!(
                "The provider behind `{target}` may train on what it is sent, and project `{project}` carries \
                 {class} data."
            );
            let next = "Call a model whose route's contract rules training out, or call from a project for public \
                        data, with public data.";
            return unfit(message, next.to_owned(), DataClass::Public.to_string());
        }
        if class > self.data {
            let message = format!(
                "The contract of the route to `{target}` covers data up to {}, and project `{project}` carries \
                 {class} data.",
                self.data
            );
            let next = format!(
                "Call a model whose route's contract covers {class} data, or have the operator agree on such terms \
                 with the provider and set `data` in the contract."
            );
            return unfit(message, next, self.data.to_string());
        }
        Ok(())
    }

    fn check_environment(&self, target: &str, traffic: &Traffic<'_>) -> Result<(), Refusal> {
        let (project, environment) = (traffic.project, traffic.environment);
        if self.environments.contains(&environment) {
            return Ok(());
        }
        let limit = listed(&self.environments);
        let message = format!(
            "The contract of the route to `{target}` covers traffic of {limit}, and project `{project}` is for \
             {environment}."
        );
        let next = format!("Call a model whose route's contract covers {environment}.");
        Err(refusal(RefusalCode::ContractUnfit, message, next, limit, environment))
    }

    /// A stale contract shows nothing any more, so it carries neither real data nor production traffic (the stop rule
    /// of mission section 2); what is published anyway can do no harm in dev and staging.
    fn check_freshness(&self, target: &str, traffic: &Traffic<'_>, now: Timestamp) -> Result<(), Refusal> {
        let Verified::On { day, days_max } = self.verified else { return Ok(()) };
        let harmless = traffic.data_class == DataClass::Public && traffic.environment != Environment::Prod;
        if harmless || !self.is_stale(now) {
            return Ok(());
        }
        let (_, days) = self.verified.age(now).unwrap_or((day, 0));
        let message = format!(
            "The contract of the route to `{target}` was verified on {}, {days} days ago; it counts for {days_max} \
             days. Until it is verified anew the route carries public data of dev and staging only, and project \
             `{}` carries {} data of {}.",
            date(day),
            traffic.project,
            traffic.data_class,
            traffic.environment
        );
        let next = "The operator checks the provider's terms and sets `verified_on` in the route's contract to the \
                    day of that check.";
        let limit = format!("{days_max} days");
        Err(refusal(RefusalCode::ContractStale, message, next.to_owned(), limit, format_args!("{days} days")))
    }
}

/// As much of a text as a record needs.
fn cut(text: &str) -> &str {
    const CHARS_MAX: usize = 48;
    text.char_indices().nth(CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

/// A day as people write it: `2026-11-01`.
pub fn date(day: Timestamp) -> String {
    day.to_string().chars().take_while(|character| *character != 'T').collect()
}

fn refusal(
    code: RefusalCode,
    message: String,
    next_step: String,
    limit: String,
    used: impl Display,
) -> Refusal {
    let mut refusal = Refusal::new(code, message, next_step);
    (refusal.limit, refusal.used) = (Some(limit), Some(used.to_string()));
    refusal
}

fn listed<T: Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
