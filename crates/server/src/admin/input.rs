//! What the routes read: bodies, ids, pages, and the header that makes a repeated call count once.

use std::str::FromStr;

use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use domain::{Money, OrganizationId};
use ledger::{Act, Booking, Command, Idempotency, LedgerAnswer, Note, Reply};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::{Admin, Problem};

/// Who books what the operator's key asks for.
const ACTOR: &str = "operator";

/// A call that moves money or sets a rule for it, as it came.
pub(crate) struct Order {
    idempotency: Option<Idempotency>,
    body: Bytes,
}

impl Order {
    /// Reads the header that names the call. The same name with the same body to the same path is the same call.
    pub(crate) fn read(uri: &Uri, headers: &HeaderMap, body: Bytes) -> Result<Self, Problem> {
        let Some(value) = headers.get("idempotency-key") else { return Ok(Self { idempotency: None, body }) };
        let key = value.to_str().ok().map(str::trim).filter(|key| (1..=255).contains(&key.len()));
        let key = key.ok_or_else(|| {
            let message = "`Idempotency-Key` must have 1 to 255 characters of printable ASCII.";
            Problem::field("Idempotency-Key", message)
        })?;
        let mut hasher = blake3::Hasher::new();
        // The path ends where a line break begins, which no path has.
        hasher.update(uri.path().as_bytes()).update(b"\n").update(&body);
        let digest = *hasher.finalize().as_bytes();
        Ok(Self { idempotency: Some(Idempotency { key: key.to_owned(), digest }), body })
    }

    /// What the call is named, if it is.
    pub(crate) const fn name(&self) -> Option<&Idempotency> {
        self.idempotency.as_ref()
    }

    /// The body's fields.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        parse(&self.body)
    }

    /// An id that the same call gets again when it is repeated, for what the ledger's answer does not name.
    pub(crate) fn own_id(&self, organization: OrganizationId, fresh: [u8; 16]) -> [u8; 16] {
        let Some(named) = &self.idempotency else { return fresh };
        let mut hasher = blake3::Hasher::new();
        hasher.update(organization.as_bytes()).update(&named.digest).update(named.key.as_bytes());
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *hasher.finalize().as_bytes();
        id
    }
}

impl Admin {
    /// Books on the operator's word.
    pub(crate) async fn book(
        &self,
        order: &Order,
        organization: OrganizationId,
        reason: Option<String>,
        act: Act,
    ) -> Result<Reply, Problem> {
        self.try_book(order, organization, reason, act).await.map_err(Problem::ledger)
    }

    /// The same for a caller that has words of its own for some denials.
    pub(crate) async fn try_book(
        &self,
        order: &Order,
        organization: OrganizationId,
        reason: Option<String>,
        act: Act,
    ) -> LedgerAnswer {
        let note = Note { actor: ACTOR.into(), reason: reason.map(String::into_boxed_str) };
        let booking = Booking { organization, idempotency: order.idempotency.clone(), note, act };
        self.ledger.submit(Command::Book(Box::new(booking))).await
    }

    /// The organization that a field names, if there is one.
    pub(crate) fn organization(
        &self,
        name: &str,
        text: &str,
    ) -> Result<std::sync::Arc<directory::Organization>, Problem> {
        let id: OrganizationId = field(name, text)?;
        self.directory.directory().organization(id).ok_or_else(|| Problem::not_found(name, id))
    }
}

/// Another command's answer came, which is a fault of ours.
pub(crate) fn strange_answer() -> Problem {
    Problem::internal(&"another command was answered")
}

/// A JSON body.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| Problem::body(&error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| Problem::body(".", &error))?;
    Ok(value)
}

/// A field's text as what it stands for.
pub(crate) fn field<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::field(name, format!("`{name}`: {error}.")))
}

/// A field that may be missing.
pub(crate) fn optional<T: FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, Problem> {
    text.map(|text| field(name, text)).transpose()
}

/// An amount above zero.
pub(crate) fn positive(name: &str, text: &str) -> Result<Money, Problem> {
    let amount: Money = field(name, text)?;
    if amount > Money::ZERO {
        return Ok(amount);
    }
    Err(Problem::field(name, format!("`{name}` must be above zero.")))
}

/// The part of a list that a query asks for.
#[derive(Deserialize)]
pub(crate) struct Page {
    pub(crate) organization: Option<String>,
    pub(crate) before: Option<String>,
    pub(crate) limit: Option<String>,
}

impl Page {
    /// The organization that is asked about.
    pub(crate) fn organization(&self) -> Result<&str, Problem> {
        self.organization.as_deref().ok_or_else(|| Problem::missing("organization"))
    }

