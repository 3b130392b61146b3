//! The doctor: looks at an installation the way its operator would, and says what to mend. Makes no paid call unless
//! told to.

mod key_text;
mod models;
mod whose_keys;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use dialect::{Call, Conversion, Endpoint, Upstream, UpstreamError};
use domain::{Clock, OrganizationId};
use gateway::{Route, Target};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use ledger::Wallet;
use payments::recharge::{Bounds, DECLINES_MAX, Settings};
use payments::{Limits, Recharge};
use providers::{Client, PartsBody, Provider, TokenSource};
use serde::Serialize;
use store::{Reader, StoreError};

use crate::clock::SystemClock;
use crate::config::{Config, Environment};
use crate::contracts;
use crate::payments::PaymentSettings;

pub use key_text::key_text;

/// What to look at.
#[derive(Debug)]
pub struct DoctorOptions {
    /// The data folder.
    pub data: PathBuf,
    /// The configuration file, as given to `serve`.
    pub config: Option<PathBuf>,
    /// Whether one minimal paid call may be made to each provider.
    pub live: bool,
    /// The environment.
    pub environment: Environment,
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `configuration`, `store`, `balance`, `provider openai`, …
    pub check: String,
    /// Whether all is well.
    pub ok: bool,
    /// What was seen.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

impl Finding {
    fn ok(check: impl Into<String>, message: impl Into<String>) -> Self {
        Self { check: check.into(), ok: true, message: message.into(), next_step: None }
    }

    fn found(check: impl Into<String>, message: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { check: check.into(), ok: false, message: message.into(), next_step: Some(next_step.into()) }
    }
}

/// Makes every check, in the order in which a call meets them.
pub fn doctor(options: &DoctorOptions) -> Vec<Finding> {
    let mut findings = Vec::new();
    let config = match Config::load(options.config.as_deref(), &options.environment) {
        Ok(config) => {
            let name =
                options.config.as_ref().map_or("the defaults".to_owned(), |path| path.display().to_string());
            findings.push(Finding::ok("configuration", format!("{name}: no mistakes")));
            Some(config)
        }
        Err(errors) => {
            let check = || "configuration".to_owned();
            findings.extend(
                errors.0.into_iter().map(|mistake| Finding::found(check(), mistake, "mend the file")),
            );
            None
        }
    };
    check_store(&options.data, &mut findings);
    let payments = config.as_ref().map(|config| &config.payments);
    check_balances(&options.data, payments, &mut findings);
    if let Some(config) = config {
        check_routes(&config, &mut findings);
        check_contracts(&config, &mut findings);
        whose_keys::check(&options.data, &config, &options.environment, &mut findings);
        check_providers(&config, options.live, &mut findings);
    }
    findings
}

fn check_store(data: &Path, findings: &mut Vec<Finding>) {
    match store::verify(data) {
        Ok(report) if report.breaches.is_empty() => findings.push(Finding::ok(
            "store",
            format!(
                "{} wallets, {} journal entries, {} cost rows: every promise holds",
                report.wallets, report.entries, report.rows
            ),
        )),
        Ok(report) => findings.extend(report.breaches.into_iter().map(|breach| {
            Finding::found("store", breach, "keep a copy of the folder and restore a backup that verifies")
        })),
        Err(error) => findings.push(Finding::found(
            "store",
            error.to_string(),
            "start the gateway once with `tollkeeper serve --data DIR`, or name its folder",
        )),
    }
}

fn check_balances(data: &Path, payments: Option<&PaymentSettings>, findings: &mut Vec<Finding>) {
    let balances = || -> Result<Vec<Finding>, StoreError> {
        let reader = Reader::of_folder(data)?;
        let mut found = Vec::new();
        for (id, name) in reader.organizations()? {
            let Some(balance) = reader.balance(id, SystemClock::start().now())? else { continue };
            let check = format!("balance of {name}");
            let top_up = format!("tollkeeper credits grant --org {id} --amount 10.00 --kind prepaid");
            let debt = balance.total(|wallet| wallet.debt);
            let (available, held) = (balance.total(Wallet::available), balance.total(|wallet| wallet.held));
            found.push(if !debt.is_zero() {
                Finding::found(
                    check,
                    format!("owes {debt}; calls that the debt is in the way of are refused"),
                    top_up,
                )
            } else if available.is_zero() {
                Finding::found(check, format!("nothing available ({held} held); no new calls"), top_up)
            } else {
                Finding::ok(check, format!("{available} available, {held} held"))
            });
            found.extend(recharge_off(id, &name, reader.recharge(id)?.as_ref(), payments));
        }
        if found.is_empty() {
            found.push(Finding::found(
                "balance",
                "there is no organization yet, so nobody can call",
                "tollkeeper org create NAME, then project create, keys create and credits grant",
            ));
        }
        Ok(found)
    };
    // An unreadable store has been reported already.
    findings.extend(balances().unwrap_or_default());
}

/// Says that nobody refills an organization's wallet (3.3): it was never switched on, which is a choice and no fault, or
/// it was and does not work. `payments` are as configured, if the configuration can be read.
fn recharge_off(
    id: OrganizationId,
    name: &str,
    recharge: Option<&Recharge>,
    payments: Option<&PaymentSettings>,
) -> Option<Finding> {
    let check = format!("auto-recharge of {name}");
    let Some((recharge, limits)) =
        recharge.filter(|set| set.enabled).and_then(|set| Some((set, set.limits?)))
    else {
        let next_step = format!(
            "tollkeeper credits recharge set --org {id} switches it on, with a payment method left by a top-up"
        );
        let message = "off: calls are refused when the credit is used up";
        return Some(Finding { next_step: Some(next_step), ..Finding::ok(check, message) });
    };
    let off = format!("tollkeeper credits recharge off --org {id}");
    let (why, next_step) = if let Some(provider) = unable(payments) {
        let next = format!("set payments.provider = \"stripe\" in the configuration, or run `{off}`");
        (format!("the payment provider `{provider}` cannot charge by itself"), next)
    } else if recharge.payment_method.is_none() {
        let next = format!("let the customer pay one: tollkeeper credits topup --org {id} --amount AMOUNT");
        ("there is no payment method to charge; a top-up leaves one".to_owned(), next)
    } else if let Some(mistakes) = payments.and_then(|payments| out_of_bounds(&limits, &payments.bounds)) {
        let set = format!("tollkeeper credits recharge set --org {id}");
        (
            mistakes,
            format!("{set} with what is allowed, or change payments.amount_min and payments.amount_max"),
        )
    } else if recharge.declines >= DECLINES_MAX {
        let why =
            format!("the payment method was declined {} times in a row, so it gave up", recharge.declines);
        (
            why,
            format!(
                "let the customer leave another one with a top-up; or run `{off}`, then switch it on again"
            ),
        )
    } else {
        return None;
    };
    Some(Finding::found(check, format!("switched on, but it charges nothing: {why}"), next_step))
}

/// The payment provider's name, if it cannot charge by itself.
fn unable(payments: Option<&PaymentSettings>) -> Option<&'static str> {
    payments
        .map(|payments| &payments.provider)
        .filter(|provider| !provider.can_recharge())
        .map(|it| it.name())
}

