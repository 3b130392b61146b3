//! How prices look: on one line each, or field by field.

use domain::{ServiceTier, Timestamp};
use pricing::{Change, METERS, PriceVersion};
use serde::Serialize;

use crate::output::View;
use crate::table::{Column, fields, rows};

/// The prices of many models.
#[derive(Debug, Serialize)]
pub(super) struct Prices {
    pub(super) object: &'static str,
    pub(super) data: Vec<Listed>,
}

/// The price of one model, in short.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    provider: String,
    model: String,
    price_version: String,
    valid_from: Option<Timestamp>,
    kind: &'static str,
    input: Option<String>,
    cached_input: Option<String>,
    output: Option<String>,
    tiers: Vec<&'static str>,
    regions: Vec<String>,
    /// The lengths of inputs beyond which it costs more.
    above: Vec<u64>,
}

impl Listed {
    pub(super) fn of(version: &PriceVersion) -> Self {
        let price = |field: &str| {
            let meter = METERS.iter().find(|meter| meter.field == field)?;
            version.prices(0).get(field).map(|price| meter.write(price))
        };
        let tiers = version.tiers().filter(|tier| *tier != ServiceTier::Standard);
        Self {
            provider: version.provider.clone(),
            model: version.model.clone(),
            price_version: version.id.to_string(),
            valid_from: version.valid_from,
            kind: version.kind.as_str(),
            input: price("input"),
            cached_input: price("cached_input"),
            output: price("output"),
            tiers: tiers.map(ServiceTier::as_str).collect(),
            regions: version.regions().map(str::to_owned).collect(),
            above: version.steps().collect(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let text = |price: &Option<String>| price.clone().unwrap_or_default();
        let above: Vec<String> = self.above.iter().map(u64::to_string).collect();
        vec![
            self.provider.clone(),
            self.model.clone(),
            text(&self.input),
            text(&self.cached_input),
            text(&self.output),
            self.tiers.join(" "),
            self.regions.join(" "),
            above.join(" "),
        ]
    }
}

impl View for Prices {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("PROVIDER"),
            Column::Text("MODEL"),
            Column::Number("INPUT"),
            Column::Number("CACHED"),
            Column::Number("OUTPUT"),
            Column::Text("TIERS"),
            Column::Text("REGIONS"),
            Column::Text("DEARER ABOVE"),
        ];
        rows(COLUMNS, self.data.iter().map(Listed::cells))
    }

    fn note(&self) -> Option<String> {
        Some(
            "US dollars per million tokens; tollkeeper prices show PROVIDER/MODEL tells all of one"
                .to_owned(),
        )
    }
}

/// A price, field by field.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    object: &'static str,
    provider: String,
    model: String,
    price_version: String,
    valid_from: Option<Timestamp>,
    fields: Vec<Field>,
}

#[derive(Debug, Serialize)]
struct Field {
    field: String,
    value: String,
}

impl Shown {
    pub(super) fn of(version: &PriceVersion) -> Self {
        let fields = version.fields().into_iter().map(|(field, value)| Field { field, value });
        Self {
            object: "price",
            provider: version.provider.clone(),
            model: version.model.clone(),
            price_version: version.id.to_string(),
            valid_from: version.valid_from,
            fields: fields.collect(),
        }
    }
}

impl View for Shown {
    fn human(&self) -> String {
        let mut lines = vec![("price", self.price_version.clone()), ("valid from", since(self.valid_from))];
        lines.extend(self.fields.iter().map(|Field { field, value }| (field.as_str(), value.clone())));
        fields(&lines)
    }

    fn note(&self) -> Option<String> {
        Some("US dollars per million tokens, under per_... of one; tiers and regions of what is not listed cost the same".to_owned())
    }
}

/// From when a price holds, for eyes.
fn since(from: Option<Timestamp>) -> String {
    from.map_or_else(|| "ever".to_owned(), crate::views::second)
}

/// The versions of a price.
#[derive(Debug, Serialize)]
pub(super) struct History {
    pub(super) object: &'static str,
    pub(super) model: String,
    pub(super) data: Vec<Version>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub(super) struct Version {
    price_version: String,
    valid_from: Option<Timestamp>,
    changes: Vec<Changed>,
}

/// A field that changed.
#[derive(Debug, Serialize)]
pub(super) struct Changed {
    field: String,
    old: Option<String>,
    new: Option<String>,
}

impl Changed {
    fn of(Change { field, old, new }: Change) -> Self {
        Self { field, old, new }
    }

    fn words(&self) -> String {
        let side = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        format!("{} > {}", side(&self.old), side(&self.new))
    }
}

impl Version {
    pub(super) fn of(version: &PriceVersion, changes: Vec<Change>) -> Self {
        Self {
            price_version: version.id.to_string(),
            valid_from: version.valid_from,
            changes: changes.into_iter().map(Changed::of).collect(),
        }
    }
}

impl View for History {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("VALID FROM"),
            Column::Text("PRICE"),
            Column::Text("FIELD"),
            Column::Text("OLD > NEW"),
        ];
        let lines = self.data.iter().flat_map(|version| {
            let head = vec![since(version.valid_from), version.price_version.clone()];
            let first = head.into_iter().chain([String::new(), String::new()]).collect();
            let changes = version
                .changes
                .iter()
                .map(|change| vec![String::new(), String::new(), change.field.clone(), change.words()]);
            std::iter::once(first).chain(changes).collect::<Vec<_>>()
        });
        rows(COLUMNS, lines)
    }
}

/// What differs between two sets of prices.
#[derive(Debug, Serialize)]
pub(super) struct Differences {
    pub(super) object: &'static str,
    pub(super) data: Vec<Difference>,
}

/// One field of one model.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    model: String,
    #[serde(flatten)]
    change: Changed,
}

impl Difference {
    pub(super) fn of(version: &PriceVersion, change: Change) -> Self {
        Self { model: format!("{}/{}", version.provider, version.model), change: Changed::of(change) }
    }
}

impl View for Differences {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[Column::Text("MODEL"), Column::Text("FIELD"), Column::Text("OLD > NEW")];
        rows(
            COLUMNS,
            self.data.iter().map(|Difference { model, change }| {
                vec![model.clone(), change.field.clone(), change.words()]
            }),
        )
    }

    fn note(&self) -> Option<String> {
        self.data.is_empty().then(|| "nothing differs".to_owned())
    }
}
