//! A price as fields and texts, for showing it and for saying what changed.

use std::collections::BTreeMap;

use crate::meter::Meter;
use crate::prices::PriceSet;
use crate::version::{Ladder, PriceVersion};

/// One field that differs between two prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The field, such as `above.272000.input`.
    pub field: String,
    /// Its text before; `None` where nothing was said.
    pub old: Option<String>,
    /// Its text after.
    pub new: Option<String>,
}

impl PriceVersion {
    /// Everything that the price says: fields by name and their texts, as `prices set` takes them. A price that is only
    /// what follows from another one is left out.
    pub fn fields(&self) -> Vec<(String, String)> {
        let mut fields = vec![("kind".to_owned(), self.kind.as_str().to_owned())];
        put_ladder(&mut fields, "", &self.standard, None);
        for (tier, ladder) in &self.tiers {
            put_ladder(&mut fields, &format!("tiers.{tier}."), ladder, Some(&self.standard));
        }
        if !self.kind.requires("output") {
            follow_input(&mut fields);
        }
        fields.extend(
            self.regions.iter().map(|(region, factor)| (format!("regions.{region}"), factor.to_string())),
        );
        let counts = [("context", self.context), ("max_output", self.max_output)];
        fields.extend(
            counts.into_iter().filter_map(|(name, count)| Some((name.to_owned(), count?.to_string()))),
        );
        fields.extend(self.ends.map(|ends| ("ends".to_owned(), ends.to_string())));
        fields
    }

    /// What this price says otherwise than an older one, in the order of the fields.
    pub fn changes(&self, old: &Self) -> Vec<Change> {
        let (before, after) = (old.fields(), self.fields());
        let texts: BTreeMap<&str, &str> =
            after.iter().map(|(field, text)| (field.as_str(), text.as_str())).collect();
        let mut changes = Vec::new();
        for (field, text) in &before {
            let new = texts.get(field.as_str()).copied();
            if new != Some(text) {
                let new = new.map(str::to_owned);
                changes.push(Change { field: field.clone(), old: Some(text.clone()), new });
            }
        }
        for (field, text) in after {
            if !before.iter().any(|(known, _)| *known == field) {
                changes.push(Change { field, old: None, new: Some(text) });
            }
        }
        changes
    }
}

/// Takes output prices out that are the input's beside them: of models that have no output they say nothing.
fn follow_input(fields: &mut Vec<(String, String)>) {
    let inputs: BTreeMap<String, String> = fields.iter().cloned().collect();
    fields.retain(|(field, text)| {
        let input = field.strip_suffix("output").and_then(|prefix| inputs.get(&format!("{prefix}input")));
        (field != "output" && !field.ends_with(".output")) || input != Some(text)
    });
}

fn put_ladder(fields: &mut Vec<(String, String)>, prefix: &str, ladder: &Ladder, standard: Option<&Ladder>) {
    put_set(fields, prefix, &ladder.base, standard.map(|standard| &standard.base));
    // A tier without steps of its own takes the standard's, which stand there.
    if standard.is_some_and(|standard| standard.steps == ladder.steps) {
        return;
    }
    for step in &ladder.steps {
        let prefix = format!("{prefix}above.{}.", step.input_tokens);
        put_set(fields, &prefix, &step.prices, Some(&ladder.base));
    }
}

fn put_set(fields: &mut Vec<(String, String)>, prefix: &str, set: &PriceSet, other: Option<&PriceSet>) {
    for (meter, price) in set.iter() {
        let Some(price) = price.filter(|price| !follows(meter, set, other, *price)) else { continue };
        fields.push((format!("{prefix}{}", meter.field), meter.write(price)));
    }
}

/// Whether a price is what it is by itself: a token's fallback, or what is no token costs everywhere.
fn follows(meter: &Meter, set: &PriceSet, other: Option<&PriceSet>, price: domain::Price) -> bool {
    let by_itself = match meter.is_tokens() {
        true => meter.fallback.and_then(|name| set.get(name)),
        false => other.and_then(|other| other.get(meter.field)),
    };
    by_itself == Some(price) && meter.field != "output"
}