/// What the configuration no longer allows of the limits, as one text.
fn out_of_bounds(limits: &Limits, bounds: &Bounds) -> Option<String> {
    let Limits { threshold, amount, monthly_max } = *limits;
    let mistakes = Settings::new(threshold, amount, monthly_max, bounds).err()?;
    let texts: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    Some(texts.join("; "))
}

fn check_routes(config: &Config, findings: &mut Vec<Finding>) {
    let unpriced: Vec<String> = config
        .routes
        .iter()
        .flat_map(|route| route.targets.iter().map(move |target| (route, target)))
        .filter(|(_, target)| target.prices.is_none())
        .map(|(route, target)| format!("{} at {}", route.model, target.label))
        .collect();
    if config.routes.is_empty() && !config.offers.simulated {
        let next = "write a [[routes]] table, or set a provider's variable such as OPENAI_API_KEY";
        findings.push(Finding::found("routes", "there is none, so no model can be called", next));
    } else if unpriced.is_empty() {
        let simulated = if config.offers.simulated { ", and those of the simulated provider" } else { "" };
        findings
            .push(Finding::ok("routes", format!("{} routes, all priced{simulated}", config.routes.len())));
    }
    findings.extend(unpriced.into_iter().map(|route| {
        Finding::found(
            "routes",
            format!("{route} has no price; calls are refused"),
            "state price = { … } at its target",
        )
    }));
}

/// A stale contract is no mistake of the file, but its routes refuse most calls.
fn check_contracts(config: &Config, findings: &mut Vec<Finding>) {
    let stale = contracts::stale(config.routes.iter(), SystemClock::start().now());
    if stale.is_empty() {
        findings.push(Finding::ok("contracts", "every route's contract is verified"));
    }
    findings.extend(
        stale.into_iter().map(|stale| Finding::found("contracts", stale.message(), stale.next_step())),
    );
}

