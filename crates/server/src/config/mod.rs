//! The configuration: one TOML file, checked whole, every mistake reported at once.
//!
//! `config/default.toml` is compiled in: it gives the defaults and is the sample that `tollkeeper init` writes.

mod access;
mod amazon;
mod builtin;
mod caps;
mod contract;
mod environment;
mod google;
mod offers;
mod payments;
mod pools;
mod prices;
mod read;
mod resale;
mod routing;
mod tiers;
mod user_pays;

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Timestamp};
use gateway::{Account, Contract, OperatorKeys, Pools, Route, Settings, Target, Tiers};
use ipnet::IpNet;
use pricing::{Catalog, ModelKind, PriceVersion, Resale, RoutePrice, Schedule};
use providers::{KINDS, Kind, Provider, Timeouts};
use store::Durability;
use toml::{Table, Value};

pub use environment::Environment;
pub use offers::simulated_models;

use crate::clock::SystemClock;
use crate::decisions::{ExplainSettings, Recorded};
use crate::payments::PaymentSettings;
use crate::published::PublishedFile;
use crate::sweeper::SweepSettings;
use crate::user_pays::UserPaysSettings;
use crate::vault::MasterKeys;
use access::Keys;
use contract::Verification;
use read::{Mistakes, Section};

/// The commented default configuration.
pub const DEFAULT: &str = include_str!("../../../../config/default.toml");

/// The name of the simulated provider.
pub const SIMULATED: &str = "simulated";

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Threads that serve.
    pub workers: usize,
    /// The proxies whose word on a client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Limits of the pipeline.
    pub settings: Settings,
    /// Waits for providers.
    pub timeouts: Timeouts,
    /// How often servers of the operator's own are asked which models they have; `None` for never.
    pub model_lists_every: Option<Duration>,
    /// How long a shutdown waits for running calls.
    pub drain: Duration,
    /// What a booked call survives.
    pub durability: Durability,
    /// When to look for what falls due by time alone.
    pub sweep: SweepSettings,
    /// What is kept of decisions.
    pub explain: ExplainSettings,
    /// How money comes in.
    pub payments: PaymentSettings,
    /// Whether and how apps may ask users to pay for their calls.
    pub user_pays: UserPaysSettings,
    /// What is logged, and how.
    pub log: Log,
    /// Which providers are offered unasked.
    pub offers: Offers,
    /// Keys that anybody may hold, if the operator has a list of such.
    pub published: Option<PublishedFile>,
    /// The gateway's own keys at providers, by their hashes.
    pub operator_keys: OperatorKeys,
    /// What seals the provider keys that organizations bring.
    pub vault: MasterKeys,
    /// The usage tiers.
    pub tiers: Tiers,
    /// By which rules pools pay before money does.
    pub pools: Pools,
    /// The written routes, and those of the providers that the environment offers.
    pub routes: Vec<Route>,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important level that is written.
    pub level: tracing::Level,
    /// Whether lines are JSON.
    pub json: bool,
}

/// Providers that are offered without being written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offers {
    /// Those whose usual environment variable is set.
    pub environment: bool,
    /// The simulated one.
    pub simulated: bool,
}

/// A written provider.
struct KnownProvider {
    provider: Arc<Provider>,
    /// What its targets go by that have no contract of their own; `None` when there were mistakes in it.
    contract: Option<Arc<Contract>>,
    /// The hashes of its secrets, by which two of them are found to be one.
    secrets: Vec<String>,
    /// How its prices become ours, if it is a reseller with a unit or a markup of its own.
    resale: Option<Resale>,
    /// What it lets the credential have.
    caps: Option<Arc<Account>>,
}

/// Every mistake of a configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

