//! A month's statement, as JSON, CSV or a page.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use store::StatementError;

use super::input::{blocking, field, shown};
use super::view::json;
use super::{Answered, Problem, Shared};
use crate::statement::{Month, Sheet};

#[derive(Deserialize)]
pub(super) struct Wish {
    month: Option<String>,
    format: Option<String>,
}

pub(super) async fn show(State(admin): Shared, Path(id): Path<String>, Query(wish): Query<Wish>) -> Answered {
    let organization = admin.organization("id", &id)?;
    let render = match wish.format.as_deref() {
        None | Some("json") => as_json,
        Some("csv") => as_csv,
        Some("html") => as_page,
        Some(other) => {
            let message = format!("`format`: `{}` is not csv, html or json.", shown(other));
            return Err(Problem::field("format", message));
        }
    };
    let month: Month = field("month", wish.month.as_deref().ok_or_else(|| Problem::missing("month"))?)?;
    let (now, zone) = (admin.clock.now(), organization.time_zone.clone());
    let span = month.span(&zone);
    if span.start > now {
        let current = Month::around(now, &zone).map(|month| format!("; the month that runs is {month}"));
        let message = format!("`month`: {month} has not begun{}.", current.unwrap_or_default());
        return Err(Problem::field("month", message));
    }
    blocking(move || {
        let found = admin.reader.statement(organization.id, span).map_err(|error| match error {
            StatementError::Store(error) => Problem::from(error),
            error @ (StatementError::DoesNotAddUp { .. } | StatementError::Overflow(_)) => {
                tracing::error!(%error, "there is no statement");
                Problem::conflict(format!("There is no statement: {error}."))
            }
        })?;
        let statement = found.ok_or_else(|| Problem::not_found("id", organization.id))?;
        // Rendered here too: a year of a busy organization is many lines.
        Ok(render(&Sheet::new(statement, month, &zone, now)))
    })
    .await
}

fn as_json(sheet: &Sheet) -> Response {
    match serde_json::to_value(sheet) {
        Ok(value) => json(StatusCode::OK, &value),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

fn as_csv(sheet: &Sheet) -> Response {
    // Ids and months have no character that a header could not take.
    let name = format!("attachment; filename=\"statement-{}-{}.csv\"", sheet.organization, sheet.month);
    let name = HeaderValue::from_str(&name).unwrap_or_else(|_| HeaderValue::from_static("attachment"));
    file("text/csv; charset=utf-8; header=present", name, sheet.csv())
}

fn as_page(sheet: &Sheet) -> Response {
    let mut response = file("text/html; charset=utf-8", HeaderValue::from_static("inline"), sheet.html());
    // Whatever slipped into the page could do nothing.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

fn file(kind: &'static str, disposition: HeaderValue, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::OK, headers, text).into_response()
}
