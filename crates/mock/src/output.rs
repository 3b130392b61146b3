//! What an answer consists of: a text, JSON or calls of tools, and how its tokens spread over them.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::{Text, object, typed};
use crate::problem::Problem;

/// What begins and ends the text where JSON is asked for, and the arguments of a call; escaped, as it stands in a
/// JSON string. It counts no tokens.
pub(crate) const JSON_OPEN: &str = r#"{\"text\":\""#;
/// See [`JSON_OPEN`].
pub(crate) const JSON_CLOSE: &str = r#"\"}"#;

/// What an answer puts out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// A text.
    Text,
    /// A text that is JSON.
    Json,
    /// Calls of these tools in this order, by their names as JSON strings.
    Calls(Vec<String>),
}

/// What a request says of tools and of JSON.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// The names of the tools that may be called, as JSON strings.
    pub(crate) tools: Vec<String>,
    pub(crate) demand: Demand,
    /// Whether the text must be JSON.
    pub(crate) json: bool,
    /// Whether the request ends with what tools said, so that it is time for a text.
    pub(crate) has_results: bool,
}

/// Whether a tool must be called.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Demand {
    /// As the model likes.
    #[default]
    May,
    /// None may.
    Never,
    /// Any of them.
    Any,
    /// The one with this name, a JSON string.
    One(String),
}

/// A step of an answer on its way out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The call with this number begins.
    Open(u64),
    /// Tokens of the part with this number, from one number up to another.
    Say(u64, u64, u64),
    /// The call with this number ends.
    Close(u64),
}

impl Wish {
    /// What is put out in so many `visible` tokens: where a tool must be called, or `calls` says that some are, calls
    /// of as many as `calls` says, at least one, each with a token at least.
    pub(crate) fn output(&self, calls: u64, visible: u64) -> Output {
        let tools = match &self.demand {
            Demand::Any => &self.tools[..],
            Demand::One(name) => std::slice::from_ref(name),
            Demand::May if calls > 0 && !self.has_results => &self.tools[..],
            Demand::May | Demand::Never => &[],
        };
        let count = calls.max(1).min(visible.max(1)) as usize;
        match tools {
            [] if self.json => Output::Json,
            [] => Output::Text,
            _ => Output::Calls(tools.iter().cycle().take(count).cloned().collect()),
        }
    }
}

impl Output {
    /// Parts that the tokens are spread over: calls, or the one text.
    pub(crate) fn parts(&self) -> u64 {
        match self {
            Self::Text | Self::Json => 1,
            Self::Calls(names) => names.len() as u64,
        }
    }

    /// Whether the tokens stand in an object of JSON.
    pub(crate) fn is_framed(&self) -> bool {
        *self != Self::Text
    }

    /// The name of the tool that is called in this part, a JSON string.
    pub(crate) fn name(&self, part: u64) -> Option<&str> {
        match self {
            Self::Text | Self::Json => None,
            Self::Calls(names) => names.get(part as usize).map(String::as_str),
        }
    }

    /// The first token of a part, of so many `visible` in all.
    pub(crate) fn begin(&self, part: u64, visible: u64) -> u64 {
        part * visible / self.parts()
    }

    /// The steps that put out the tokens from one number up to another. The first part is open already, and the last
    /// one stays so.
    pub(crate) fn steps(&self, visible: u64, from: u64, to: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut at = from;
        while at < to {
            let part = (0..self.parts()).rev().find(|part| self.begin(*part, visible) <= at).unwrap_or(0);
            if part > 0 && at == self.begin(part, visible) {
                steps.extend([Step::Close(part - 1), Step::Open(part)]);
            }
            let is_last = part + 1 == self.parts();
            let end = if is_last { to } else { to.min(self.begin(part + 1, visible)) };
            steps.push(Step::Say(part, at, end));
            at = end;
        }
        steps
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
}

/// Reads `tool_choice` in whichever form: OpenAI's two and Anthropic's.
pub(crate) fn demand(raw: Option<&RawValue>) -> Result<Demand, Problem> {
    let Some(raw) = raw else { return Ok(Demand::May) };
    if let Ok(word) = serde_json::from_str::<Text<'_>>(raw.get()) {
        return Ok(demand_of(&word.0));
    }
    let choice: Choice<'_> = object(raw, "tool_choice")?;
    let function = choice.function.and_then(|function| function.name);
    Ok(match choice.name.or(function) {
        Some(name) => Demand::One(name.get().to_owned()),
        None => demand_of(choice.kind.as_ref().map_or("", |kind| &kind.0)),
    })
}

