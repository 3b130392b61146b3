//! Stripe's endpoints, and what the person at the page does.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::account::{Account, Intent, Session};
use crate::cards::{self, Outcome};
use crate::reply::Reply;

/// The least that can be paid, in cents.
const AMOUNT_MIN: i64 = 50;
const AMOUNT_MAX: i64 = 99_999_999;
/// Parameters that Stripe has, of those that a top-up could want; `[*]` stands for any name.
const CHECKOUT_PARAMETERS: &[&str] = &[
    "mode",
    "client_reference_id",
    "customer",
    "customer_creation",
    "customer_email",
    "success_url",
    "cancel_url",
    "expires_at",
    "adaptive_pricing[enabled]",
    "line_items[0][quantity]",
    "line_items[0][price_data][currency]",
    "line_items[0][price_data][unit_amount]",
    "line_items[0][price_data][product_data][name]",
    "metadata[*]",
    "payment_intent_data[metadata][*]",
    "payment_intent_data[setup_future_usage]",
    "payment_intent_data[description]",
];
const INTENT_PARAMETERS: &[&str] = &[
    "amount",
    "currency",
    "customer",
    "payment_method",
    "off_session",
    "confirm",
    "description",
    "automatic_payment_methods[enabled]",
    "automatic_payment_methods[allow_redirects]",
    "return_url",
    "metadata[*]",
];

type Parameters = BTreeMap<String, String>;
type Answer = Result<Reply, Reply>;

/// One request of Stripe's API: the path without `/v1`, and the form.
pub(crate) fn call(account: &mut Account, method: &str, path: &str, form: &str, base_url: &str) -> Reply {
    let form = Form(form_urlencoded::parse(form.as_bytes()).into_owned().collect());
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let answer = match (method, parts.as_slice()) {
        ("POST", ["checkout", "sessions"]) => create_session(account, &form, base_url),
        ("GET", ["checkout", "sessions", id]) => {
            session(account, id).map(|session| Reply::ok(session.to_json()))
        }
        ("POST", ["checkout", "sessions", id, "expire"]) => expire(account, id),
        ("POST", ["payment_intents"]) => create_intent(account, &form),
        ("GET", ["payment_intents"]) => list_intents(account, &form),
        ("GET", ["payment_intents", id]) => intent(account, id).map(|intent| Reply::ok(intent.to_json())),
        ("POST", ["customers"]) => {
            Ok(Reply::ok(json!({ "id": account.new_customer(), "object": "customer" })))
        }
        ("POST", ["payment_methods", id, "attach"]) => attach(account, id, &form),
        _ => Err(Reply::refused(404, "invalid_request_error", None, "Unrecognized request URL.")),
    };
    answer.unwrap_or_else(|refusal| refusal)
}

/// The parameters of a request.
struct Form(Parameters);

impl Form {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn need(&self, name: &str) -> Result<&str, Reply> {
        let missing = || {
            let message = format!("Missing required param: {name}.");
            Reply::refused(400, "invalid_request_error", Some("parameter_missing"), &message)
        };
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(missing)
    }

    /// The names below another one: `metadata` gives all `metadata[NAME]`.
    fn below(&self, holder: &str) -> Parameters {
        let inner =
            |name: &str| name.strip_prefix(holder)?.strip_prefix('[')?.strip_suffix(']').map(str::to_owned);
        self.0.iter().filter_map(|(name, value)| Some((inner(name)?, value.clone()))).collect()
    }

    fn only(&self, known: &[&str]) -> Result<(), Reply> {
        let is_known = |name: &str| {
            known.iter().any(|known| match known.strip_suffix("[*]") {
                Some(holder) => name.strip_prefix(holder).is_some_and(|rest| rest.starts_with('[')),
                None => *known == name,
            })
        };
        match self.0.keys().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => {
                let message = format!("Received unknown parameter: {name}");
                Err(Reply::refused(400, "invalid_request_error", Some("parameter_unknown"), &message))
            }
        }
    }

    fn amount(&self, name: &str) -> Result<i64, Reply> {
        let amount =
            self.need(name)?.parse().map_err(|_| Reply::invalid(&format!("Invalid integer: {name}")))?;
        let code = match amount {
            ..AMOUNT_MIN => "amount_too_small",
            AMOUNT_MIN..=AMOUNT_MAX => return Ok(amount),
            _ => "amount_too_large",
        };
        Err(Reply::refused(400, "invalid_request_error", Some(code), &format!("{name} is out of range")))
    }

    /// A currency of this account, which is one in the United States.
    fn currency(&self, name: &str) -> Result<String, Reply> {
        match self.need(name)? {
            currency @ ("usd" | "eur" | "jpy") => Ok(currency.to_owned()),
            other => Err(Reply::invalid(&format!("Invalid currency: {other}"))),
        }
    }

    fn customer(&self, account: &Account) -> Result<Option<String>, Reply> {
        let Some(customer) = self.get("customer") else { return Ok(None) };
        let is_known = account.customers.contains_key(customer);
        if is_known { Ok(Some(customer.to_owned())) } else { Err(Reply::missing("customer", customer)) }
    }
}