impl Config {
    /// Reads a file, or takes the defaults when there is none.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Self, ConfigErrors> {
        let now = SystemClock::start().now();
        let Some(path) = path else { return Self::parse("", environment, now) };
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigErrors(vec![format!(
                "{}: {error}; `tollkeeper init` writes a file to start from",
                path.display()
            )])
        })?;
        Self::parse(&text, environment, now)
    }

    /// Checks a configuration given as text, today. What it leaves out has the default's value.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str, environment: &Environment, today: Timestamp) -> Result<Self, ConfigErrors> {
        let syntax = |error: toml::de::Error| ConfigErrors(vec![error.to_string().trim_end().to_owned()]);
        let written: Table = text.parse().map_err(syntax)?;
        let mut merged: Table = DEFAULT.parse().map_err(syntax)?;
        merge(&mut merged, written);
        let mut mistakes = Mistakes::default();
        let catalog = prices::read(&mut merged, &mut mistakes);
        let config = read_config(merged, environment, (&catalog, today), &mut mistakes);
        match config {
            Some(config) if mistakes.0.is_empty() => Ok(config),
            Some(_) | None => Err(ConfigErrors(mistakes.0)),
        }
    }
}

/// Lays what was written over the defaults, table by table.
fn merge(defaults: &mut Table, written: Table) {
    for (name, value) in written {
        match (defaults.get_mut(&name), value) {
            (Some(Value::Table(inner)), Value::Table(table)) => merge(inner, table),
            (_, value) => {
                defaults.insert(name, value);
            }
        }
    }
}

/// The words for what a booked call survives.
const DURABILITIES: [(&str, Durability); 2] =
    [("power", Durability::Power), ("process", Durability::Process)];

fn read_config(
    table: Table,
    environment: &Environment,
    (catalog, today): (&Catalog, Timestamp),
    mistakes: &mut Mistakes,
) -> Option<Config> {
    let mut root = Section::new(String::new(), table);
    let [mut server, mut ledger] = ["server", "ledger"].map(|name| root.section(name, mistakes));
    let waits = read_waits(root.section("timeouts", mistakes), mistakes);
    let routing = routing::read(root.section("routing", mistakes), mistakes);
    let payments = payments::read_payments(root.section("payments", mistakes), environment, mistakes);
    let user_pays = user_pays::read(root.section("user_pays", mistakes), mistakes);
    let explain = read_explain(root.section("explain", mistakes), mistakes);
    let log = read_log(root.section("log", mistakes), mistakes);
    let vault = read_vault(root.section("vault", mistakes), environment, mistakes);
    let listen = server.address("listen", mistakes);
    let workers = server.number("workers", 0..=1_024, mistakes);
    let [request_bytes_max, form_bytes_max, answer_bytes_max] = read_sizes(&mut server, mistakes);
    let trusted_proxies = read_networks(&mut server, "trusted_proxies", mistakes);
    let drain = server.number("drain_seconds", 0..=86_400, mistakes);
    let durability = ledger.word("durability", &DURABILITIES, mistakes);
    let output_slice = ledger.number("first_slice_tokens", 1..=1_000_000, mistakes);
    let sweep = read_sweep(&mut ledger, mistakes);
    [server, ledger].into_iter().for_each(|section| section.finish(mistakes));
    let verification = Verification::read(root.section("contracts", mistakes), today, mistakes);
    let published = access::read(root.section("access", mistakes), mistakes);
    let mut keys = Keys::new(environment, published.as_ref());
    let providers = read_providers(root.sections("providers", mistakes), &mut keys, verification, mistakes);
    let offers = read_offers(root.section("offers", mistakes), providers.is_empty(), mistakes);
    let pools = pools::read(&mut root, mistakes);
    let known = Known { providers: &providers, catalog, verification, pools: pools.as_ref() };
    let tiers = tiers::read(root.sections("tiers", mistakes), mistakes);
    let mut routes = read_routes(root.sections("routes", mistakes), &known, mistakes);
    access::check_owners(&providers, &routes, mistakes);
    root.finish(mistakes);
    routes.extend(offers::from_environment(offers, &mut keys, catalog, verification, mistakes));
    let ((client_idle, timeouts), (retry, breaker, model_lists_every)) = (waits?, routing?);
    Some(Config {
        listen: listen?,
        workers: usize::try_from(workers?).ok()?,
        trusted_proxies: trusted_proxies?,
        settings: Settings {
            request_bytes_max: request_bytes_max?,
            form_bytes_max: form_bytes_max?,
            answer_bytes_max: answer_bytes_max?,
            client_idle,
            output_slice: output_slice?,
            first_byte: timeouts.first_byte,
            retry,
            breaker,
        },
        timeouts,
        model_lists_every,
        drain: Duration::from_secs(drain?),
        durability: durability?,
        sweep: sweep?,
        explain: explain?,
        payments: payments?,
        user_pays: user_pays?,
        log: log?,
        offers,
        published,
        operator_keys: keys.into_operator(),
        vault,
        tiers,
        pools: pools?,
        routes,
    })
}

