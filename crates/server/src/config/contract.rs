//! Reading a route's contract: what must be written, in which words, and what cannot be configured.
//!
//! It knows the fields and their mistakes. What a contract covers is the gateway's to say, at each call.

use std::fmt::Display;
use std::str::FromStr;

use directory::{DataClass, Environment};
use domain::AccessClass;
use domain::{Country, Timestamp};
use gateway::{Contract, Countries, Terms, Verified, date};

use super::read::{Mistakes, Section};

/// Everything that a contract must say.
const REQUIRED: &str =
    "owner, payer, limits, support, terms = { training, retention_days, region } and verified_on";

/// Words for access class 2.10: keys of which nobody can say who owns them, who pays, or what they may do.
const NOBODYS: [&str; 11] = [
    "copied",
    "shared",
    "generated",
    "leaked",
    "found",
    "borrowed",
    "bought",
    "rented",
    "stolen",
    "cracked",
    "unknown",
];
/// What people write of an owner or payer whom they do not know, which is class 2.10 too.
const UNKNOWN: [&str; 5] = ["unknown", "?", "-", "n/a", "someone else"];
/// Why class 2.10 is refused, and what to do instead.
const INSTEAD: &str = "access class 2.10, which cannot be configured: nobody can say who owns such a key, who pays for \
                       it, or when it ends, and using it may be theft. Use a key of your own account, or one that its \
                       owner has given you in writing (\"reseller\"), or a free or self-hosted model";
/// Words for subscriptions to an app, which many take for API credit.
const SUBSCRIPTIONS: [&str; 8] =
    ["subscription", "app", "plus", "pro", "chatgpt", "chatgpt_plus", "chatgpt_pro", "claude_pro"];

/// The longest time that a provider may be said to keep prompts, in days: a century stands for "for ever".
const RETENTION_DAYS_MAX: u64 = 36_500;
/// How far ahead of UTC the earliest time zone is, in seconds: a day that has begun anywhere is not in the future.
const EARLIEST_ZONE_SECONDS: i64 = 14 * 60 * 60;

/// What the day of a contract's last check is held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verification {
    today: Timestamp,
    /// For how many days a check counts.
    days_max: u32,
}

impl Verification {
    /// Reads `[contracts]`.
    pub(super) fn read(mut section: Section, today: Timestamp, mistakes: &mut Mistakes) -> Self {
        let days_max = section.number("stale_after_days", 1..=3_650, mistakes);
        section.finish(mistakes);
        // Without a number there was a mistake, and no contract is used.
        Self { today, days_max: days_max.and_then(|days| u32::try_from(days).ok()).unwrap_or_default() }
    }

    /// A check on this day.
    pub(super) const fn on(self, day: Timestamp) -> Verified {
        Verified::On { day, days_max: self.days_max }
    }
}

/// The contract of a section that must have one.
pub(super) fn required(
    section: &mut Section,
    verification: Verification,
    mistakes: &mut Mistakes,
) -> Option<Contract> {
    let found = written(section, verification, mistakes);
    if found.is_none() {
        let what = format_args!(
            "is missing; without one no data goes there. It states {REQUIRED}: docs/contracts.md"
        );
        mistakes.add(&section.field("contract"), what);
    }
    found.flatten()
}

/// The contract of a section that may have one: `None` when none is written, `Some(None)` when there are mistakes in
/// it.
pub(super) fn written(
    section: &mut Section,
    verification: Verification,
    mistakes: &mut Mistakes,
) -> Option<Option<Contract>> {
    if !section.has("contract") {
        return None;
    }
    let mut inner = section.section("contract", mistakes);
    let contract = read(&mut inner, verification, mistakes);
    inner.finish(mistakes);
    Some(contract)
}

