//! Metrics in Prometheus' text format: base units, few labels, nothing that names a caller.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::Money;
use gateway::{Finished, Observer};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use store::WriterFigures;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: &'static str,
    outcome: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: &'static str,
    streamed: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabels {
    provider: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    provider: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    event: &'static str,
}

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    duration: Family<EndpointLabels, Histogram, fn() -> Histogram>,
    first_byte: Family<ProviderLabels, Histogram, fn() -> Histogram>,
    tokens: Family<TokenLabels, Counter>,
    cost: Family<ProviderLabels, Counter<f64, AtomicU64>>,
    estimated: Family<ProviderLabels, Counter>,
    retries: Counter,
    substitutions: Family<ProviderLabels, Counter>,
    events: Family<EventLabels, Counter>,
    in_flight: Gauge,
    ready: Gauge,
    /// The counters of each provider that a route leads to, found without touching the families' locks.
    providers: HashMap<Arc<str>, PerProvider>,
    commands: Counter,
    commits: Counter,
    failures: Counter,
    breaches: Counter,
    decisions_dropped: Counter,
}

/// One provider's counters.
struct PerProvider {
    first_byte: Histogram,
    cost: Counter<f64, AtomicU64>,
    estimated: Counter,
    input: Counter,
    cached: Counter,
    cache_write: Counter,
    output: Counter,
    audio: Counter,
    image: Counter,
}

/// Seconds from a millisecond to ten minutes.
const SECONDS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 600.0];

fn seconds_histogram() -> Histogram {
    Histogram::new(SECONDS)
}

impl Metrics {
    /// Metrics for these providers.
    pub(crate) fn new<'a>(providers: impl IntoIterator<Item = &'a Arc<str>>) -> Self {
        let mut registry = Registry::with_prefix("tollkeeper");
        let mut metrics = Self {
            providers: HashMap::new(),
            requests: Family::default(),
            duration: Family::new_with_constructor(seconds_histogram as fn() -> Histogram),
            first_byte: Family::new_with_constructor(seconds_histogram as fn() -> Histogram),
            tokens: Family::default(),
            cost: Family::default(),
            estimated: Family::default(),
            retries: Counter::default(),
            substitutions: Family::default(),
            events: Family::default(),
            in_flight: Gauge::default(),
            ready: Gauge::default(),
            commands: Counter::default(),
            commits: Counter::default(),
            failures: Counter::default(),
            breaches: Counter::default(),
            decisions_dropped: Counter::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register(
            "request_duration_seconds",
            "From head to end of the answer",
            metrics.duration.clone(),
        );
        registry.register(
            "upstream_first_byte_seconds",
            "From dispatch to first byte",
            metrics.first_byte.clone(),
        );
        registry.register("tokens", "Tokens consumed", metrics.tokens.clone());
        registry.register("cost_usd", "Charged; the books have it exactly", metrics.cost.clone());
        registry.register(
            "estimated_requests",
            "Requests whose tokens we counted",
            metrics.estimated.clone(),
        );
        registry.register("retries", "Attempts beyond the first of their request", metrics.retries.clone());
        let substitutions = metrics.substitutions.clone();
        registry.register("substitutions", "Answers of another model than the route claims", substitutions);
        registry.register("ledger_events", "What owners of books were told", metrics.events.clone());
        registry.register("in_flight_requests", "Calls and settlements under way", metrics.in_flight.clone());
        registry.register("ready", "1 while new calls are taken", metrics.ready.clone());
        registry.register("ledger_commands", "Commands answered by the writer", metrics.commands.clone());
        registry.register("ledger_commits", "Transactions committed", metrics.commits.clone());
        registry.register("ledger_failures", "Transactions that failed", metrics.failures.clone());
        registry.register("ledger_invariant_violations", "Broken promises found", metrics.breaches.clone());
        let dropped = metrics.decisions_dropped.clone();
        registry.register("decisions_dropped", "Decisions that were not recorded", dropped);
        for provider in providers {
            let handles = metrics.per_provider(provider);
            metrics.providers.insert(Arc::clone(provider), handles);
        }
        Self { registry, ..metrics }
    }

    fn per_provider(&self, provider: &str) -> PerProvider {
        let labels = ProviderLabels { provider: provider.to_owned() };
        let tokens =
            |kind| self.tokens.get_or_create_owned(&TokenLabels { provider: provider.to_owned(), kind });
        PerProvider {
            first_byte: self.first_byte.get_or_create_owned(&labels),
            cost: self.cost.get_or_create_owned(&labels),
            estimated: self.estimated.get_or_create_owned(&labels),
            input: tokens("input"),
            cached: tokens("cached"),
            cache_write: tokens("cache_write"),
            output: tokens("output"),
            audio: tokens("audio"),
            image: tokens("image"),
        }
    }

    /// Counts what the books told.
    pub(crate) fn told(&self, event: &ledger::Event) {
        let event = crate::sweeper::name_of(&event.kind);
        self.events.get_or_create(&EventLabels { event }).inc();
    }

    /// Tells how many decisions were not recorded so far.
    pub(crate) fn dropped(&self, decisions: u64) {
        self.decisions_dropped.inner().store(decisions, Ordering::Relaxed);
    }

    /// The page.
    pub(crate) fn encode(&self, in_flight: usize, ready: bool, writer: WriterFigures) -> String {
        self.in_flight.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        self.ready.set(i64::from(ready));
        self.commands.inner().store(writer.commands, Ordering::Relaxed);
        self.commits.inner().store(writer.commits, Ordering::Relaxed);
        self.failures.inner().store(writer.failures, Ordering::Relaxed);
        self.breaches.inner().store(writer.breaches, Ordering::Relaxed);
        let mut page = String::new();
        if encode(&mut page, &self.registry).is_err() {
            tracing::error!("the metrics page could not be written");
        }
        page
    }
}

impl Observer for Metrics {
    fn finished(&self, request: &Finished) {
        crate::log::call(request);
        let Finished { endpoint, outcome, status, .. } = *request;
        self.requests.get_or_create(&RequestLabels { endpoint, outcome, status }).inc();
        let streamed = if request.streamed { "true" } else { "false" };
        self.duration
            .get_or_create(&EndpointLabels { endpoint, streamed })
            .observe(seconds(request.duration_us));
        self.retries.inc_by(u64::from(request.attempts.saturating_sub(1)));
        let Some(provider) = request.provider.as_ref() else { return };
        if request.substituted {
            self.substitutions.get_or_create(&ProviderLabels { provider: provider.to_string() }).inc();
        }
        let Some(counters) = self.providers.get(provider) else { return };
        if request.first_byte_us > 0 {
            counters.first_byte.observe(seconds(request.first_byte_us));
        }
        counters.cost.inc_by(dollars(request.cost));
        counters.estimated.inc_by(u64::from(request.estimated));
        let usage = &request.usage;
        counters.input.inc_by(usage.input);
        counters.cached.inc_by(usage.cached);
        counters.cache_write.inc_by(usage.cache_write_total());
        counters.output.inc_by(usage.output);
        counters.audio.inc_by(usage.audio_input.saturating_add(usage.audio_output));
        counters.image.inc_by(usage.image_input.saturating_add(usage.image_output));
    }
}

/// For dashboards alone: the only place where money becomes a float, and nothing comes back from it.
#[expect(clippy::float_arithmetic, reason = "a figure on a dashboard; the books have it exactly")]
fn dollars(money: Money) -> f64 {
    money.nano() as f64 / 1e9
}

/// Durations are for people and dashboards: a float is precise enough for them, as it never is for money.
fn seconds(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64()
}