fn create_session(account: &mut Account, form: &Form, base_url: &str) -> Answer {
    form.only(CHECKOUT_PARAMETERS)?;
    if form.need("mode")? != "payment" {
        return Err(Reply::invalid("Only mode=payment is played here."));
    }
    let price = "line_items[0][price_data]";
    form.need(&format!("{price}[product_data][name]"))?;
    let unit = form.amount(&format!("{price}[unit_amount]"))?;
    let quantity: i64 = form.need("line_items[0][quantity]")?.parse().unwrap_or_default();
    let amount = unit.checked_mul(quantity).filter(|_| quantity > 0);
    let customer = form.customer(account)?;
    let makes_customer = form.get("customer_creation") == Some("always");
    if makes_customer && customer.is_some() {
        return Err(Reply::invalid(
            "You may only specify one of these parameters: customer, customer_creation.",
        ));
    }
    let id = account.fresh("cs_test_");
    let session = Session {
        amount: amount.ok_or_else(|| Reply::invalid("Invalid quantity"))?,
        currency: form.currency(&format!("{price}[currency]"))?,
        client_reference_id: form.get("client_reference_id").map(str::to_owned),
        customer,
        makes_customer,
        setup_future_usage: form.get("payment_intent_data[setup_future_usage]").map(str::to_owned),
        metadata: form.below("metadata"),
        intent_metadata: form.below("payment_intent_data[metadata]"),
        success_url: form.need("success_url")?.to_owned(),
        cancel_url: form.get("cancel_url").map(str::to_owned),
        status: "open",
        payment_status: "unpaid",
        payment_intent: None,
        url: format!("{base_url}/fake/page/{id}"),
        id,
    };
    let reply = Reply::ok(session.to_json());
    account.sessions.insert(session.id.clone(), session);
    Ok(reply)
}

fn create_intent(account: &mut Account, form: &Form) -> Answer {
    form.only(INTENT_PARAMETERS)?;
    let (amount, currency) = (form.amount("amount")?, form.currency("currency")?);
    let customer = form.customer(account)?;
    if form.get("confirm") != Some("true") || form.get("off_session") != Some("true") {
        return Err(Reply::invalid("Only confirm=true with off_session=true is played here."));
    }
    let redirects = form.get("automatic_payment_methods[allow_redirects]") != Some("never");
    if redirects && form.get("return_url").is_none() {
        return Err(Reply::invalid(
            "A return_url is needed, or automatic_payment_methods[allow_redirects]=never.",
        ));
    }
    let payment_method = form.need("payment_method")?;
    let outcome = cards::outcome(payment_method, true)
        .ok_or_else(|| Reply::missing("PaymentMethod", payment_method))?;
    let left = customer.as_ref().and_then(|customer| account.customers.get(customer));
    if !left.is_some_and(|left| left.contains(payment_method)) {
        return Err(Reply::invalid("The PaymentMethod does not belong to the Customer."));
    }
    let intent = Intent {
        id: account.fresh("pi_"),
        amount,
        currency,
        customer,
        payment_method: payment_method.to_owned(),
        setup_future_usage: None,
        metadata: form.below("metadata"),
        created: account.now,
        status: "requires_confirmation",
        last_error: None,
        session: None,
        refunded: 0,
    };
    let intent = account.carry_out(intent, outcome);
    Ok(match (&intent.last_error, outcome) {
        (Some(error), Outcome::Declined { .. }) => {
            let mut error = error.clone();
            if let Some(error) = error.as_object_mut() {
                error.insert("payment_intent".to_owned(), intent.to_json());
            }
            Reply::declined(error)
        }
        _ => Reply::ok(intent.to_json()),
    })
}

/// The newest first, by pages.
fn list_intents(account: &Account, query: &Form) -> Answer {
    query.only(&["customer", "created[gte]", "limit", "starting_after"])?;
    let number = |name: &str, otherwise| query.get(name).map_or(Some(otherwise), |text| text.parse().ok());
    let limit = number("limit", 10).and_then(|limit| usize::try_from(limit).ok());
    let limit =
        limit.filter(|limit| (1..=100).contains(limit)).ok_or_else(|| Reply::invalid("Invalid limit"))?;
    let from = number("created[gte]", 0).ok_or_else(|| Reply::invalid("Invalid integer: created[gte]"))?;
    let customer = query.get("customer");
    let is_asked_for = |intent: &&Intent| {
        intent.created >= from && (customer.is_none() || intent.customer.as_deref() == customer)
    };
    let mut found: Vec<&Intent> = account.intents.values().filter(is_asked_for).collect();
    found.reverse();
    if let Some(after) = query.get("starting_after") {
        let place = found.iter().position(|intent| intent.id == after);
        let place = place.ok_or_else(|| Reply::missing("payment_intent", after))?;
        found.drain(..=place);
    }
    let data: Vec<Value> = found.iter().take(limit).map(|intent| intent.to_json()).collect();
    let has_more = found.len() > limit;
    Ok(Reply::ok(
        json!({ "object": "list", "data": data, "has_more": has_more, "url": "/v1/payment_intents" }),
    ))
}

