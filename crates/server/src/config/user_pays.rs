//! `[user_pays]`: whether apps may ask users to pay for their calls, which ones, and within which bounds.

use directory::Caps;
use gateway::ConsentedCaps;

use super::read::{Least, Mistakes, Section};
use crate::user_pays::UserPaysSettings;
use crate::user_pays::callback::Callback;

/// The largest cap: what a counter can hold (2^53).
const CAP_MAX: u64 = 1 << 53;

pub(super) fn read(mut section: Section, mistakes: &mut Mistakes) -> Option<UserPaysSettings> {
    let enabled = section.boolean("enabled", mistakes);
    let origins = read_origins(&mut section, mistakes);
    let requires_challenge = section.boolean("require_challenge", mistakes);
    let code_seconds = section.number("code_seconds", 1..=600, mistakes);
    let limit_max = section.amount("limit_max", Least::AboveZero, mistakes);
    let limit_default = section.amount("limit_default", Least::AboveZero, mistakes);
    let days = section.number("expires_days_max", 1..=3_650, mistakes);
    let per_app = section.number("per_app_rpm", 1..=CAP_MAX, mistakes);
    let per_user = section.number("per_user_rpm", 1..=CAP_MAX, mistakes);
    let attempts = section.number("attempts_per_minute", 1..=CAP_MAX, mistakes);
    if let (Some(default), Some(max)) = (limit_default, limit_max)
        && default > max
    {
        let problem = format!("{default} is above limit_max, {max}; propose no more than is allowed");
        mistakes.add(&section.field("limit_default"), problem);
    }
    section.finish(mistakes);
    let requests = |most| Caps { requests_per_minute: Some(most), ..Caps::default() };
    Some(UserPaysSettings {
        enabled: enabled?,
        origins: origins?,
        requires_challenge: requires_challenge?,
        code_seconds: i64::try_from(code_seconds?).ok()?,
        limit_max: limit_max?,
        limit_default: limit_default?,
        expires_days_max: i64::try_from(days?).ok()?,
        caps: ConsentedCaps { app: requests(per_app?), person: requests(per_user?) },
        attempts_per_minute: attempts?,
    })
}

fn read_origins(section: &mut Section, mistakes: &mut Mistakes) -> Option<Vec<String>> {
    let field = section.field("origins");
    let texts = section.texts("origins", mistakes)?;
    let read = |text: &String| {
        Callback::read_origin(text)
            .map_err(|problem| mistakes.add(&field, format_args!("`{text}` {problem}")))
            .ok()
    };
    Some(texts.iter().filter_map(read).collect())
}
