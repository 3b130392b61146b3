//! What an answer says of itself beside its body where its caller asks for it, by `x-tollkeeper-show: access`: on whose
//! account the call was made, who pays by the route, and by which contract.
//!
//! It knows headers. What it shows goes to callers: no secret and nothing of a prompt may enter.

use dialect::BadRequest;
use domain::{Payer, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::candidate::Candidate;
use crate::contract::{Contract, date};

const SHOW: &str = "x-tollkeeper-show";
/// The one thing that can be asked for.
const ACCESS: &str = "access";
const CLASS: HeaderName = HeaderName::from_static("x-tollkeeper-access-class");
const PAYER: HeaderName = HeaderName::from_static("x-tollkeeper-payer");
const CONTRACT: HeaderName = HeaderName::from_static("x-tollkeeper-contract");
/// Characters of an owner's name that a header has room for.
const OWNER_MAX: usize = 80;

/// Whether a caller asks for these headers.
///
/// # Errors
/// If it asks for what there is not.
pub(crate) fn asks_for_access(headers: &HeaderMap) -> Result<bool, BadRequest> {
    let mut asks = false;
    for value in headers.get_all(SHOW) {
        let wanted = value.to_str().unwrap_or("?").split(',').map(str::trim).filter(|word| !word.is_empty());
        for word in wanted {
            if !word.eq_ignore_ascii_case(ACCESS) {
                let word: String = word.chars().take(32).collect();
                return Err(BadRequest {
                    message: format!("Invalid header '{SHOW}': `{word}` cannot be shown; write `{ACCESS}`."),
                    param: Some(SHOW.to_owned()),
                    code: Some("invalid_value"),
                });
            }
            asks = true;
        }
    }
    Ok(asks)
}

/// Says it of the target that answers.
pub(crate) fn tell_access(candidate: &Candidate, now: Timestamp, headers: &mut HeaderMap) {
    let (funding, contract) = (&candidate.funding, &candidate.target.contract);
    headers.insert(CLASS, HeaderValue::from_static(funding.class.as_str()));
    headers.insert(PAYER, HeaderValue::from_static(Payer::word(funding.payers())));
    // Visible ASCII, all of it.
    if let Ok(words) = HeaderValue::try_from(words(contract, now)) {
        headers.insert(CONTRACT, words);
    }
}

/// Whose account it is and when a person last checked the terms: `Example Ltd; verified 2026-11-01`.
pub(crate) fn words(contract: &Contract, now: Timestamp) -> String {
    let visible = |character: char| if matches!(character, ' '..='~') { character } else { '?' };
    // What parts the owner from the rest must not be in it.
    let owner = contract.owner.chars().map(visible).map(|c| if c == ';' { ',' } else { c });
    let owner: String = owner.take(OWNER_MAX).collect();
    let verified = match contract.verified.age(now) {
        None => "nothing to verify".to_owned(),
        Some((day, _)) => format!("verified {}", date(day)),
    };
    let stale = if contract.is_stale(now) { "; stale" } else { "" };
    format!("{}; {verified}{stale}", owner.trim())
}
