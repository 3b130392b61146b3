//! The query of a request, as OpenAI's clients and everybody else's write it.
//!
//! Lists come as `k[]=a&k[]=b`, as `k=a&k=b` and as `k=a,b`, which all mean the same.

use std::borrow::Cow;
use std::str::FromStr;

use super::Problem;
use super::input::shown;

/// A query's members in their order, decoded; a name is without its `[]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

/// The part of a list that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) limit: usize,
    pub(crate) after: Option<String>,
    pub(crate) before: Option<String>,
}

impl Query {
    /// Reads a query of which these names are known.
    pub(crate) fn read(text: &str, known: impl Fn(&str) -> bool) -> Result<Self, Problem> {
        let mut members = Vec::new();
        for member in text.split('&').filter(|member| !member.is_empty()) {
            let (name, value) = member.split_once('=').unwrap_or((member, ""));
            let name = decode(name)?;
            let name = name.strip_suffix("[]").unwrap_or(&name).to_owned();
            if !known(&name) {
                let message = format!("`{}` is no parameter of this call; leave it out.", shown(&name));
                return Err(Problem::field(&shown(&name), message));
            }
            members.push((name, decode(value)?.into_owned()));
        }
        Ok(Self(members))
    }

    /// A parameter that is there once at most.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut found = self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        match (found.next(), found.next()) {
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
            (_, Some(_)) => Err(Problem::field(name, format!("`{name}` is there twice; give it once."))),
        }
    }

    /// A parameter as what it stands for.
    pub(crate) fn value<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        super::input::optional(name, self.one(name)?)
    }

    /// `true` or `false`, as whoever writes it.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.one(name)? {
            None | Some("false" | "False" | "0") => Ok(false),
            Some("true" | "True" | "1") => Ok(true),
            Some(_) => Err(Problem::field(name, format!("`{name}` must be true or false."))),
        }
    }

    /// All values of a parameter.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(other, _)| other == name).flat_map(|(_, value)| value.split(','));
        values.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    /// All values as what they stand for.
    pub(crate) fn values<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Vec<T>, Problem> {
        self.list(name).iter().map(|text| super::input::field(name, text)).collect()
    }

    /// The page, of 1 to `limit_max` objects.
    pub(crate) fn page(&self, default: usize, limit_max: usize) -> Result<Page, Problem> {
        let limit = match self.one("limit")? {
            None => default,
            Some(text) => {
                let limit = text.parse::<usize>().ok().filter(|limit| (1..=limit_max).contains(limit));
                let message = format!("`limit` must be a number from 1 to {limit_max}.");
                limit.ok_or_else(|| Problem::field("limit", message))?
            }
        };
        let text = |name| Ok::<_, Problem>(self.one(name)?.map(str::to_owned));
        Ok(Page { limit, after: text("after")?, before: text("before")? })
    }
}

/// `%5B` and `+` as what they stand for.
fn decode(text: &str) -> Result<Cow<'_, str>, Problem> {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    if !spaced.contains('%') {
        return Ok(spaced);
    }
    let wrong = || Problem::field("query", "The query is not percent-encoded UTF-8; encode it.");
    let mut bytes = Vec::with_capacity(spaced.len());
    let mut rest = spaced.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
            let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(wrong)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Query {
        Query::read(text, |_| true).unwrap()
    }

    #[test]
    fn lists_are_written_in_three_ways() {
        for text in [
            "ids[]=a&ids[]=b",
            "ids%5B%5D=a&ids%5B%5D=b",
            "ids=a&ids=b",
            "ids=a,b",
            "ids[]=a,b",
            "ids=a%2Cb,",
        ] {
            assert_eq!(read(text).list("ids"), ["a", "b"], "{text}");
        }
        assert!(read("x=1").list("ids").is_empty());
        assert_eq!(read("effective_at%5Bgte%5D=7").value::<i64>("effective_at[gte]").unwrap(), Some(7));
        assert_eq!(read("name=a+b%2Bc").one("name").unwrap(), Some("a b+c"));
    }

    /// Every query of five of these signs, and every reading of it.
    #[test]
    fn any_query_is_read_or_refused() {
        const SIGNS: [&str; 9] = ["%", "4", "g", "&", "=", "+", "[]", ",", "é"];
        for number in 0..SIGNS.len().pow(5) {
            let text: String =
                (0..5).map(|place| SIGNS[number / SIGNS.len().pow(place) % SIGNS.len()]).collect();
            let Ok(query) = Query::read(&text, |_| true) else {
                assert!(text.contains('%'), "{text} is refused");
                continue;
            };
            assert!(query.0.iter().all(|(name, value)| name.len() + value.len() <= text.len()), "{text}");
            for name in ["4", "g", "", "limit"] {
                let values = query.list(name);
                assert!(values.iter().all(|value| !value.is_empty() && !value.contains(',')), "{text}");
                let _ = (query.one(name), query.flag(name), query.value::<i64>(name), query.page(20, 100));
            }
        }
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        assert!(Query::read("x=1", |name| name == "y").is_err());
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff", "%ff=a"] {
            assert!(Query::read(bad, |_| true).is_err(), "{bad}");
        }
        assert!(read("a=1&a=2").one("a").is_err());
        assert!(read("a=maybe").flag("a").is_err());
        for bad in ["0", "101", "-1", "x", "1e1"] {
            assert!(read(&format!("limit={bad}")).page(20, 100).is_err(), "{bad}");
        }
        assert_eq!(read("").page(20, 100).unwrap().limit, 20);
        assert_eq!(read("limit=100&after=x").page(20, 100).unwrap().after.as_deref(), Some("x"));
    }
}