    /// Rows at most, 20 unless told otherwise.
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        let Some(text) = self.limit.as_deref() else { return Ok(20) };
        let limit = text.parse::<u32>().ok().filter(|limit| (1..=1_000).contains(limit));
        limit.ok_or_else(|| Problem::field("limit", "`limit` must be a number from 1 to 1000."))
    }

    /// The number before which the page ends; beyond every number unless told otherwise.
    pub(crate) fn before(&self) -> Result<i64, Problem> {
        let Some(text) = self.before.as_deref() else { return Ok(i64::MAX) };
        let before = text.parse::<i64>().ok().filter(|before| *before > 0);
        before.ok_or_else(|| Problem::field("before", "`before` must be the number of an entry seen before."))
    }
}

/// The page without the row that only told that there are more, and whether there are.
pub(crate) fn cut<T>(mut rows: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    (rows, has_more)
}

/// A field that may be missing, `null` or a value, which are three different wishes in a PATCH.
#[expect(clippy::option_option, reason = "this is what the three wishes are")]
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A text of somebody else's, fit to be shown in a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(64).collect()
}

/// Runs what blocks on the store away from the threads that serve.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Problem::internal(&error)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn order(path: &'static str, key: &str, body: &'static [u8]) -> Result<Order, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", HeaderValue::from_str(key).unwrap());
        Order::read(&Uri::from_static(path), &headers, Bytes::from_static(body))
    }

    #[test]
    fn a_call_is_named_by_its_key_and_known_by_path_and_body() {
        let digest = |path, body| order(path, "a", body).unwrap().idempotency.unwrap().digest;
        assert_eq!(digest("/x", b"{}"), digest("/x", b"{}"));
        for (path, body) in [("/x", &b"{ }"[..]), ("/y", b"{}"), ("/x", b"")] {
            assert_ne!(digest("/x", b"{}"), digest(path, body), "{path}");
        }
        assert_eq!(order("/x", " padded ", b"").unwrap().idempotency.unwrap().key, "padded");
        for key in ["", " ", &"a".repeat(256)] {
            assert!(order("/x", key, b"").is_err(), "{key:?}");
        }
    }

    #[test]
    fn a_body_that_cannot_be_meant_names_its_field() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only read")]
        struct Body {
            amount: String,
            caps: Option<Vec<u64>>,
        }
        for (body, param) in [
            (r#"{"amount": 5}"#, "`amount`"),
            (r#"{"amount": "5", "caps": [1, "2"]}"#, "`caps[1]`"),
            (r#"{"caps": null}"#, "`amount`"),
            (r#"{"amount": "5", "amout": "5"}"#, "`amout`"),
        ] {
            let problem = format!("{:?}", parse::<Body>(body.as_bytes()).unwrap_err());
            assert!(problem.contains(&format!("param: Some({:?})", param.trim_matches('`'))), "{problem}");
            assert!(problem.contains(param), "{problem}");
        }
        assert!(parse::<Body>(br#"{"amount": "5"} x"#).is_err());
    }

    #[test]
    fn a_repeated_call_gets_its_own_id_again() {
        let organization = OrganizationId::from_bytes([1; 16]);
        let id = |key, body, fresh| order("/x", key, body).unwrap().own_id(organization, [fresh; 16]);
        assert_eq!(id("a", b"{}", 1), id("a", b"{}", 2));
        assert_ne!(id("a", b"{}", 1), id("b", b"{}", 1));
        let unnamed = Order::read(&Uri::from_static("/x"), &HeaderMap::new(), Bytes::new()).unwrap();
        assert_eq!(unnamed.own_id(organization, [7; 16]), [7; 16]);
    }

    #[test]
    fn pages_have_bounds() {
        let page = |before: Option<&str>, limit: Option<&str>| Page {
            organization: None,
            before: before.map(str::to_owned),
            limit: limit.map(str::to_owned),
        };
        assert_eq!(page(None, None).limit().unwrap(), 20);
        assert_eq!(page(None, None).before().unwrap(), i64::MAX);
        assert_eq!(page(Some("7"), Some("1000")).before().unwrap(), 7);
        for bad in ["0", "-1", "x", "", "1001"] {
            assert!(page(None, Some(bad)).limit().is_err(), "{bad}");
        }
        for bad in ["0", "-1", "x", ""] {
            assert!(page(Some(bad), None).before().is_err(), "{bad}");
        }
        assert_eq!(cut(vec![1, 2, 3], 2), (vec![1, 2], true));
        assert_eq!(cut(vec![1, 2], 2), (vec![1, 2], false));
    }
}
