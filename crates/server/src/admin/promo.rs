//! Promo codes.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use domain::Timestamp;
use ledger::{Command, Denial, LedgerError, PromoCode, Reply};
use serde::Deserialize;

use super::input::{blocking, field, optional, parse, strange_answer};
use super::view::{self, json};
use super::{Answered, Problem, Shared};

const DAY_SECONDS: i64 = 24 * 60 * 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PromoBody {
    code: String,
    amount: String,
    uses: u64,
    expires_at: Option<String>,
    credit_days: Option<i64>,
    #[serde(default)]
    models: Vec<Box<str>>,
}

/// Makes a code. It needs no other key against doing it twice: the same code on the same terms is the same code.
pub(super) async fn create(State(admin): Shared, body: Bytes) -> Answered {
    let body: PromoBody = parse(&body)?;
    let expires_at = optional::<Timestamp>("expires_at", body.expires_at.as_deref())?;
    let seconds = |days: i64| {
        let seconds = days.checked_mul(DAY_SECONDS);
        seconds.ok_or_else(|| Problem::field("credit_days", "`credit_days` is more than a calendar has."))
    };
    let code = PromoCode {
        code: PromoCode::normal_form(&body.code),
        amount: field("amount", &body.amount)?,
        expires_at: expires_at.unwrap_or(Timestamp::MAX),
        credit_seconds: body.credit_days.map(seconds).transpose()?,
        uses_max: body.uses,
        uses: 0,
        models: body.models,
        created_at: admin.clock.now(),
    };
    match admin.ledger.submit(Command::Issue(code)).await {
        Ok(Reply::Issued(code)) => Ok(json(StatusCode::CREATED, &view::promo_code(&code))),
        Ok(_) => Err(strange_answer()),
        Err(LedgerError::Denied(Denial::Duplicate)) => {
            Err(Problem::conflict("This code exists with other terms; `tollkeeper promo list` shows them."))
        }
        Err(error) => Err(Problem::ledger(error)),
    }
}

pub(super) async fn list(State(admin): Shared) -> Answered {
    let codes = blocking(move || Ok(admin.reader.promo_codes()?)).await?;
    let data = codes.iter().map(view::promo_code).collect();
    Ok(json(StatusCode::OK, &view::list(data, false)))
}