/// The most bytes of a request, of a form and of an answer.
fn read_sizes(server: &mut Section, mistakes: &mut Mistakes) -> [Option<u64>; 3] {
    ["request_bytes_max", "form_bytes_max", "answer_bytes_max"]
        .map(|name| server.number(name, 1_024..=1 << 32, mistakes))
}

/// A list of networks in CIDR notation; a single address is a network of its own.
fn read_networks(section: &mut Section, name: &'static str, mistakes: &mut Mistakes) -> Option<Vec<IpNet>> {
    let field = section.field(name);
    let texts = section.texts(name, mistakes)?;
    let networks = texts.iter().filter_map(|text| {
        let network = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
        network
            .map_err(|_| mistakes.add(&field, format_args!("`{text}` is no network such as 10.0.0.0/8")))
            .ok()
    });
    Some(networks.collect())
}

fn read_sweep(ledger: &mut Section, mistakes: &mut Mistakes) -> Option<SweepSettings> {
    let every = ledger.number("sweep_seconds", 1..=3_600, mistakes);
    let warn_days = ledger.number("warn_days", 0..=3_650, mistakes);
    let hold_minutes = ledger.number("hold_timeout_minutes", 1..=43_200, mistakes);
    let seconds = |count: u64, each: i64| i64::try_from(count).ok()?.checked_mul(each);
    Some(SweepSettings {
        every: Duration::from_secs(every?),
        warn_seconds: seconds(warn_days?, 24 * 60 * 60)?,
        hold_seconds: seconds(hold_minutes?, 60)?,
    })
}

fn read_explain(mut section: Section, mistakes: &mut Mistakes) -> Option<ExplainSettings> {
    let words = [("all", Recorded::All), ("refused", Recorded::Refused), ("none", Recorded::Nothing)];
    let recorded = section.word("record", &words, mistakes);
    let keep_days = section.number("keep_days", 1..=3_650, mistakes);
    section.finish(mistakes);
    Some(ExplainSettings { recorded: recorded?, keep_days: i64::try_from(keep_days?).ok()? })
}

fn read_log(mut section: Section, mistakes: &mut Mistakes) -> Option<Log> {
    use tracing::Level;
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    let level = section.word("level", &levels, mistakes);
    let json = section.word("format", &[("json", true), ("text", false)], mistakes);
    section.finish(mistakes);
    Some(Log { level: level?, json: json? })
}

/// How long clients may pause, and how long providers may take.
fn read_waits(mut section: Section, mistakes: &mut Mistakes) -> Option<(Duration, Timeouts)> {
    let names = ["client_idle_ms", "connect_ms", "first_byte_ms", "idle_ms"];
    let [client_idle, connect, first_byte, idle] = names.map(|name| section.millis(name, mistakes));
    section.finish(mistakes);
    Some((client_idle?, Timeouts { connect: connect?, first_byte: first_byte?, idle: idle? }))
}

fn read_vault(mut section: Section, environment: &Environment, mistakes: &mut Mistakes) -> MasterKeys {
    let field = section.field("master_keys");
    let keys = MasterKeys(section.texts("master_keys", mistakes).unwrap_or_default());
    section.finish(mistakes);
    if let Err(error) = keys.check(environment) {
        mistakes.add(&field, error);
    }
    keys
}

fn read_offers(mut section: Section, unasked: bool, mistakes: &mut Mistakes) -> Offers {
    let environment = section.boolean("environment", mistakes).unwrap_or(unasked);
    let simulated = section.boolean("simulated", mistakes).unwrap_or(unasked);
    section.finish(mistakes);
    Offers { environment, simulated }
}

