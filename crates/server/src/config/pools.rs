//! What pools pay before money does, as it is written down: `[free]`, `[[programmes]]`, `[byok]`; and what the class of
//! a target's contract asks of the target.

use std::sync::Arc;

use domain::{AccessClass, Timestamp, Zone, name_fits};
use gateway::{ByokAllowance, ByokRules, FreeRules, Pools, Programme, Route, Target, TokenGroup};

use super::read::{Least, Mistakes, Section};

/// The end of a model's name that says it costs nothing.
const FREE_SUFFIX: &str = ":free";
/// The largest cap: what a counter can hold (2^53).
const CAP_MAX: u64 = 1 << 53;

/// Reads the three.
pub(super) fn read(root: &mut Section, mistakes: &mut Mistakes) -> Option<Pools> {
    let free = read_free(root.section("free", mistakes), mistakes);
    let programmes = read_programmes(root.sections("programmes", mistakes), mistakes);
    let byok = read_byok(root.section("byok", mistakes), mistakes);
    Some(Pools::new(free?, programmes, byok?))
}

fn read_free(mut section: Section, mistakes: &mut Mistakes) -> Option<FreeRules> {
    let mut cap = |name| section.number(name, 0..=CAP_MAX, mistakes);
    let per_minute = cap("requests_per_minute");
    let per_day = cap("requests_per_day");
    let per_day_purchased = cap("requests_per_day_purchased");
    let threshold = section.amount("credit_purchased", Least::Zero, mistakes);
    let router = section.required_text("router", mistakes);
    section.finish(mistakes);
    Some(FreeRules {
        per_minute: per_minute?,
        per_day: per_day?,
        per_day_purchased: per_day_purchased?,
        threshold: threshold?,
        router: Arc::from(router?),
    })
}

fn read_byok(mut section: Section, mistakes: &mut Mistakes) -> Option<ByokRules> {
    let requests = section.number("free_requests_per_month", 0..=CAP_MAX, mistakes);
    let value = section
        .has("free_value_per_month")
        .then(|| section.amount("free_value_per_month", Least::Zero, mistakes));
    let fee = permille(&mut section, "fee_percent", mistakes);
    section.finish(mistakes);
    let allowance = match value {
        None => ByokAllowance::Requests(requests?),
        Some(value) => ByokAllowance::Value(value?),
    };
    Some(ByokRules { allowance, fee_permille: fee? })
}

/// A percentage with at most one decimal, as thousandths.
fn permille(section: &mut Section, name: &'static str, mistakes: &mut Mistakes) -> Option<u16> {
    let text = section.text(name, mistakes)?;
    let (whole, tenth) = text.split_once('.').unwrap_or((&text, "0"));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let read = (tenth.len() == 1 && digits(whole) && digits(tenth))
        .then(|| whole.parse::<u16>().ok()?.checked_mul(10)?.checked_add(tenth.parse().ok()?))
        .flatten();
    if read.is_none_or(|permille| permille > 1_000) {
        mistakes.add(
            &section.field(name),
            format_args!("`{text}` is no percentage with at most one decimal, up to \"100\""),
        );
        return None;
    }
    read
}

fn read_programmes(sections: Vec<Section>, mistakes: &mut Mistakes) -> Vec<Programme> {
    let mut programmes: Vec<Programme> = Vec::new();
    for mut section in sections {
        let field = section.field("name");
        if let Some(programme) = read_programme(&mut section, mistakes) {
            if programmes.iter().any(|other| other.name == programme.name) {
                mistakes
                    .add(&field, format_args!("`{}` is the name of another programme too", programme.name));
            }
            programmes.push(programme);
        }
        section.finish(mistakes);
    }
    programmes
}

fn read_programme(section: &mut Section, mistakes: &mut Mistakes) -> Option<Programme> {
    let name = section.required_text("name", mistakes);
    let zone =
        parsed::<Zone>(section, "time_zone", "name it as the tz database does, such as \"UTC\"", mistakes);
    let moment = "write a moment such as \"2026-12-31T00:00:00Z\", or a day, which begins at midnight UTC";
    let starts = parsed::<Timestamp>(section, "starts", moment, mistakes);
    let ends = parsed::<Timestamp>(section, "ends", moment, mistakes);
    if let (Ok(Some(starts)), Ok(Some(ends))) = (&starts, &ends)
        && starts >= ends
    {
        mistakes.add(&section.field("ends"), "must be after `starts`");
    }
    let field = section.field("groups");
    let written = section.sections("groups", mistakes);
    if written.is_empty() {
        mistakes.add(
            &field,
            "at least one is needed: { name = \"large\", models = [\"gpt-4o\"], tokens_per_day = 1000000 }",
        );
    }
    let groups: Vec<TokenGroup> =
        written.into_iter().filter_map(|group| read_group(group, mistakes)).collect();
    if let Some(twice) = groups
        .iter()
        .enumerate()
        .find(|(place, group)| groups.iter().take(*place).any(|other| other.name == group.name))
    {
        mistakes.add(&field, format_args!("`{}` is the name of two groups", twice.1.name));
    }
    Some(Programme {
        name: Arc::from(name.filter(|name| is_name(name, section, mistakes))?),
        groups,
        zone: zone.ok()?.unwrap_or_default(),
        starts: starts.ok()?,
        ends: ends.ok()?,
    })
}

