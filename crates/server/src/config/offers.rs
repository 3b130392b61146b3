//! Providers that are offered without being written down: those whose usual variable is set, and the simulated one.
//! What their contracts say stands in `builtin.rs`.

use std::sync::Arc;

use domain::Timestamp;
use gateway::{Contract, Route, Target};
use pricing::{Catalog, ModelKind, PriceVersion, RoutePrice, Schedule};
use providers::{Kind, Provider};

use super::access::Keys;
use super::builtin::{self, Vendor};
use super::contract::Verification;
use super::read::Mistakes;
use super::{Offers, SIMULATED};

/// A provider that people have in their environment.
struct Usual {
    /// Its name, which is its kind's.
    name: &'static str,
    /// Where its key is.
    key: &'static str,
    /// Where another address may be, as its own SDK reads it.
    url: &'static str,
    /// What its standard terms say.
    vendor: &'static Vendor,
}

const USUAL: [Usual; 7] = [
    Usual { name: "openai", key: "OPENAI_API_KEY", url: "OPENAI_BASE_URL", vendor: &builtin::OPENAI },
    Usual { name: "anthropic", key: "ANTHROPIC_API_KEY", url: "", vendor: &builtin::ANTHROPIC },
    Usual { name: "gemini", key: "GEMINI_API_KEY", url: "", vendor: &builtin::GEMINI },
    Usual { name: "groq", key: "GROQ_API_KEY", url: "", vendor: &builtin::GROQ },
    Usual { name: "mistral", key: "MISTRAL_API_KEY", url: "", vendor: &builtin::MISTRAL },
    Usual { name: "deepseek", key: "DEEPSEEK_API_KEY", url: "", vendor: &builtin::DEEPSEEK },
    Usual { name: "xai", key: "XAI_API_KEY", url: "", vendor: &builtin::XAI },
];

/// The routes to every provider that the environment has a key for, if they are offered.
pub(super) fn from_environment(
    offers: Offers,
    keys: &mut Keys<'_>,
    catalog: &Catalog,
    verification: Verification,
    mistakes: &mut Mistakes,
) -> Vec<Route> {
    let environment = keys.environment;
    let mut routes = Vec::new();
    if !offers.environment {
        return routes;
    }
    for usual in &USUAL {
        if environment.get(usual.key).is_none() {
            continue;
        }
        let elsewhere = environment.get(usual.url);
        // Another address is another party, whose terms nobody has told.
        let own = elsewhere.is_none() || elsewhere == Kind::named(usual.name).and_then(|kind| kind.base_url);
        let vendor = if own { usual.vendor } else { &builtin::ELSEWHERE };
        if let Some(provider) = provider(keys, (usual.name, elsewhere), Some(usual.key), mistakes) {
            let contract = Arc::new(vendor.contract(usual.key, verification));
            routes.extend(catalogued(&provider, &contract, catalog));
        }
    }
    routes.extend(openrouter(keys, verification, mistakes));
    routes.extend(ollama(keys, mistakes));
    routes
}

fn openrouter(keys: &mut Keys<'_>, verification: Verification, mistakes: &mut Mistakes) -> Option<Route> {
    const KEY: &str = "OPENROUTER_API_KEY";
    keys.environment.get(KEY)?;
    let provider = provider(keys, ("openrouter", None), Some(KEY), mistakes)?;
    let contract = Arc::new(builtin::OPENROUTER.contract(KEY, verification));
    // Its prices are its own: without one written down its models are refused, and the refusal says how to price.
    Some(pattern("openrouter/*", Target::new(provider, "*", contract, None)))
}

fn ollama(keys: &mut Keys<'_>, mistakes: &mut Mistakes) -> Option<Route> {
    let base_url = ollama_url(keys.environment.get("OLLAMA_HOST")?);
    let provider = provider(keys, ("ollama", Some(&base_url)), None, mistakes)?;
    // Your own hardware: free is what it is, said explicitly.
    let price = RoutePrice { input: "0".to_owned(), output: Some("0".to_owned()), ..RoutePrice::default() };
    let free = PriceVersion::from_route("ollama", "*", &price, ModelKind::Chat).ok();
    let prices = free.map(|version| Arc::new(Schedule::from(version)));
    Some(pattern("ollama/*", Target::new(provider, "*", Arc::new(builtin::ollama()), prices)))
}

/// The routes to the simulated provider at this address.
///
/// # Errors
/// A sentence when the address is unusable.
pub fn simulated_models(base_url: &str) -> Result<Vec<Route>, String> {
    let catalog = Catalog::embedded().map_err(|errors| format!("{errors:?}"))?;
    let provider = Provider::new(SIMULATED, Kind::simulated(), Some(base_url), Some(&"simulated".into()));
    let provider = Arc::new(provider.map_err(|error| error.to_string())?);
    let contract = Arc::new(builtin::simulated());
    let mut routes = catalogued(&provider, &contract, &catalog);
    // `sim-small?fault=429` asks the simulator for a behaviour: the same price, another mood.
    let moods: Vec<Route> = routes
        .iter()
        .map(|route| {
            let targets = route.targets.iter().map(|target| {
                let (model, contract) = (format!("{}?*", target.model), Arc::clone(&contract));
                Target::new(Arc::clone(&provider), &model, contract, target.prices.clone())
            });
            Route::new(&format!("{}?*", route.model), targets.collect())
        })
        .collect();
    routes.extend(moods);
    Ok(routes)
}

/// A provider whose name is that of its kind.
fn provider(
    keys: &mut Keys<'_>,
    (name, base_url): (&str, Option<&str>),
    key: Option<&str>,
    mistakes: &mut Mistakes,
) -> Option<Arc<Provider>> {
    let place = |part| format!("environment, provider {name}, {part}");
    let secret = match key.map(|key| keys.secret(&format!("env:{key}"))).transpose() {
        Ok(secret) => secret,
        Err(error) => {
            mistakes.add(&place("api_key"), error);
            return None;
        }
    };
    let kind = Kind::named(name)?;
    let built = Provider::new(name, kind, base_url, secret.as_ref());
    let built = built.map(Arc::new).map_err(|error| mistakes.add(&place(error.field()), error)).ok()?;
    let hashes = keys.take_hashes();
    keys.note(&built, hashes);
    Some(built)
}

/// A route for every model of the catalogue's that the provider has or will have.
fn catalogued(provider: &Arc<Provider>, contract: &Arc<Contract>, catalog: &Catalog) -> Vec<Route> {
    let models = catalog.models(&provider.name, Timestamp::MAX);
    models
        .map(|version| {
            let prices = catalog.schedule(&provider.name, &version.model).cloned();
            let target = Target::new(Arc::clone(provider), &version.model, Arc::clone(contract), prices);
            Route::new(&version.model, vec![target])
        })
        .collect()
}

fn pattern(model: &str, target: Target) -> Route {
    Route::new(model, vec![target])
}

/// Ollama's variable is a host, with or without scheme and port; its OpenAI dialect lives under `/v1`.
fn ollama_url(host: &str) -> String {
    let trimmed = host.trim().trim_end_matches('/');
    let with_scheme = if trimmed.contains("://") { trimmed.to_owned() } else { format!("http://{trimmed}") };
    let has_port = with_scheme.rsplit("://").next().is_some_and(|address| address.contains(':'));
    let port = if has_port || with_scheme.starts_with("https") { "" } else { ":11434" };
    format!("{with_scheme}{port}/v1").replace("//0.0.0.0", "//127.0.0.1")
}