fn attach(account: &mut Account, id: &str, form: &Form) -> Answer {
    let customer = form.need("customer")?;
    let left = account.customers.get_mut(customer).ok_or_else(|| Reply::missing("customer", customer))?;
    left.insert(id.to_owned());
    Ok(Reply::ok(json!({ "id": id, "object": "payment_method", "customer": customer })))
}

fn session<'a>(account: &'a mut Account, id: &str) -> Result<&'a mut Session, Reply> {
    account.sessions.get_mut(id).ok_or_else(|| Reply::missing("checkout.session", id))
}

fn intent<'a>(account: &'a mut Account, id: &str) -> Result<&'a mut Intent, Reply> {
    account.intents.get_mut(id).ok_or_else(|| Reply::missing("payment_intent", id))
}

/// The time for a checkout is over.
fn expire(account: &mut Account, id: &str) -> Answer {
    let session = session(account, id)?;
    if session.status != "open" {
        return Err(Reply::invalid("Only open sessions expire."));
    }
    session.status = "expired";
    let session = session.clone();
    account.session_event("checkout.session.expired", &session);
    Ok(Reply::ok(session.to_json()))
}

/// The customer pays on the page.
pub(crate) fn pay(account: &mut Account, id: &str, payment_method: &str) -> Answer {
    let mut session = session(account, id)?.clone();
    if session.status != "open" {
        return Err(Reply::invalid("The page is closed."));
    }
    let outcome = cards::outcome(payment_method, false)
        .ok_or_else(|| Reply::missing("PaymentMethod", payment_method))?;
    if session.makes_customer && session.customer.is_none() {
        session.customer = Some(account.new_customer());
    }
    let intent = Intent {
        // A second card on the same page is for the same payment.
        id: session.payment_intent.clone().unwrap_or_else(|| account.fresh("pi_")),
        amount: session.amount,
        currency: session.currency.clone(),
        customer: session.customer.clone(),
        payment_method: payment_method.to_owned(),
        setup_future_usage: session.setup_future_usage.clone(),
        metadata: session.intent_metadata.clone(),
        created: account.now,
        status: "requires_confirmation",
        last_error: None,
        session: Some(id.to_owned()),
        refunded: 0,
    };
    let intent = account.carry_out(intent, outcome);
    session.payment_intent = Some(intent.id.clone());
    if !matches!(outcome, Outcome::Declined { .. }) {
        session.status = "complete";
        session.payment_status = if intent.status == "succeeded" { "paid" } else { "unpaid" };
        if let (Some(customer), true) = (&session.customer, session.setup_future_usage.is_some()) {
            account.customers.entry(customer.clone()).or_default().insert(payment_method.to_owned());
        }
        account.session_event("checkout.session.completed", &session);
    }
    account.sessions.insert(id.to_owned(), session.clone());
    Ok(Reply::ok(session.to_json()))
}

/// A payment that takes its time ends.
pub(crate) fn settle(account: &mut Account, id: &str, succeeds: bool) -> Answer {
    let mut intent = intent(account, id)?.clone();
    if intent.status != "processing" {
        return Err(Reply::invalid("The payment is not processing."));
    }
    let declined =
        Outcome::Declined { code: "payment_method_provider_decline", decline_code: "", message: "No funds." };
    intent = account.carry_out(intent, if succeeds { Outcome::Succeeds } else { declined });
    if let Some(mut session) = intent.session.as_ref().and_then(|id| account.sessions.get(id)).cloned() {
        session.payment_status = if succeeds { "paid" } else { "unpaid" };
        account.sessions.insert(session.id.clone(), session.clone());
        let kind = if succeeds { "async_payment_succeeded" } else { "async_payment_failed" };
        account.session_event(&format!("checkout.session.{kind}"), &session);
    }
    Ok(Reply::ok(intent.to_json()))
}

/// Money goes back: by the merchant's refund, or by the customer's bank.
pub(crate) fn give_back(account: &mut Account, id: &str, amount: i64, disputed: bool) -> Answer {
    let intent = intent(account, id)?;
    if intent.status != "succeeded" || !(1..=intent.amount - intent.refunded).contains(&amount) {
        return Err(Reply::invalid("There is not that much to give back."));
    }
    intent.refunded += amount;
    let intent = intent.clone();
    account.record(&intent, -amount);
    let (kind, object) = if disputed {
        let charge = intent.id.replace("pi_", "ch_");
        let dispute = json!({
            "id": account.fresh("du_"), "object": "dispute", "amount": amount, "charge": charge,
            "currency": intent.currency, "payment_intent": id, "reason": "fraudulent",
            "status": "needs_response", "metadata": {}, "livemode": false,
        });
        ("charge.dispute.created", dispute)
    } else {
        ("charge.refunded", Value::Object(intent.charge()))
    };
    account.event(kind, object);
    Ok(Reply::ok(intent.to_json()))
}