fn read(section: &mut Section, verification: Verification, mistakes: &mut Mistakes) -> Option<Contract> {
    let owner = party(section, "owner", "name who owns the account whose key is used", mistakes);
    let payer = party(section, "payer", "name who pays the provider", mistakes);
    let limits = stated(section, "limits", "say which limits apply there, such as \"tier 4\"", mistakes);
    let support = stated(section, "support", "say who helps when it fails: an address or a page", mistakes);
    let terms = read_terms(section, mistakes);
    let verified_on = read_day(section, verification.today, mistakes);
    let class = read_class(section, mistakes);
    let programme = read_programme(section, class, terms.as_ref(), mistakes);
    let countries = read_countries(section, mistakes);
    let data = read_data(section, (terms.as_ref().map(|terms| terms.training), class), mistakes);
    let environments = match words::<Environment>(section, "environments", mistakes) {
        Ok(written) => Some(written.unwrap_or_else(|| Environment::ALL.to_vec())),
        Err(()) => None,
    };
    Some(Contract {
        class: class?,
        programme: programme?,
        owner: owner?,
        payer: payer?,
        limits: limits?,
        support: support?,
        terms: terms?,
        verified: verification.on(verified_on?),
        countries: countries?,
        data: data?,
        environments: environments?,
    })
}

/// Where nobody pays, the price is stated: the catalogue's is that of the paid account.
pub(super) fn check_free_tier(field: &str, contract: &Contract, states_price: bool, mistakes: &mut Mistakes) {
    if contract.class == AccessClass::FreeTier && !states_price {
        let what = "is missing; the catalogue's price is not that of a free tier. State price = { input = \"0\", output = \"0\" }, \
                    or what you charge for it";
        mistakes.add(field, what);
    }
}

/// A text that must be there and say something.
fn stated(
    section: &mut Section,
    name: &'static str,
    purpose: &'static str,
    mistakes: &mut Mistakes,
) -> Option<String> {
    if !section.requires(name, purpose, mistakes) {
        return None;
    }
    let text = section.text(name, mistakes)?;
    if text.trim().is_empty() {
        mistakes.add(&section.field(name), format_args!("is empty; {purpose}"));
        return None;
    }
    Some(text.trim().to_owned())
}

/// Somebody who is known.
fn party(
    section: &mut Section,
    name: &'static str,
    purpose: &'static str,
    mistakes: &mut Mistakes,
) -> Option<String> {
    let text = stated(section, name, purpose, mistakes)?;
    if UNKNOWN.contains(&&*text.to_lowercase()) {
        mistakes.add(&section.field(name), format_args!("\"{text}\" is {INSTEAD}"));
        return None;
    }
    Some(text)
}

fn read_terms(section: &mut Section, mistakes: &mut Mistakes) -> Option<Terms> {
    let mut inner = section.section("terms", mistakes);
    let purpose = "say whether the provider may train on prompts and answers; true if you do not know";
    let training = inner.requires("training", purpose, mistakes).then(|| inner.boolean("training", mistakes));
    let purpose = "say for how many days the provider keeps prompts and answers; 0 is not at all";
    let days = inner
        .requires("retention_days", purpose, mistakes)
        .then(|| inner.number("retention_days", 0..=RETENTION_DAYS_MAX, mistakes));
    let region = stated(&mut inner, "region", "say where prompts are processed and kept", mistakes);
    let text = inner.text("text", mistakes);
    inner.finish(mistakes);
    Some(Terms {
        training: training.flatten()?,
        retention_days: u32::try_from(days.flatten()?).ok()?,
        region: region?,
        text,
    })
}

fn read_day(section: &mut Section, today: Timestamp, mistakes: &mut Mistakes) -> Option<Timestamp> {
    const PURPOSE: &str = "say on which day you last checked all this, such as \"2026-11-01\"";
    let text = stated(section, "verified_on", PURPOSE, mistakes)?;
    let field = section.field("verified_on");
    // A moment is no day, though it begins with one.
    let Some(day) = text.parse::<Timestamp>().ok().filter(|day| date(*day) == text) else {
        mistakes.add(&field, format_args!("`{text}` is not a day; write it as 2026-11-01"));
        return None;
    };
    if day > today.plus_seconds(EARLIEST_ZONE_SECONDS) {
        mistakes.add(&field, format_args!("{text} is in the future (today is {}); {PURPOSE}", date(today)));
        return None;
    }
    Some(day)
}