fn check_providers(config: &Config, live: bool, findings: &mut Vec<Finding>) {
    let mut seen: Vec<Arc<Provider>> = Vec::new();
    for target in config.routes.iter().flat_map(|route: &Route| &route.targets) {
        if !seen.iter().any(|provider| provider.name == target.provider.name) {
            seen.push(Arc::clone(&target.provider));
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (Ok(runtime), Ok(tls)) = (runtime, Client::tls()) else {
        findings.push(Finding::found(
            "providers",
            "no connection can be made on this machine",
            "see the system's log",
        ));
        return;
    };
    runtime.block_on(async {
        let client = Client::new(config.timeouts, &tls);
        for provider in &seen {
            findings.push(reach(&client, provider, chat_target(config, provider)).await);
            findings.extend(models::check(&client, provider, config).await);
        }
        if live {
            for target in seen.iter().filter_map(|provider| chat_target(config, provider)) {
                findings.push(call(&client, target).await);
            }
        }
    });
}

/// Asks for what is free, and tells whether address and credential are right: the list of models. Where there is none, a
/// question without a message, or for the length of none, which is refused, but only by who takes the credential.
pub(crate) fn probe(provider: &Provider, target: Option<&Target>) -> Result<Request<PartsBody>, http::Error> {
    let counts = || provider.kind.endpoints.iter().copied().find(|endpoint| endpoint.counts());
    let converse = || provider.outbound(Endpoint::Chat).filter(|endpoint| *endpoint == Endpoint::Converse);
    let question = if provider.kind.publisher.is_some() { counts() } else { converse() };
    let Some(endpoint) = question else {
        // OpenRouter tells its models to everybody.
        let path = if provider.kind.name == "openrouter" { "/key" } else { "/models" };
        let mut request = Request::new(PartsBody::default());
        *request.uri_mut() = provider.uri(path)?;
        return Ok(request);
    };
    let model = target.map_or("-", |target| &target.model);
    let mut request = Request::new(PartsBody::new([Bytes::from_static(b"{}")]));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = provider.address(endpoint, model, false)?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("2"));
    Ok(request)
}

async fn reach(client: &Client, provider: &Provider, target: Option<&Target>) -> Finding {
    let check = format!("provider {}", provider.name);
    let Ok(request) = probe(provider, target) else {
        return Finding::found(check, "its address is no URL", "mend base_url");
    };
    match client.send(provider, provider.kind.dialect(), request, SystemClock::start().now(), None).await {
        Err(failure) => match provider.token_failure() {
            Some(why) => Finding::found(check, why.to_string(), mend_tokens(provider)),
            None => Finding::found(
                check,
                format!("{} at {}", failure, provider.origin()),
                "check base_url, the network, and that the provider is up",
            ),
        },
        Ok(answer) => match answer.status().as_u16() {
            status @ (401 | 403) => Finding::found(
                check,
                format!("{} refuses the credential with status {status}", provider.origin()),
                mend_credential(provider),
            ),
            status @ 500.. => {
                Finding::found(check, format!("{} answers {status}", provider.origin()), "try again later")
            }
            status => Finding::ok(check, format!("{} answers {status}", provider.origin())),
        },
    }
}

/// What to do when a provider refuses our credential.
fn mend_credential(provider: &Provider) -> &'static str {
    if provider.kind.signs() {
        "check the key, that it may call bedrock:InvokeModel on the model, that the account has the model, and this \
         machine's clock"
    } else if provider.kind.publisher.is_some() {
        "check the project, that the account has the role Vertex AI User (roles/aiplatform.user) in it, that its API \
         aiplatform.googleapis.com is enabled, and that the model is enabled in Model Garden where it must be"
    } else {
        "check the key that api_key refers to; a subscription to a chat app is not API credit"
    }
}

/// What to do when there is no access token to call a provider with.
fn mend_tokens(provider: &Provider) -> &'static str {
    match provider.token_source() {
        Some(TokenSource::Metadata(_)) => {
            "run on a machine of Google's that has a service account, or give a service_account in place of credential"
        }
        Some(TokenSource::ServiceAccount(_)) | None => {
            "check that the key that service_account refers to is neither deleted nor disabled, this machine's clock, and \
             the way to the token endpoint"
        }
    }
}

/// The provider's first target that can chat at a known price.
fn chat_target<'a>(config: &'a Config, provider: &Provider) -> Option<&'a Target> {
    let targets = config.routes.iter().flat_map(|route| &route.targets);
    let mut own =
        targets.filter(|target| target.provider.name == provider.name && !target.model.contains('*'));
    own.find(|target| {
        let price = target.prices.as_ref().and_then(|prices| prices.at(domain::Timestamp::MAX));
        price.is_some_and(|price| price.kind == pricing::ModelKind::Chat)
    })
}

/// The tokens that a live call may bring.
const LIVE_TOKENS: NonZeroU64 = NonZeroU64::new(16).unwrap();

