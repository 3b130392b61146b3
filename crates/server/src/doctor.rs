//! The doctor: looks at an installation the way its operator would, and says what to mend. Makes no paid call unless
//! told to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use dialect::openai::{Call, Endpoint, UpstreamError};
use domain::Clock;
use gateway::{Route, Target};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use ledger::Wallet;
use providers::{Client, PartsBody, Provider};
use serde::Serialize;
use store::{Reader, StoreError};

use crate::clock::SystemClock;
use crate::config::{Config, Environment};

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
    check_balances(&options.data, &mut findings);
    if let Some(config) = config {
        check_routes(&config, &mut findings);
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

fn check_balances(data: &Path, findings: &mut Vec<Finding>) {
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
            found.extend(recharge_off(&reader, id, &name)?);
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

/// Says that nobody refills an organization's wallet (3.3). That is a choice and no fault.
fn recharge_off(
    reader: &Reader,
    id: domain::OrganizationId,
    name: &str,
) -> Result<Option<Finding>, StoreError> {
    if reader.recharge(id)?.is_some_and(|recharge| recharge.enabled) {
        return Ok(None);
    }
    let next_step = format!(
        "tollkeeper credits recharge set --org {id} switches it on, with a payment method left by a top-up"
    );
    let check = format!("auto-recharge of {name}");
    let message = "off: calls are refused when the credit is used up";
    Ok(Some(Finding { next_step: Some(next_step), ..Finding::ok(check, message) }))
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
            findings.push(reach(&client, provider).await);
        }
        if live {
            for target in seen.iter().filter_map(|provider| chat_target(config, provider)) {
                findings.push(call(&client, target).await);
            }
        }
    });
}

/// Asks for the list of models: free everywhere, and it tells whether address and credential are right.
async fn reach(client: &Client, provider: &Provider) -> Finding {
    let check = format!("provider {}", provider.name);
    let Ok(uri) = provider.uri("/models") else {
        return Finding::found(check, "its address is no URL", "mend base_url");
    };
    let mut request = Request::new(PartsBody::default());
    *request.uri_mut() = uri;
    match client.send(provider, request).await {
        Err(failure) => Finding::found(
            check,
            format!("{} at {}", failure, provider.origin()),
            "check base_url, the network, and that the provider is up",
        ),
        Ok(answer) => match answer.status().as_u16() {
            401 | 403 => Finding::found(
                check,
                format!(
                    "{} refuses the credential with status {}",
                    provider.origin(),
                    answer.status().as_u16()
                ),
                "check the key that api_key refers to; a subscription to a chat app is not API credit",
            ),
            status @ 500.. => {
                Finding::found(check, format!("{} answers {status}", provider.origin()), "try again later")
            }
            status => Finding::ok(check, format!("{} answers {status}", provider.origin())),
        },
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

/// The smallest paid call there is, with harmless text.
async fn call(client: &Client, target: &Target) -> Finding {
    let check = format!("live call to {}", target.label);
    let body =
        Bytes::from_static(br#"{"model":"-","messages":[{"role":"user","content":"ping"}],"max_tokens":16}"#);
    let answer = async {
        let call = Call::read(Endpoint::Chat, body).map_err(|_| "cannot be built".to_owned())?;
        let parts = call.upstream_body(&target.model);
        let uri = target.provider.uri(Endpoint::Chat.path()).map_err(|error| error.to_string())?;
        let length = HeaderValue::from(parts.len() as u64);
        let mut request = Request::new(PartsBody::new(parts));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(CONTENT_LENGTH, length);
        let answer = client.send(&target.provider, request).await.map_err(|failure| failure.to_string())?;
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