fn read_providers(
    sections: Vec<Section>,
    keys: &mut Keys<'_>,
    verification: Verification,
    mistakes: &mut Mistakes,
) -> Vec<KnownProvider> {
    let mut providers: Vec<KnownProvider> = Vec::new();
    for mut section in sections {
        let name = section.required_text("name", mistakes);
        let kind = read_kind(&mut section, mistakes);
        let amazon = kind.and_then(|kind| amazon::read(&mut section, kind, keys, mistakes));
        let google = kind.and_then(|kind| google::read(&mut section, kind, keys, mistakes));
        let base_url = section.text("base_url", mistakes);
        let api_version = section.text("api_version", mistakes);
        let field = section.field("api_key");
        let api_key = section
            .text("api_key", mistakes)
            .and_then(|reference| keys.secret(&reference).map_err(|error| mistakes.add(&field, error)).ok());
        let http2 = section.boolean("http2", mistakes).unwrap_or(false);
        let lists_all_models = section.boolean("lists_all_models", mistakes).unwrap_or(true);
        let contract = contract::required(&mut section, verification, mistakes).map(Arc::new);
        let secrets = keys.take_hashes();
        let resale = resale::read(&mut section, contract.as_deref(), mistakes);
        let caps = caps::read(&mut section, name.as_deref(), mistakes);
        if let (Some(name), Some(kind), Some(amazon), Some(google)) = (name, kind, amazon, google) {
            if name.is_empty()
                || name.contains(|character: char| character == '/' || character.is_whitespace())
            {
                mistakes.add(&section.field("name"), format_args!("`{name}` must be a word without `/`"));
            }
            if providers.iter().any(|other| *other.provider.name == *name) {
                mistakes.add(
                    &section.field("name"),
                    format_args!("`{name}` is the name of another provider too"),
                );
            }
            let base_url = base_url.or_else(|| amazon.base_url(kind)).or_else(|| google.base_url(kind));
            let built = Provider::new(&name, kind, base_url.as_deref(), api_key.as_ref())
                .and_then(|provider| amazon.sign(provider))
                .and_then(|provider| google.complete(provider));
            let built = match api_version {
                None => built,
                Some(version) => built.and_then(|provider| provider.with_api_version(&version)),
            };
            match built {
                Ok(mut provider) => {
                    provider.http2_prior_knowledge = http2;
                    provider.lists_all_models &= lists_all_models;
                    let provider = Arc::new(provider);
                    keys.note(&provider, secrets.iter().cloned());
                    providers.push(KnownProvider { provider, contract, secrets, resale, caps });
                }
                Err(error) => mistakes.add(&section.field(error.field()), error),
            }
        }
        section.finish(mistakes);
    }
    providers
}

/// Which API a provider has.
fn read_kind(section: &mut Section, mistakes: &mut Mistakes) -> Option<&'static Kind> {
    let name = section.required_text("kind", mistakes)?;
    let kind = Kind::named(&name);
    if kind.is_none() {
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        let known = names.join(", ");
        mistakes.add(&section.field("kind"), format_args!("`{name}` is not one of {known}"));
    }
    kind
}

/// What the targets of routes refer to.
struct Known<'a> {
    providers: &'a [KnownProvider],
    catalog: &'a Catalog,
    verification: Verification,
    /// The pools, with the programmes of complimentary tokens.
    pools: Option<&'a Pools>,
}

fn read_routes(sections: Vec<Section>, known: &Known<'_>, mistakes: &mut Mistakes) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    for mut section in sections {
        let model = section.required_text("model", mistakes);
        let verified_only = section.boolean("verified_only", mistakes).unwrap_or(false);
        let strategy = routing::read_strategy(&mut section, mistakes);
        let field = section.field("targets");
        let written = section.sections("targets", mistakes);
        if written.is_empty() {
            mistakes.add(&field, "at least one target is needed: { provider = \"…\", model = \"…\" }");
        }
        let hedge_after = routing::read_hedge(&mut section, written.len(), mistakes);
        let targets: Vec<Target> =
            written.into_iter().filter_map(|target| read_target(target, known, mistakes)).collect();
        routing::check_pool(&field, &targets, mistakes);
        let substitution = routing::read_substitution(&mut section, &targets, mistakes);
        if let Some(model) = model {
            if routes.iter().any(|route| *route.model == *model) {
                mistakes.add(&section.field("model"), format_args!("`{model}` has another route already"));
            }
            let route = Route::new(&model, targets);
            let substitution = substitution.unwrap_or(route.substitution);
            pools::check_route(&section.field("model"), &route, mistakes);
            routes.push(Route { verified_only, strategy, substitution, hedge_after, ..route });
        }
        section.finish(mistakes);
    }
    routes
}