fn demand_of(word: &str) -> Demand {
    match word {
        "none" => Demand::Never,
        "required" | "any" => Demand::Any,
        _ => Demand::May,
    }
}

/// The names of the tools that the client runs: those of this `kind`, or of none.
pub(crate) fn tools(raw: Option<&RawValue>, kind: &str) -> Result<Vec<String>, Problem> {
    let tools: Vec<Choice<'_>> = typed(raw, "tools", "an array of objects")?.unwrap_or_default();
    let is_of_kind = |tool: &Choice<'_>| tool.kind.as_ref().is_none_or(|own| own.0 == kind);
    let named = tools.into_iter().filter(is_of_kind);
    let names = named.filter_map(|tool| tool.name.or(tool.function.and_then(|function| function.name)));
    Ok(names.map(|name| name.get().to_owned()).collect())
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
}

/// Whether an object's `type` begins with `start`.
pub(crate) fn is_kind(raw: Option<&RawValue>, start: &str) -> bool {
    let read = raw.and_then(|raw| serde_json::from_str::<Typed<'_>>(raw.get()).ok());
    read.and_then(|read| read.kind).is_some_and(|kind| kind.0.starts_with(start))
}

/// The last of an array's values.
pub(crate) fn last(raw: Option<&RawValue>) -> Option<&RawValue> {
    serde_json::from_str::<Vec<&RawValue>>(raw?.get()).ok()?.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        ["\"a\"", "\"b\""].iter().take(count).map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn tools_are_called_where_they_must_or_are_told_to() {
        let table = [
            (Demand::May, 0, false, vec![]),
            (Demand::May, 3, false, vec!["\"a\"", "\"b\"", "\"a\""]),
            (Demand::May, 3, true, vec![]),
            (Demand::Never, 3, false, vec![]),
            (Demand::Any, 0, true, vec!["\"a\""]),
            (Demand::One("\"b\"".to_owned()), 2, false, vec!["\"b\"", "\"b\""]),
        ];
        for (demand, calls, has_results, expected) in table {
            let told = format!("{demand:?}, {calls}, {has_results}");
            let wish = Wish { tools: names(2), demand, json: true, has_results };
            let expected = expected.into_iter().map(str::to_owned).collect::<Vec<_>>();
            let expected = if expected.is_empty() { Output::Json } else { Output::Calls(expected) };
            assert_eq!(wish.output(calls, 9), expected, "{told}");
        }
        let wish = Wish { tools: names(2), demand: Demand::Any, ..Wish::default() };
        assert_eq!(wish.output(5, 0), Output::Calls(names(1)), "never more calls than tokens");
    }

    #[test]
    fn steps_say_every_token_once_and_open_every_call() {
        for (parts, visible, chunk) in [(1, 5, 2), (2, 5, 1), (2, 5, 9), (3, 7, 2), (4, 4, 3)] {
            let output = Output::Calls(vec!["\"a\"".to_owned(); parts]);
            let mut steps = Vec::new();
            let mut from = 0;
            while from < visible {
                let to = visible.min(from + chunk);
                steps.extend(output.steps(visible, from, to));
                from = to;
            }
            let (mut said, mut open) = (0, 0);
            for step in &steps {
                match step {
                    Step::Close(part) => assert_eq!(*part, open, "{steps:?}"),
                    Step::Open(part) => open = *part,
                    Step::Say(part, from, to) => {
                        assert_eq!((*part, *from), (open, said), "{steps:?}");
                        assert!(to > from, "{steps:?}");
                        said = *to;
                    }
                }
            }
            assert_eq!((open + 1, said), (parts as u64, visible), "{steps:?}");
        }
    }

    #[test]
    fn demands_of_three_dialects() {
        let one = || Demand::One("\"a\"".to_owned());
        let table = [
            ("null", Demand::May),
            (r#""auto""#, Demand::May),
            (r#""none""#, Demand::Never),
            (r#""required""#, Demand::Any),
            (r#"{"type":"function","function":{"name":"a"}}"#, one()),
            (r#"{"type":"function","name":"a"}"#, one()),
            (r#"{"type":"tool","name":"a"}"#, one()),
            (r#"{"type":"any"}"#, Demand::Any),
            (r#"{"type":"auto"}"#, Demand::May),
            (r#"{"type":"none"}"#, Demand::Never),
        ];
        for (text, expected) in table {
            let raw: Option<&RawValue> = serde_json::from_str(text).unwrap();
            let read = demand(raw).unwrap_or_else(|problem| panic!("{text}: {}", problem.to_json()));
            assert_eq!(read, expected, "{text}");
        }
        assert!(demand(Some(serde_json::from_str("3").unwrap())).is_err());
    }
}
