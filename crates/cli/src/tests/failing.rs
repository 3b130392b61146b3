//! Which exit code a failure ends with.

use http::StatusCode;

use crate::client::{ApiError, failure};
use crate::failure::Exit;

#[test]
fn exit_codes_are_the_contract() {
    let codes = [Exit::Failure, Exit::Usage, Exit::Auth, Exit::NotFound, Exit::Findings, Exit::NoCredit];
    assert_eq!(codes.map(Exit::code), [1, 2, 4, 5, 6, 7]);
}

#[test]
fn refusals_of_the_gateway_map_to_exit_codes() {
    let key_help = Some("TOLLKEEPER_OPERATOR_KEY");
    for (status, code, next_step, exit, help) in [
        (400, Some("invalid_value"), None, Exit::Usage, None),
        (422, None, None, Exit::Usage, None),
        (401, Some("invalid_api_key"), None, Exit::Auth, key_help),
        (401, Some("invalid_api_key"), Some("look there"), Exit::Auth, Some("look there")),
        (403, None, None, Exit::Auth, key_help),
        (404, Some("not_found"), Some("check the id"), Exit::NotFound, Some("check the id")),
        (402, None, None, Exit::NoCredit, None),
        (429, Some("insufficient_quota"), None, Exit::NoCredit, None),
        (429, Some("rate_limit_exceeded"), None, Exit::Failure, None),
        (409, Some("idempotency_conflict"), None, Exit::Failure, None),
        (413, None, None, Exit::Failure, None),
        (500, None, None, Exit::Failure, None),
        (503, None, None, Exit::Failure, None),
    ] {
        let error = ApiError {
            message: "the message".to_owned(),
            code: code.map(str::to_owned),
            next_step: next_step.map(str::to_owned),
        };
        let failure = failure(StatusCode::from_u16(status).unwrap(), error);
        assert_eq!((failure.exit, failure.message.as_str()), (exit, "the message"), "{status} {code:?}");
        match help {
            None => assert_eq!(failure.next_step, None, "{status} {code:?}"),
            Some(help) => assert!(failure.next_step.unwrap().contains(help), "{status} {code:?}"),
        }
    }
}
