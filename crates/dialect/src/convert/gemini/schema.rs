//! Gemini's own way of writing schemas, made JSON Schema: types in small letters, and null as a type of its own.

use serde_json::value::RawValue;

use crate::convert::notes::Inexpressible;
use crate::convert::value::{Path, Value};
use crate::json::Kind;

/// The nesting that a schema may have: what is nested is read once for each level.
const DEPTH_MAX: usize = 48;

/// The schema as JSON Schema.
pub(super) fn json_schema(schema: &Value<'_, '_>) -> Result<String, Inexpressible> {
    let mut out = String::with_capacity(schema.raw.get().len());
    write(schema, DEPTH_MAX, &mut out).map(|()| out)
}

fn write(value: &Value<'_, '_>, levels: usize, out: &mut String) -> Result<(), Inexpressible> {
    if levels == 0 {
        return Err(value.refuse(format_args!("a schema may be nested {DEPTH_MAX} levels deep")));
    }
    match value.kind() {
        Kind::Object => object(value, levels, out),
        Kind::Array => {
            out.push('[');
            for (at, item) in value.items()?.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write(&item, levels - 1, out)?;
            }
            out.push(']');
            Ok(())
        }
        Kind::Null | Kind::Boolean | Kind::Integer | Kind::Decimal | Kind::String => {
            out.push_str(value.raw.get());
            Ok(())
        }
    }
}

fn object(value: &Value<'_, '_>, levels: usize, out: &mut String) -> Result<(), Inexpressible> {
    let object = value.object()?;
    let nullable = object.peek("nullable").is_some_and(|raw| raw.get() == "true");
    let has_type = object.peek("type").and_then(type_word);
    out.push('{');
    let mut is_first = true;
    for (name, raw) in object.untaken() {
        // Where the type says it, the member would say it twice, and not in JSON Schema.
        if name == "nullable" && has_type.is_some() {
            continue;
        }
        out.push_str(if std::mem::take(&mut is_first) { "" } else { "," });
        out.push_str(&quoted(name));
        out.push(':');
        match has_type.filter(|_| name == "type") {
            Some(word) if nullable => out.push_str(&format!(r#"["{word}","null"]"#)),
            Some(word) => out.push_str(&format!(r#""{word}""#)),
            None => write(&Value { raw, path: Path::Member(&value.path, name) }, levels - 1, out)?,
        }
    }
    out.push('}');
    Ok(())
}

fn quoted(name: &str) -> String {
    // A string into memory: there is nothing that could fail.
    serde_json::to_string(name).unwrap_or_default()
}

/// The type in JSON Schema's word; none if it is none of Gemini's.
fn type_word(raw: &RawValue) -> Option<&'static str> {
    let word = raw.get().trim_matches('"');
    let words = ["string", "number", "integer", "boolean", "array", "object", "null"];
    words.into_iter().find(|own| own.eq_ignore_ascii_case(word))
}
