//! The description of every route in OpenAPI 3.1, made from the tables of routes. `GET /openapi.json` serves it, and
//! `openapi/administration.json` is its copy for whoever reads the repository.
//!
//! Members of bodies are written `name: type`, or `name!: type` when they must be there. A type is `string`,
//! `integer`, `boolean`, `object`, a choice of words such as `dev|prod`, or one of these between brackets for a list.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::route::{Access, Route};

/// The description as it is served, made when somebody first asks for it.
pub(crate) static DESCRIPTION: LazyLock<Bytes> = LazyLock::new(|| text().into());

fn text() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}

fn document() -> Value {
    let mut paths = Map::new();
    for route in super::routes() {
        let path = paths.entry(route.path).or_insert_with(|| Value::Object(Map::new()));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.verb.method().as_str().to_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollkeeper: administration",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "`/v1/organization` is OpenAI's administration API: its shapes, pages and errors. \
                            `/admin/v1` is what has no standard shape. The path of a call is taken as it is written: \
                            nothing in it is resolved.",
        },
        "security": [{ "administrator": [] }],
        "components": {
            "securitySchemes": { "administrator": {
                "type": "http",
                "scheme": "bearer",
                "description": "An administrator's key (`tk-admin-…`), which may what its member's roles allow, or the \
                                operator's key; with the latter, `/v1/organization` needs the header \
                                `OpenAI-Organization`.",
            } },
            "schemas": { "Error": error_schema() },
        },
        "paths": paths,
    })
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": { "type": "string" },
                "type": { "type": "string" },
                "param": { "type": ["string", "null"] },
                "code": { "type": ["string", "null"] },
                "owner": { "type": "string" },
                "next_step": { "type": "string" },
            },
        } },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": {
            "2XX": { "description": "Done.", "content": { "application/json": { "schema": { "type": "object" } } } },
            "default": { "description": "Not done, and why.", "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/Error" },
            } } },
        },
        "x-access": access(route.access),
    });
    let Some(members) = operation.as_object_mut() else { return operation };
    if route.access == Access::Open {
        members.insert("security".to_owned(), json!([]));
    }
    if !route.takes.is_empty() {
        let schema = body(route.takes);
        let content = json!({ "application/json": { "schema": schema } });
        members.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    operation
}

/// The method and the path's words.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let method = route.verb.method().as_str().to_lowercase();
    words.fold(method, |id, word| format!("{id}_{word}"))
}

fn access(access: Access) -> String {
    match access {
        Access::Open => "anybody: the body holds the credential".to_owned(),
        Access::Operator => "the operator".to_owned(),
        Access::May(permission) => format!("{permission:?}"),
        Access::OfKey => "ManageProject, or OwnKeys for one's own key".to_owned(),
        Access::OfConsent => "ManageConsents, or Read for one's own consent".to_owned(),
        Access::OfRequest => "Read, in the organization of the request".to_owned(),
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path =
        route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(
            |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        );
    let in_query = route.query.iter().map(|name| {
        let schema = match *name {
            "limit" => json!({ "type": "integer", "minimum": 1 }),
            "include_archived" => json!({ "type": "boolean" }),
            list if list.ends_with("[]") => json!({ "type": "array", "items": { "type": "string" } }),
            moment if moment.starts_with("effective_at") => json!({ "type": "integer" }),
            _ => json!({ "type": "string" }),
        };
        json!({ "name": name, "in": "query", "schema": schema })
    });
    in_path.chain(in_query).collect()
}

fn body(takes: &[&str]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for member in takes {
        let (name, kind) = member.split_once(": ").unwrap_or((member, "string"));
        if let Some(name) = name.strip_suffix('!') {
            required.push(name);
        }
        properties.insert(name.trim_end_matches('!').to_owned(), schema(kind));
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn schema(kind: &str) -> Value {
    if let Some(items) = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) {
        return json!({ "type": "array", "items": schema(items) });
    }
    match kind {
        "string" | "integer" | "boolean" | "object" => json!({ "type": kind }),
        words => json!({ "type": "string", "enum": words.split('|').collect::<Vec<_>>() }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Set this variable to write the file anew.
    const RENEW: &str = "TOLLKEEPER_RENEW_OPENAPI";

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the one switch of a test")]
    fn the_committed_description_is_that_of_the_routes() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi/administration.json");
        if std::env::var_os(RENEW).is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text()).unwrap();
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        let committed: Value = serde_json::from_str(&committed).unwrap_or_default();
        assert!(
            committed == document(),
            "openapi/administration.json is not what the routes are; \
             `{RENEW}=1 cargo test -p tollkeeper-server openapi` writes it anew"
        );
    }

    #[test]
    fn types_are_read() {
        for (kind, expected) in [
            ("string", json!({ "type": "string" })),
            ("[integer]", json!({ "type": "array", "items": { "type": "integer" } })),
            ("a|b", json!({ "type": "string", "enum": ["a", "b"] })),
            ("[a|b]", json!({ "type": "array", "items": { "type": "string", "enum": ["a", "b"] } })),
        ] {
            assert_eq!(schema(kind), expected);
        }
    }

    #[test]
    fn every_route_has_a_name_of_its_own() {
        let mut ids: Vec<String> = super::super::routes().map(operation_id).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
