//! One merchant's account: customers, checkouts, payments, events, and the truth about the money.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cards::Outcome;

/// Money that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// Seconds since 1970.
    pub at: i64,
    /// The payment intent.
    pub payment_intent: String,
    /// `metadata.topup` of the payment.
    pub topup: String,
    /// `metadata.organization` of the payment.
    pub organization: String,
    /// Cents; below zero for a refund or a dispute.
    pub amount: i64,
    /// The currency.
    pub currency: String,
}

/// A payment intent.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) customer: Option<String>,
    pub(crate) payment_method: String,
    pub(crate) setup_future_usage: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) created: i64,
    pub(crate) status: &'static str,
    pub(crate) last_error: Option<Value>,
    /// The checkout it was made by.
    pub(crate) session: Option<String>,
    pub(crate) refunded: i64,
}

/// A checkout session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) client_reference_id: Option<String>,
    pub(crate) customer: Option<String>,
    pub(crate) makes_customer: bool,
    pub(crate) setup_future_usage: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) intent_metadata: BTreeMap<String, String>,
    pub(crate) success_url: String,
    pub(crate) cancel_url: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) payment_status: &'static str,
    pub(crate) payment_intent: Option<String>,
    pub(crate) url: String,
}

/// Everything that is remembered.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Makes ids differ from those of another run.
    pub(crate) epoch: i64,
    pub(crate) counter: u64,
    pub(crate) now: i64,
    pub(crate) customers: BTreeMap<String, BTreeSet<String>>,
    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) intents: BTreeMap<String, Intent>,
    pub(crate) events: Vec<Value>,
    pub(crate) truth: Vec<Truth>,
    pub(crate) truth_log: Option<File>,
}

impl Account {
    pub(crate) fn fresh(&mut self, prefix: &str) -> String {
        self.counter += 1;
        format!("{prefix}{:x}{:08}", self.epoch, self.counter)
    }

    pub(crate) fn new_customer(&mut self) -> String {
        let id = self.fresh("cus_");
        self.customers.insert(id.clone(), BTreeSet::new());
        id
    }

    /// Pays an intent, tells events of it, and keeps it.
    pub(crate) fn carry_out(&mut self, mut intent: Intent, outcome: Outcome) -> Intent {
        match outcome {
            Outcome::Succeeds => self.succeed(&mut intent),
            Outcome::Processing => {
                intent.status = "processing";
                self.event("payment_intent.processing", intent.to_json());
            }
            Outcome::Declined { code, decline_code, message } => {
                intent.status = "requires_payment_method";
                intent.last_error = Some(json!({
                    "type": "card_error", "code": code, "decline_code": decline_code, "message": message,
                    "charge": self.fresh("ch_"),
                }));
                self.event("payment_intent.payment_failed", intent.to_json());
            }
        }
        self.intents.insert(intent.id.clone(), intent.clone());
        intent
    }

    pub(crate) fn succeed(&mut self, intent: &mut Intent) {
        intent.status = "succeeded";
        intent.last_error = None;
        self.record(intent, intent.amount);
        self.event("payment_intent.succeeded", intent.to_json());
    }

    /// Writes the truth log.
    pub(crate) fn record(&mut self, intent: &Intent, amount: i64) {
        let value = |name: &str| intent.metadata.get(name).cloned().unwrap_or_default();
        let truth = Truth {
            at: self.now,
            payment_intent: intent.id.clone(),
            topup: value("topup"),
            organization: value("organization"),
            amount,
            currency: intent.currency.clone(),
        };
        if let (Some(file), Ok(mut line)) = (&mut self.truth_log, serde_json::to_vec(&truth)) {
            line.push(b'\n');
            // A log that cannot be written shows by what it lacks.
            let _ = file.write_all(&line);
        }
        self.truth.push(truth);
    }

    pub(crate) fn event(&mut self, kind: &str, object: Value) {
        let event = json!({
            "id": self.fresh("evt_"), "object": "event", "api_version": "2025-09-30.clover", "created": self.now,
            "data": { "object": object }, "livemode": false, "pending_webhooks": 1,
            "request": { "id": Value::Null, "idempotency_key": Value::Null }, "type": kind,
        });
        self.events.push(event);
    }

    pub(crate) fn session_event(&mut self, kind: &str, session: &Session) {
        self.event(kind, session.to_json());
    }
}

impl Intent {
    pub(crate) fn to_json(&self) -> Value {
        let received = if self.status == "succeeded" { self.amount } else { 0 };
        json!({
            "id": self.id, "object": "payment_intent", "amount": self.amount, "amount_received": received,
            "created": self.created, "currency": self.currency, "customer": self.customer,
            "payment_method": self.payment_method, "setup_future_usage": self.setup_future_usage, "metadata": self.metadata, "status": self.status,
            "last_payment_error": self.last_error, "latest_charge": Value::Null, "livemode": false,
            "confirmation_method": "automatic", "capture_method": "automatic_async", "next_action": Value::Null,
        })
    }

    /// The charge that a refund or a dispute is about.
    pub(crate) fn charge(&self) -> Map<String, Value> {
        let charge = json!({
            "id": self.id.replace("pi_", "ch_"), "object": "charge", "amount": self.amount,
            "amount_refunded": self.refunded, "currency": self.currency, "customer": self.customer,
            "metadata": self.metadata, "payment_intent": self.id, "payment_method": self.payment_method,
            "refunded": self.refunded == self.amount, "status": "succeeded", "livemode": false,
        });
        charge.as_object().cloned().unwrap_or_default()
    }
}

impl Session {
    pub(crate) fn to_json(&self) -> Value {
        let url = (self.status == "open").then_some(&self.url);
        json!({
            "id": self.id, "object": "checkout.session", "amount_subtotal": self.amount,
            "amount_total": self.amount, "cancel_url": self.cancel_url, "success_url": self.success_url,
            "client_reference_id": self.client_reference_id, "currency": self.currency,
            "customer": self.customer, "livemode": false, "metadata": self.metadata, "mode": "payment",
            "customer_creation": if self.makes_customer { "always" } else { "if_required" },
            "payment_intent": self.payment_intent, "payment_method_types": ["card"],
            "payment_status": self.payment_status, "status": self.status, "url": url,
        })
    }
}