fn read_target(mut section: Section, known: &Known<'_>, mistakes: &mut Mistakes) -> Option<Target> {
    let provider = section.required_text("provider", mistakes);
    let model = section.required_text("model", mistakes);
    let price = section.value("price");
    let field = section.field("price");
    let provider_field = section.field("provider");
    let region = section.text("region", mistakes);
    let region_field = section.field("region");
    let own = contract::written(&mut section, known.verification, mistakes);
    let (list, list_field) = (section.value("list"), section.field("list"));
    let own_resale = resale::written(&mut section, mistakes);
    let resale_field = section.field("resale");
    let rules = routing::read_target(&mut section, mistakes);
    let label = provider.as_ref().zip(model.as_ref()).map(|(provider, model)| format!("{provider}/{model}"));
    let own_caps = caps::read(&mut section, label.as_deref(), mistakes);
    section.finish(mistakes);
    let (provider, model) = (provider?, model?);
    let Some(written) = known.providers.iter().find(|known| *known.provider.name == *provider) else {
        mistakes.add(&provider_field, format_args!("there is no [[providers]] named `{provider}`"));
        return None;
    };
    let states_price = price.is_some();
    let catalogued = known.catalog.schedule(&provider, &model).cloned();
    let prices = match price {
        None => catalogued.clone(),
        Some(price) => Some(read_price(&field, price, (&provider, &model), catalogued.as_deref(), mistakes)?),
    };
    let prices = match (region, prices) {
        (Some(region), Some(prices)) => {
            let surcharged = prices.in_region(&region).map_err(|error| mistakes.add(&region_field, error));
            Some(Arc::new(surcharged.ok()?))
        }
        (_, prices) => prices,
    };
    let contract = own.map_or_else(|| written.contract.clone(), |own| own.map(Arc::new))?;
    contract::check_free_tier(&field, &contract, states_price, mistakes);
    if own_resale.is_some() {
        resale::check_class(&resale_field, Some(&contract), mistakes);
    }
    let list = match list {
        Some(Value::String(name)) => Some(resale::list_named(&list_field, &name, known.catalog, mistakes)?),
        Some(price) => {
            Some(read_price(&list_field, price, (&provider, &model), catalogued.as_deref(), mistakes)?)
        }
        // A free variant is worth what the model costs that it is one of.
        None => model.strip_suffix(":free").and_then(|paid| known.catalog.schedule(&provider, paid).cloned()),
    };
    let resale = own_resale.or_else(|| written.resale.clone());
    let accounts = written.caps.iter().cloned().chain(own_caps);
    let prices = resale::priced((&provider, &model), prices, list, resale.as_ref())
        .map_err(|error| mistakes.add(&field, error))
        .ok()?;
    let target = Target::new(Arc::clone(&written.provider), &model, contract, prices).with_rules(rules);
    let target = target.with_accounts(accounts);
    let programmes = known.pools.map_or(&[][..], |pools| &pools.programmes);
    pools::check_target(&field, &target, programmes, mistakes);
    Some(target)
}

/// A price written at a target. Without an output price it is one for embeddings.
fn read_price(
    field: &str,
    written: Value,
    (provider, model): (&str, &str),
    catalogued: Option<&Schedule>,
    mistakes: &mut Mistakes,
) -> Option<Arc<Schedule>> {
    let price: RoutePrice =
        written.try_into().map_err(|error| mistakes.add(field, error.to_string().trim_end())).ok()?;
    let known =
        catalogued.and_then(|schedule| schedule.at(domain::Timestamp::MAX)).map(|version| version.kind);
    let by_time = price.per_gpu_second.is_some() && price.input.is_empty();
    let kind = price.kind.or(known).unwrap_or(if price.output.is_some() || by_time {
        ModelKind::Chat
    } else {
        ModelKind::Embedding
    });
    match PriceVersion::from_route(provider, model, &price, kind) {
        Ok(version) => Some(Arc::new(Schedule::from(version))),
        Err(errors) => {
            for error in errors {
                mistakes.add(field, error);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests;