/// The smallest paid call there is, with harmless text.
async fn call(client: &Client, target: &Target) -> Finding {
    let check = format!("live call to {}", target.label);
    let body =
        Bytes::from_static(br#"{"model":"-","messages":[{"role":"user","content":"ping"}],"max_tokens":16}"#);
    let answer = async {
        let call = Call::read(Endpoint::Chat, body).map_err(|_| "cannot be built".to_owned())?;
        let Target { provider, model, .. } = target;
        let upstream = Upstream { model, manners: provider.kind.manners, output_cap: None };
        let endpoint = provider.outbound(Endpoint::Chat).unwrap_or(Endpoint::Chat);
        let call = if endpoint == Endpoint::Chat {
            call
        } else {
            let converted = Conversion::of(&call, endpoint, upstream, LIVE_TOKENS);
            converted.map_err(|error| error.message)?.call().clone()
        };
        let parts = call.upstream_body(&upstream);
        let uri = provider.address(endpoint, model, false).map_err(|error| error.to_string())?;
        let length = HeaderValue::from(parts.len() as u64);
        let mut request = Request::new(PartsBody::new(parts));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(CONTENT_LENGTH, length);
        for (name, text) in call.upstream_head(upstream.manners) {
            let value = HeaderValue::try_from(text).map_err(|error| error.to_string())?;
            request.headers_mut().insert(name, value);
        }
        let answer = client
            .send(&target.provider, endpoint.dialect(), request, SystemClock::start().now(), None)
            .await
            .map_err(|failure| failure.to_string())?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        if status.is_success() {
            return Ok(status.as_u16());
        }
        Err(format!("{}: {}", status.as_u16(), UpstreamError::read(status.as_u16(), &bytes).message))
    };
    match answer.await {
        Ok(status) => Finding::ok(check, format!("answered with status {status}")),
        Err(message) => {
            Finding::found(check, message, "check the model's name and the account at the provider")
        }
    }
}

#[cfg(test)]
mod tests {
    use payments::stripe::{SecretKey, Stripe, StripeOptions};
    use payments::{Manual, PaymentProvider};
    use secrecy::SecretString;

    use super::*;

    fn settings(provider: Arc<dyn PaymentProvider>) -> PaymentSettings {
        let (bounds, look_every) = (Bounds::default(), std::time::Duration::from_secs(1));
        PaymentSettings { provider, webhook: None, bounds, look_every }
    }

    #[test]
    fn auto_recharge_that_charges_nothing_is_said_to() {
        let money = |text: &str| text.parse().unwrap();
        let limits =
            |amount| Limits { threshold: money("5"), amount: money(amount), monthly_max: money("5000") };
        let id = OrganizationId::from_bytes([1; 16]);
        let works = Recharge {
            organization: id,
            enabled: true,
            limits: Some(limits("25")),
            customer: Some("cus_1".to_owned()),
            payment_method: Some("pm_1".to_owned()),
            declines: DECLINES_MAX - 1,
            last_decline_at: domain::Timestamp::from_micros(0),
        };
        let key = SecretKey::new(SecretString::from("sk_test_abcdefgh12345678")).unwrap();
        let page = || "https://console.example/".to_owned();
        let stripe = settings(Arc::new(Stripe::new(StripeOptions::new(key, page(), page())).unwrap()));
        let manual = settings(Arc::new(Manual::default()));
        let off = Recharge { enabled: false, ..works.clone() };
        let bare = Recharge { payment_method: None, ..works.clone() };
        let large = Recharge { limits: Some(limits("1000.01")), ..works.clone() };
        let given_up = Recharge { declines: DECLINES_MAX, ..works.clone() };
        // What is kept, what is configured, whether that is well, the words of the message, and of the next step.
        for (recharge, payments, ok, message, next) in [
            (None, Some(&stripe), true, "off: calls are refused", "credits recharge set --org org_"),
            (Some(&off), Some(&stripe), true, "off: calls are refused", "credits recharge set --org org_"),
            (Some(&works), Some(&manual), false, "`manual` cannot charge", "payments.provider = \"stripe\""),
            (Some(&bare), Some(&stripe), false, "no payment method", "credits topup --org org_"),
            (Some(&large), Some(&stripe), false, "from 5.00 to 1000.00", "payments.amount_max"),
            (Some(&given_up), Some(&stripe), false, "declined 4 times in a row", "leave another one"),
            // What does not depend on the configuration is said without it, too.
            (Some(&given_up), None, false, "declined 4 times in a row", "recharge off --org org_"),
        ] {
            let finding = recharge_off(id, "Tests", recharge, payments).unwrap();
            assert_eq!((finding.check.as_str(), finding.ok), ("auto-recharge of Tests", ok), "{finding:?}");
            assert!(finding.message.contains(message), "{finding:?}");
            assert!(finding.next_step.as_ref().unwrap().contains(next), "{finding:?}");
        }
        for (recharge, payments) in [(&works, Some(&stripe)), (&works, None), (&large, None)] {
            assert_eq!(recharge_off(id, "Tests", Some(recharge), payments), None, "{recharge:?}");
        }
    }
}
