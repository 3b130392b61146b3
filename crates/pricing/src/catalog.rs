//! The catalogue: every dated price of every model, and which one holds at a moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{TimeError, Timestamp};

use crate::prices::PriceError;
use crate::read::{Entry, read_file};
use crate::version::{ModelKind, PriceVersion, UnknownRegion};

/// The files of `prices/`, compiled in.
const EMBEDDED: [(&str, &str); 8] = [
    ("prices/anthropic.toml", include_str!("../../../prices/anthropic.toml")),
    ("prices/deepseek.toml", include_str!("../../../prices/deepseek.toml")),
    ("prices/gemini.toml", include_str!("../../../prices/gemini.toml")),
    ("prices/groq.toml", include_str!("../../../prices/groq.toml")),
    ("prices/mistral.toml", include_str!("../../../prices/mistral.toml")),
    ("prices/openai.toml", include_str!("../../../prices/openai.toml")),
    ("prices/simulated.toml", include_str!("../../../prices/simulated.toml")),
    ("prices/xai.toml", include_str!("../../../prices/xai.toml")),
];

/// Every known price, by provider and model.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    providers: BTreeMap<String, BTreeMap<String, Arc<Schedule>>>,
}

/// The prices of one model over time, so that a price announced for a day takes effect on that day in a server that
/// is already running.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Ascending by `valid_from`, each once; an undated version, valid since ever, comes first.
    pub(crate) versions: Vec<Arc<PriceVersion>>,
    /// Of images: what single looks cost, as `hd/1024-x-1792` or `2k`.
    looks: BTreeMap<String, Arc<Schedule>>,
}

/// A mistake in a price file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {}{problem}", entry.as_ref().map(|entry| format!("{entry}: ")).unwrap_or_default())]
pub struct CatalogError {
    /// The file's name.
    pub file: String,
    /// The model's id and place in the file, where the mistake is inside one entry.
    pub entry: Option<String>,
    /// What is wrong.
    pub problem: CatalogProblem,
}

/// What is wrong in a price file. Fields are named by their path inside the entry, such as `above[0].input`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogProblem {
    /// The file is no TOML.
    #[error("line {line} is not TOML: {message}")]
    Syntax {
        /// Line of the file, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A field that must be there is not.
    #[error("`{field}` is missing")]
    Missing {
        /// The field.
        field: String,
    },
    /// A field holds the wrong sort of value.
    #[error("`{field}` is not {expected}")]
    WrongType {
        /// The field.
        field: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A field nobody knows, perhaps misspelt.
    #[error("`{field}` is not a known field; remove it or correct its spelling")]
    Unknown {
        /// The field.
        field: String,
    },
    /// A date that is none.
    #[error("`{field}`: {source}")]
    Date {
        /// The field.
        field: String,
        /// What is wrong with it.
        source: TimeError,
    },
    /// A kind of model nobody knows.
    #[error(r#"`kind` is `{text}`; write "chat", "embedding", "moderation", "image", "speech" or "transcription""#)]
    Kind {
        /// The text as given.
        text: String,
    },
    /// A price that is missing or none.
    #[error(transparent)]
    Price(#[from] PriceError),
    /// An entry without a single price.
    #[error("no price is written; write those that the provider charges by, such as `input` or `per_image`")]
    NothingSold,
    /// Steps out of order.
    #[error("`{field}` is not above the step before it; list steps from short to long input, each once")]
    StepOrder {
        /// The threshold that is out of order.
        field: String,
    },
    /// Two entries of one model hold from the same moment.
    #[error("another entry of this model has the same `valid_from`, or lacks it too; give each its own date")]
    Duplicate,
    /// A dated entry from a time that the undated entry of the same model stands for.
    #[error(
        "`valid_from` is not after {retrieved}, the `retrieved` that the model's undated entry stands for; \
         leave `retrieved` as it was and date the entry later"
    )]
    Backdated {
        /// The day the undated entry's file was retrieved.
        retrieved: Timestamp,
    },
}