/// A name that can stand in a pool's and in a path.
fn is_name(name: &str, section: &Section, mistakes: &mut Mistakes) -> bool {
    let proper = !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    if !proper {
        mistakes.add(&section.field("name"), "must be 1 to 64 letters, digits, `-`, `_` or `.`");
    }
    proper
}

fn read_group(mut section: Section, mistakes: &mut Mistakes) -> Option<TokenGroup> {
    let name = section.required_text("name", mistakes).filter(|name| is_name(name, &section, mistakes));
    let field = section.field("models");
    let models = section.texts("models", mistakes).unwrap_or_default();
    if models.is_empty() {
        mistakes.add(&field, "at least one is needed: a model's name at its provider, or `prefix*`");
    }
    let purpose = "say how many tokens a day are free, input and output together";
    let tokens = section
        .requires("tokens_per_day", purpose, mistakes)
        .then(|| section.number("tokens_per_day", 0..=CAP_MAX, mistakes));
    section.finish(mistakes);
    Some(TokenGroup { name: Arc::from(name?), models, tokens_per_day: tokens.flatten()? })
}

/// A text that can be read as something; `Ok(None)` when there is none.
fn parsed<T: std::str::FromStr>(
    section: &mut Section,
    name: &'static str,
    fix: &str,
    mistakes: &mut Mistakes,
) -> Result<Option<T>, ()> {
    let field = section.field(name);
    let Some(text) = section.text(name, mistakes) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| mistakes.add(&field, format_args!("`{text}` cannot be read; {fix}")))
}

/// What the class of its contract asks of a target.
pub(super) fn check_target(field: &str, target: &Target, programmes: &[Programme], mistakes: &mut Mistakes) {
    let label = &target.label;
    match target.contract.class {
        AccessClass::Free if !is_free(target) => mistakes.add(
            field,
            format_args!(
                "`{label}` is of class \"free\", so its price is zero, and is said to be: \
                 price = {{ input = \"0\", output = \"0\" }}"
            ),
        ),
        AccessClass::Complimentary => {
            let name = target.contract.programme.as_deref().unwrap_or_default();
            let Some(programme) = programmes.iter().find(|programme| *programme.name == *name) else {
                mistakes.add(
                    field,
                    format_args!(
                        "`{label}` is of the programme `{name}`, and there is no [[programmes]] of that name"
                    ),
                );
                return;
            };
            let fits =
                |group: &TokenGroup| group.models.iter().any(|models| name_fits(models, &target.model));
            if !programme.groups.iter().any(fits) {
                mistakes.add(
                    field,
                    format_args!(
                        "`{label}` is in no group of the programme `{name}`; add `{}` to the models of one",
                        target.model
                    ),
                );
            }
        }
        AccessClass::Direct
        | AccessClass::Trial
        | AccessClass::Reseller
        | AccessClass::Free
        | AccessClass::FreeTier
        | AccessClass::Byok
        | AccessClass::UserPays
        | AccessClass::SelfHosted => {}
    }
}

/// A model that calls itself free must be.
pub(super) fn check_route(field: &str, route: &Route, mistakes: &mut Mistakes) {
    let charged = route.targets.iter().find(|target| target.contract.class != AccessClass::Free);
    if let Some(target) = charged.filter(|_| route.model.ends_with(FREE_SUFFIX)) {
        mistakes.add(
            field,
            format_args!(
                "`{}` calls itself free, and its target `{}` is of class \"{}\"; give it the class \"free\", or the \
                 model another name",
                route.model, target.label, target.contract.class
            ),
        );
    }
}

fn is_free(target: &Target) -> bool {
    target.prices.as_ref().and_then(|prices| prices.at(Timestamp::MAX)).is_some_and(|price| price.is_free())
}