/// The programme of a contract of class `complimentary`, which is the one that needs it: its provider may use what it is
/// sent, or it would not give anything away.
fn read_programme(
    section: &mut Section,
    class: Option<AccessClass>,
    terms: Option<&Terms>,
    mistakes: &mut Mistakes,
) -> Option<Option<String>> {
    let field = section.field("programme");
    let written = section.text("programme", mistakes);
    match (class?, written) {
        (AccessClass::Complimentary, None) => {
            mistakes.add(&field, "is missing; name the [[programmes]] whose tokens these are");
            None
        }
        (AccessClass::Complimentary, Some(_)) if !terms?.training => {
            let problem = "complimentary tokens are for data that the provider may use; write training = true, or \
                           another class if it may not";
            mistakes.add(&section.field("terms"), problem);
            None
        }
        (AccessClass::Complimentary, Some(name)) => Some(Some(name)),
        (_, Some(_)) => {
            mistakes
                .add(&field, "is for contracts of class \"complimentary\"; leave it out, or set the class");
            None
        }
        (_, None) => Some(None),
    }
}

fn read_class(section: &mut Section, mistakes: &mut Mistakes) -> Option<AccessClass> {
    if !section.has("class") {
        return Some(AccessClass::default());
    }
    let text = section.text("class", mistakes)?;
    let field = section.field("class");
    let found = AccessClass::ALL.iter().find(|class| class.as_str() == text);
    if found.is_none() && NOBODYS.contains(&&*text) {
        mistakes.add(&field, format_args!("\"{text}\" is {INSTEAD}"));
    } else if found.is_none() && SUBSCRIPTIONS.contains(&&*text) {
        mistakes.add(
            &field,
            format_args!(
                "\"{text}\" is a subscription to an app, which is never API credit: make an API account at the \
                 provider and write \"direct\""
            ),
        );
    } else if found.is_none() {
        let words: Vec<String> =
            AccessClass::ALL.iter().map(|class| format!("\"{}\"", class.as_str())).collect();
        mistakes.add(&field, format_args!("must be {}, is \"{text}\"", words.join(" or ")));
    }
    found.copied()
}

fn read_countries(section: &mut Section, mistakes: &mut Mistakes) -> Option<Countries> {
    let only = words::<Country>(section, "countries", mistakes);
    let except = words::<Country>(section, "countries_not", mistakes);
    match (only.ok()?, except.ok()?) {
        (None, None) => Some(Countries::All),
        (Some(named), None) => Some(Countries::Only(named)),
        (None, Some(named)) => Some(Countries::Except(named)),
        (Some(_), Some(_)) => {
            let what = "stands beside `countries`; write the one list that is shorter";
            mistakes.add(&section.field("countries_not"), what);
            None
        }
    }
}

/// The most guarded data a route may carry; `training` is `None` when its terms have mistakes, `class` when it is none.
fn read_data(
    section: &mut Section,
    (training, class): (Option<bool>, Option<AccessClass>),
    mistakes: &mut Mistakes,
) -> Option<DataClass> {
    if !section.has("data") {
        // A provider that learns from what it reads may tell it to others; and what a reseller's contract with the provider
        // says nobody here has read.
        let is_public = training? || class? == AccessClass::Reseller;
        return Some(if is_public { DataClass::Public } else { DataClass::Internal });
    }
    let text = section.text("data", mistakes)?;
    let field = section.field("data");
    let data: DataClass = text.parse().map_err(|error| mistakes.add(&field, error)).ok()?;
    if training? && data != DataClass::Public {
        mistakes.add(
            &field,
            format_args!(
                "\"{text}\" cannot stand beside terms.training = true: what a provider trains on is not kept in the \
                 house. Write \"public\", or agree on other terms with the provider"
            ),
        );
        return None;
    }
    Some(data)
}

/// A list of words of one kind: `Ok(None)` when none is written, `Err` when there are mistakes in it.
fn words<T>(section: &mut Section, name: &'static str, mistakes: &mut Mistakes) -> Result<Option<Vec<T>>, ()>
where
    T: FromStr<Err: Display>,
{
    if !section.has(name) {
        return Ok(None);
    }
    let texts = section.texts(name, mistakes).ok_or(())?;
    if texts.is_empty() {
        mistakes.add(&section.field(name), "is empty; leave it out if there is nothing to narrow");
        return Err(());
    }
    let mut found = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(word) => found.push(word),
            Err(error) => mistakes.add(&format!("{}[{index}]", section.field(name)), error),
        }
    }
    if found.len() == texts.len() { Ok(Some(found)) } else { Err(()) }
}