impl Catalog {
    /// The catalogue that is compiled in.
    ///
    /// # Errors
    /// Every mistake in it; a test keeps it free of any.
    pub fn embedded() -> Result<Self, Vec<CatalogError>> {
        Self::parse(&EMBEDDED)
    }

    /// The catalogue that is compiled in, with more files given as (name, text): models of their own, and dated entries
    /// of models that it has.
    ///
    /// # Errors
    /// Every mistake in every file, and entries of two files that hold from the same moment.
    pub fn with_files(files: &[(&str, &str)]) -> Result<Self, Vec<CatalogError>> {
        Self::parse(&EMBEDDED.iter().chain(files).copied().collect::<Vec<_>>())
    }

    /// Reads price files given as (name, text). Several may speak of the same provider.
    ///
    /// # Errors
    /// Every mistake in every file, not only the first.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, Vec<CatalogError>> {
        let mut errors = Vec::new();
        let mut models: BTreeMap<(String, String), Vec<Entry>> = BTreeMap::new();
        for (file, text) in files {
            for entry in read_file(file, text, &mut errors) {
                let key = (entry.version.provider.clone(), entry.version.model.clone());
                models.entry(key).or_default().push(entry);
            }
        }
        let mut catalog = Self::default();
        for ((provider, model), mut entries) in models {
            entries.sort_by_key(|entry| entry.version.valid_from);
            check_dates(&entries, &mut errors);
            let versions = entries.into_iter().map(|entry| Arc::new(entry.version)).collect();
            catalog
                .providers
                .entry(provider)
                .or_default()
                .insert(model, Arc::new(Schedule { versions, looks: BTreeMap::new() }));
        }
        catalog.providers.values_mut().for_each(gather_looks);
        if errors.is_empty() { Ok(catalog) } else { Err(errors) }
    }

    /// The price of a model at a moment: of its entries the one with the latest `valid_from` that is not after it.
    ///
    /// The exact model id is looked for first, then the part before a `?`, behind which a target's model carries
    /// options for the upstream (`sim-small?tps=50`). Nothing else is guessed: a dated snapshot may cost something
    /// else than the model it belongs to.
    pub fn find(&self, provider: &str, model: &str, at: Timestamp) -> Option<Arc<PriceVersion>> {
        self.schedule(provider, model)?.at(at).cloned()
    }

    /// All prices of a model over time, found as by [`Self::find`].
    pub fn schedule(&self, provider: &str, model: &str) -> Option<&Arc<Schedule>> {
        let models = self.providers.get(provider)?;
        models.get(model).or_else(|| models.get(model.split_once('?')?.0))
    }

    /// The price at a moment of every model of a provider that has one then, by model id.
    pub fn models(&self, provider: &str, at: Timestamp) -> impl Iterator<Item = &Arc<PriceVersion>> {
        let schedules = self.providers.get(provider).into_iter().flat_map(BTreeMap::values);
        schedules.filter_map(move |schedule| schedule.at(at))
    }

    /// The names of the providers that have prices, in order.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.providers.keys().map(String::as_str)
    }
}

impl Schedule {
    /// The same prices with the surcharge of a region, each version's.
    ///
    /// # Errors
    /// [`UnknownRegion`] when a version has no surcharge of it.
    pub fn in_region(&self, region: &str) -> Result<Self, UnknownRegion> {
        self.map(&|version| version.in_region(region))
    }

    /// Each version of it, also of the looks, changed by this.
    pub(crate) fn map<E>(
        &self,
        change: &impl Fn(&PriceVersion) -> Result<PriceVersion, E>,
    ) -> Result<Self, E> {
        let versions = self.versions.iter().map(|version| change(version).map(Arc::new));
        let looks = self.looks.iter().map(|(look, own)| Ok((look.clone(), Arc::new(own.map(change)?))));
        Ok(Self { versions: versions.collect::<Result<_, _>>()?, looks: looks.collect::<Result<_, _>>()? })
    }

    /// The same with these versions in place of its own.
    pub(crate) fn with_versions(&self, versions: Vec<Arc<PriceVersion>>) -> Self {
        Self { versions, looks: self.looks.clone() }
    }

