//! Usage tiers as they are written down.

use std::sync::Arc;

use directory::Caps;
use domain::Money;
use gateway::{Tier, TierLimit, Tiers};

use super::read::{Least, Mistakes, Section};

/// The largest cap: what a counter can hold (2^53).
const CAP_MAX: u64 = 1 << 53;

/// The table of `[[tiers]]`, lowest first.
pub(super) fn read(sections: Vec<Section>, mistakes: &mut Mistakes) -> Tiers {
    let mut tiers: Vec<Tier> = Vec::new();
    for mut section in sections {
        let tier = read_tier(&mut section, mistakes);
        if let Some(tier) = tier {
            check_order(&section, tiers.last(), &tier, mistakes);
            if tiers.iter().any(|other| other.name == tier.name) {
                let field = section.field("name");
                mistakes.add(&field, format_args!("`{}` is the name of another tier too", tier.name));
            }
            tiers.push(tier);
        }
        section.finish(mistakes);
    }
    Tiers::new(tiers)
}

fn read_tier(section: &mut Section, mistakes: &mut Mistakes) -> Option<Tier> {
    let name = section.required_text("name", mistakes);
    let credit_purchased = section.amount("credit_purchased", Least::Zero, mistakes).unwrap_or(Money::ZERO);
    let account_days = section.number("account_days", 0..=36_500, mistakes).unwrap_or(0);
    let monthly_ceiling = section.amount("monthly_ceiling", Least::Zero, mistakes);
    let models = if section.has("models") {
        section.texts("models", mistakes).unwrap_or_default()
    } else {
        vec!["*".to_owned()]
    };
    let limits = section.sections("limits", mistakes);
    let limits = limits.into_iter().filter_map(|limit| read_limit(limit, mistakes)).collect();
    Some(Tier {
        name: Arc::from(name?),
        credit_purchased,
        account_days: u32::try_from(account_days).unwrap_or(u32::MAX),
        monthly_ceiling,
        models,
        limits,
    })
}

fn read_limit(mut section: Section, mistakes: &mut Mistakes) -> Option<TierLimit> {
    let models = section.required_text("models", mistakes);
    let mut cap = |name| section.number(name, 0..=CAP_MAX, mistakes);
    let caps = Caps {
        requests_per_minute: cap("requests_per_minute"),
        tokens_per_minute: cap("tokens_per_minute"),
        input_tokens_per_minute: cap("input_tokens_per_minute"),
        output_tokens_per_minute: cap("output_tokens_per_minute"),
        images_per_minute: cap("images_per_minute"),
        requests_per_day: cap("requests_per_day"),
        tokens_per_day: cap("tokens_per_day"),
        concurrent_requests: cap("concurrent_requests"),
    };
    if caps == Caps::default() {
        mistakes
            .add(&section.field(""), "limits nothing; write one cap at least, such as requests_per_minute");
    }
    section.finish(mistakes);
    Some(TierLimit { models: models?, caps })
}

/// The first tier is everybody's; each further one asks for more.
fn check_order(section: &Section, before: Option<&Tier>, tier: &Tier, mistakes: &mut Mistakes) {
    match before {
        None if !tier.credit_purchased.is_zero() || tier.account_days > 0 => mistakes.add(
            &section.field("credit_purchased"),
            "the first tier is the one of new organizations: it must ask for nothing",
        ),
        Some(before)
            if tier.credit_purchased < before.credit_purchased || tier.account_days < before.account_days =>
        {
            mistakes.add(
                &section.field("credit_purchased"),
                format_args!("must ask for no less than the tier `{}` before it", before.name),
            );
        }
        None | Some(_) => {}
    }
}
