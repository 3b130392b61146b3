//! A stand-in for Stripe, for tests and the demo: it speaks the part of Stripe's HTTP API that top-ups need, on the
//! loopback, keeps a truth log of the money that moved, and sends webhooks well and badly signed.
//!
//! It stands where Stripe stands, so it shares nothing with the crate that calls it: it reads forms, decides about
//! cards, remembers idempotency keys and signs events by itself. Tests in Rust hold a [`FakeStripe`]; others start the
//! binary, whose first line on standard output is `{"url": "http://127.0.0.1:PORT"}`, and steer it over HTTP.
//!
//! # Stripe's part
//! `POST /v1/checkout/sessions`, `GET /v1/checkout/sessions/ID`, `POST /v1/checkout/sessions/ID/expire`,
//! `POST /v1/payment_intents`, `GET /v1/payment_intents`, `GET /v1/payment_intents/ID`, `POST /v1/customers`, `POST /v1/payment_methods/ID/attach`.
//! Unknown parameters are refused, as Stripe does. A repeated `Idempotency-Key` brings the first answer again (also a
//! 402 or 500) with `Idempotent-Replayed: true`; with another body or path it is 400 `idempotency_error`; what is
//! refused before it is carried out (400, 401, 409, 429) is not remembered.
//!
//! # Cards
//! | payment method | on the page | off session |
//! |---|---|---|
//! | `pm_card_visa` | pays | pays |
//! | `pm_card_chargeDeclined` | declined | `card_declined`, `generic_decline` |
//! | `pm_card_chargeDeclinedInsufficientFunds` | declined | `card_declined`, `insufficient_funds` |
//! | `pm_card_chargeCustomerFail` | pays | `card_declined`, `generic_decline` |
//! | `pm_card_authenticationRequired` | pays | `authentication_required` |
//! | `pm_usBankAccount_processing` | takes its time | takes its time; see `settle` |
//!
//! # Steering: JSON bodies, no authorization
//! | request | meaning |
//! |---|---|
//! | `POST /fake/faults {"fault": "lost", "times": 1}` | the next calls of `/v1` fail: see [`Fault`] |
//! | `POST /fake/checkout/ID/pay {"payment_method": "pm_card_visa"}` | the customer pays on the page |
//! | `POST /fake/payments/ID/settle {"succeeds": true}` | a payment that takes its time ends |
//! | `POST /fake/payments/ID/refund {"amount": 500}`, `…/dispute {}` | money goes back |
//! | `GET /fake/events`, `GET /fake/truth` | all events, oldest first; the truth log |
//! | `POST /fake/deliver {"url": …, "events": […], "times": 1, "signing": "good", "age_seconds": 0}` | sends webhooks in the order given (all, if none are), each so many times, and answers with their statuses; see [`Signing`] |

mod account;
mod api;
mod cards;
mod deliver;
mod idempotency;
mod reply;
mod server;

pub use account::Truth;
pub use deliver::Signing;
pub use server::{FakeStripe, Fault, Options};
