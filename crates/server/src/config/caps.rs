//! What a provider lets a credential have (mission 5.4): `caps` of a provider, which is one credential, and of a target where
//! the provider caps each model by itself.

use std::sync::Arc;

use gateway::{Account, CapRules};

use super::read::{Mistakes, Section};

/// The caps of a section, if it has any; `whose` is what they are counted under, `None` when there were mistakes in it.
pub(super) fn read(
    section: &mut Section,
    whose: Option<&str>,
    mistakes: &mut Mistakes,
) -> Option<Arc<Account>> {
    if !section.has("caps") {
        return None;
    }
    let mut inner = section.section("caps", mistakes);
    let before = mistakes.0.len();
    let [requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day] =
        ["rpm", "rpd", "tpm", "tpd"].map(|name| inner.number(name, 0..=1_000_000_000_000, mistakes));
    let reset_field = inner.field("reset");
    let reset = inner.text("reset", mistakes);
    let zone_field = inner.field("zone");
    let zone = inner.text("zone", mistakes);
    inner.finish(mistakes);
    let reset_seconds = reset.map_or(Some(0), |text| seconds(&text));
    if reset_seconds.is_none() {
        mistakes.add(&reset_field, "is no time of a day such as \"00:00\" or \"07:30\"");
    }
    let zone = zone.map(|name| name.parse().map_err(|error| mistakes.add(&zone_field, error))).transpose();
    let capped = [requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day];
    if mistakes.0.len() == before && capped.iter().all(Option::is_none) {
        let what = "caps nothing; write what the provider does: rpm, rpd (requests a minute, a day), tpm, tpd (tokens)";
        mistakes.add(&section.field("caps"), what);
    }
    let rules = CapRules {
        requests_per_minute,
        tokens_per_minute,
        requests_per_day,
        tokens_per_day,
        reset_seconds: reset_seconds?,
        zone: zone.ok()?.unwrap_or_default(),
    };
    (mistakes.0.len() == before).then(|| Some(Arc::new(Account::new(whose?, rules))))?
}

/// A time of day as `07:30`, in seconds.
fn seconds(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |part: &str, below: u32| {
        let is_plain = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u32>().ok().filter(|number| is_plain && *number < below)
    };
    Some(number(hours, 24)? * 3_600 + number(minutes, 60)? * 60)
}