    /// The price at a moment of an image of this size and quality, as the request names them. Where looks have prices of
    /// their own, one that is named and has none is not for sale; what names none costs what the model does.
    pub fn of_image(
        &self,
        at: Timestamp,
        size: Option<&str>,
        quality: Option<&str>,
    ) -> Option<&Arc<PriceVersion>> {
        let size = size.map(|size| size.replace('x', "-x-"));
        let usual = quality.is_none_or(|quality| quality == USUAL_QUALITY);
        let quality = quality.unwrap_or(USUAL_QUALITY);
        let names = match &size {
            _ if self.looks.is_empty() => return self.at(at),
            None if usual => return self.at(at),
            None => [Some(quality.to_owned()), None],
            Some(size) => [Some(format!("{quality}/{size}")), usual.then(|| size.clone())],
        };
        names.iter().flatten().find_map(|name| self.looks.get(name))?.at(at)
    }

    /// Every version, in the order in which they take effect.
    pub fn versions(&self) -> &[Arc<PriceVersion>] {
        &self.versions
    }

    /// The price at a moment; `None` before the first.
    pub fn at(&self, at: Timestamp) -> Option<&Arc<PriceVersion>> {
        self.versions.iter().rev().find(|version| version.valid_from.is_none_or(|from| from <= at))
    }
}

impl From<PriceVersion> for Schedule {
    /// The schedule of a model with this one price, such as a route's inline price.
    fn from(version: PriceVersion) -> Self {
        Self { versions: vec![Arc::new(version)], looks: BTreeMap::new() }
    }
}

/// The quality of an image whose request names none, where it has a price of its own.
const USUAL_QUALITY: &str = "standard";

/// Puts the prices of single looks of images beside their models: `hd/1024-x-1792/dall-e-3`, as LiteLLM names them.
fn gather_looks(models: &mut BTreeMap<String, Arc<Schedule>>) {
    let mut found: BTreeMap<String, BTreeMap<String, Arc<Schedule>>> = BTreeMap::new();
    for (name, schedule) in models.iter() {
        let is_image = schedule.versions.iter().any(|version| version.kind == ModelKind::Image);
        if let Some((look, model)) = name.rsplit_once('/').filter(|(look, _)| is_image && is_look(look)) {
            found.entry(model.to_owned()).or_default().insert(look.to_owned(), Arc::clone(schedule));
        }
    }
    for (model, looks) in found {
        let versions = models.get(&model).map(|own| own.versions.clone()).unwrap_or_default();
        models.insert(model, Arc::new(Schedule { versions, looks }));
    }
}

/// Whether a name is that of a look, and not of whoever made the model: `hd`, `2k`, `1024-x-1792`, `hd/1024-x-1792`.
fn is_look(name: &str) -> bool {
    const QUALITIES: [&str; 7] = ["standard", "hd", "low", "medium", "high", "xhigh", "max"];
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_size = |text: &str| match text.split_once("-x-") {
        Some((width, height)) => digits(width) && digits(height),
        None => text.strip_suffix('k').is_some_and(digits),
    };
    match name.split_once('/') {
        Some((quality, size)) => QUALITIES.contains(&quality) && is_size(size),
        None => QUALITIES.contains(&name) || is_size(name),
    }
}

/// Reports entries of one model, sorted by date, that hold from the same moment or before the day an undated one
/// stands for: either would leave open which price was meant, and could give two prices one id.
fn check_dates(entries: &[Entry], errors: &mut Vec<CatalogError>) {
    let undated = entries.first().filter(|entry| entry.version.valid_from.is_none());
    let mut before: Option<Option<Timestamp>> = None;
    for entry in entries {
        let from = entry.version.valid_from;
        if before == Some(from) {
            errors.push(entry.error(CatalogProblem::Duplicate));
        }
        before = Some(from);
        if let (Some(undated), Some(from)) = (undated, from)
            && from <= undated.retrieved
        {
            errors.push(entry.error(CatalogProblem::Backdated { retrieved: undated.retrieved }));
        }
    }
}
