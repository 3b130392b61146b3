//! Several providers that each play a list of answers and faults, and a house whose model goes to them in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use directory::InFlight;
use pricing::{ModelKind, PriceVersion, RoutePrice, Schedule};
use providers::Provider;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::contract;
use super::house::{House, answer, read_request};
use crate::{
    BreakerRules, Contract, RetryBudget, RetryRules, Route, Routes, Settings, Shared, Strategy, Substitution,
    Target, TargetRules,
};

/// What a provider does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Play {
    /// Answers in so many tokens, as a stream or whole as it is asked.
    Answer(u64),
    /// Refuses with this status.
    Status(u16),
    /// 429, and to come back after so many seconds.
    Limited(u32),
    /// Answers, and says that no request is left for a minute.
    Exhausted,
    /// 429 for an account without quota.
    Quota,
    /// 404 for a model that it does not know.
    NoModel,
    /// Takes the call and closes the connection.
    Close,
    /// Begins to answer, and closes before it says anything.
    Nothing,
    /// Answers what cannot be read.
    Garbage,
    /// Answers 200 and an error.
    Error,
    /// Answers, and breaks off amid it.
    Break,
    /// Answers in so many tokens by this name of a model; without one, by none.
    Named(&'static str, u64),
    /// Answers in so many tokens after so many milliseconds.
    Late(u64, u64),
    /// Refuses with this status after so many milliseconds.
    LateStatus(u64, u16),
    /// Takes the call and says nothing for longer than anybody waits.
    Hang,
}

impl Play {
    /// Whether nothing of it reaches the client, so that another attempt may follow.
    pub(super) fn brings_nothing(self, streamed: bool) -> bool {
        !matches!(self, Self::Answer(_) | Self::Exhausted | Self::Late(..) | Self::Named(..))
            && (!streamed || self != Self::Break)
    }

    /// Whether another attempt may help.
    pub(super) fn may_pass(self) -> bool {
        !matches!(self, Self::Status(400 | 422))
    }
}

/// One target of the stage.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub(super) plays: Vec<Play>,
    /// Per million tokens.
    pub(super) price: (&'static str, &'static str),
    pub(super) rules: TargetRules,
    pub(super) contract: Arc<Contract>,
}

impl Actor {
    pub(super) fn new(plays: impl IntoIterator<Item = Play>) -> Self {
        Self {
            plays: plays.into_iter().collect(),
            price: ("1", "10"),
            rules: TargetRules::default(),
            contract: contract(),
        }
    }
}

/// A house, its providers, and what they were asked.
pub(super) struct Stage {
    pub(super) house: House,
    /// The names of the providers in the order in which they were called.
    pub(super) called: Arc<Mutex<Vec<String>>>,
}

/// Rules by which nothing waits for long.
pub(super) fn quick() -> RetryRules {
    RetryRules {
        backoff: std::time::Duration::from_millis(1),
        wait_max: std::time::Duration::from_millis(5),
        ..RetryRules::default()
    }
}

impl Stage {
    pub(super) async fn new(in_flight: InFlight, credit: i64, actors: &[Actor], retry: RetryRules) -> Self {
        Self::by(Strategy::Ordered, in_flight, credit, actors, retry).await
    }

    pub(super) async fn by(
        strategy: Strategy,
        in_flight: InFlight,
        credit: i64,
        actors: &[Actor],
        retry: RetryRules,
    ) -> Self {
        let house = House::new(in_flight, credit, answer(1)).await;
        Self::in_house(house, strategy, actors, retry).await
    }

    /// A stage in this house.
    pub(super) async fn in_house(
        mut house: House,
        strategy: Strategy,
        actors: &[Actor],
        retry: RetryRules,
    ) -> Self {
        let called = Arc::<Mutex<Vec<String>>>::default();
        let mut targets = Vec::new();
        for (place, actor) in actors.iter().enumerate() {
            let name = format!("p{place}");
            let url = perform(&name, &actor.plays, &called).await;
            let provider =
                Arc::new(Provider::new(&name, providers::Kind::openai(), Some(&url), None).unwrap());
            let price = schedule(&name, actor.price);
            let target = Target::new(provider, "m", Arc::clone(&actor.contract), Some(price));
            targets.push(target.with_rules(actor.rules.clone()));
        }
        house.alter(|old| {
            let settings = Settings { retry, ..old.settings };
            let routes = Routes::new([Route { strategy, ..Route::new("m", targets) }]);
            Shared { routes, retries: RetryBudget::new(retry), settings, ..House::copy(old) }
        });
        Self { house, called }
    }

    /// The same, where a circuit opens after so many failures.
    pub(super) fn opening_after(mut self, failures: u32) -> Self {
        self.house.alter(|old| {
            let settings =
                Settings { breaker: BreakerRules { failures, ..BreakerRules::default() }, ..old.settings };
            let routes = Routes::new(old.routes.all().map(|route| Route::clone(route)));
            Shared { routes, settings, ..House::copy(old) }
        });
        self
    }

    /// The same, where a second attempt is sent beside one that takes longer than this.
    pub(super) fn hedged(mut self, after: std::time::Duration) -> Self {
        self.house.alter(|old| {
            let routes = old.routes.all();
            let routes = routes.map(|route| Route { hedge_after: Some(after), ..Route::clone(route) });
            Shared { routes: Routes::new(routes), ..House::copy(old) }
        });
        self
    }

    /// The same, where this is done when another model answers.
    pub(super) fn strict(mut self, substitution: Substitution) -> Self {
        self.house.alter(|old| {
            let routes = old.routes.all().map(|route| Route { substitution, ..Route::clone(route) });
            Shared { routes: Routes::new(routes), ..House::copy(old) }
        });
        self
    }

    pub(super) fn called(&self) -> Vec<String> {
        self.called.lock().unwrap().clone()
    }
}

fn schedule(provider: &str, (input, output): (&str, &str)) -> Arc<Schedule> {
    let (input, output) = (input.to_owned(), Some(output.to_owned()));
    let price = RoutePrice { input, output, ..RoutePrice::default() };
    Arc::new(Schedule::from(PriceVersion::from_route(provider, "m", &price, ModelKind::Chat).unwrap()))
}

#[expect(clippy::disallowed_methods, reason = "the provider's side of a test")]
async fn perform(name: &str, plays: &[Play], called: &Arc<Mutex<Vec<String>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let plays = Arc::new(Mutex::new(VecDeque::from(plays.to_vec())));
    let (name, called) = (name.to_owned(), Arc::clone(called));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, name.clone(), Arc::clone(&plays), Arc::clone(&called)));
        }
    });
    format!("http://{address}/v1")
}

async fn converse(
    mut stream: TcpStream,
    name: String,
    plays: Arc<Mutex<VecDeque<Play>>>,
    called: Arc<Mutex<Vec<String>>>,
) {
    let mut input = Vec::new();
    while let Some(body) = read_request(&mut stream, &mut input).await {
        called.lock().unwrap().push(name.clone());
        // The last one is played for ever.
        let play = {
            let mut plays = plays.lock().unwrap();
            if plays.len() > 1 { plays.pop_front().unwrap() } else { plays[0] }
        };
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        if !act(&mut stream, play, body["stream"] == true).await {
            return;
        }
    }
}

/// Whether the connection stays.
async fn act(stream: &mut TcpStream, play: Play, streamed: bool) -> bool {
    let refusal = |status: u16, code: &str| {
        whole(status, "", &format!(r#"{{"error":{{"message":"no","code":"{code}"}}}}"#))
    };
    let (millis, play) = if let Play::Late(millis, tokens) = play {
        (millis, Play::Answer(tokens))
    } else if let Play::LateStatus(millis, status) = play {
        (millis, Play::Status(status))
    } else {
        (0, play)
    };
    tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
    let (text, stays) = match play {
        Play::Late(..) | Play::LateStatus(..) => (String::new(), false),
        Play::Answer(tokens) if streamed => (streaming(tokens, true), true),
        Play::Answer(tokens) => (whole(200, "", &chat(tokens)), true),
        Play::Named(name, tokens) => {
            let named = if name.is_empty() { String::new() } else { format!(r#""model":"{name}","#) };
            let text = if streamed { streaming(tokens, true) } else { chat(tokens) };
            let text = text.replace(r#""model":"m","#, &named);
            // The sizes of chunks would be wrong.
            (if streamed { whole_stream(&text) } else { whole(200, "", &text) }, !streamed)
        }
        Play::Exhausted => {
            let left = "x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 1m0s\r\n";
            (whole(200, left, &chat(1)), true)
        }
        Play::Status(status) => (refusal(status, "x"), true),
        Play::Limited(seconds) => {
            (whole(429, &format!("retry-after: {seconds}\r\n"), r#"{"error":{"message":"slow"}}"#), true)
        }
        Play::Quota => (refusal(429, "insufficient_quota"), true),
        Play::NoModel => (refusal(404, "model_not_found"), true),
        Play::Close => (String::new(), false),
        Play::Nothing if streamed => (HEAD.to_owned(), false),
        Play::Nothing => (whole(200, "", ""), true),
        Play::Garbage if streamed => (format!("{HEAD}{}", chunk("data: {nonsense\n\n")), false),
        Play::Garbage => (whole(200, "", "<html>"), true),
        Play::Error if streamed => {
            (format!("{HEAD}{}", chunk("data: {\"error\":{\"message\":\"broken\"}}\n\n")), false)
        }
        Play::Error => (whole(200, "", r#"{"error":{"message":"broken"}}"#), true),
        Play::Break if streamed => (streaming(3, false), false),
        Play::Break => (whole(200, "", &chat(3)).split_at(150).0.to_owned(), false),
        Play::Hang => {
            tokio::time::sleep(std::time::Duration::from_secs(30)).await;
            (String::new(), false)
        }
    };
    stream.write_all(text.as_bytes()).await.is_ok() && stays
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// The events of a stream without their chunks, on a connection that ends with them.
fn whole_stream(text: &str) -> String {
    let events = text.lines().filter(|line| line.starts_with("data: "));
    let events: String = events.map(|event| format!("{event}\n\n")).collect();
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}")
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

fn whole(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

fn chat(tokens: u64) -> String {
    let text = " word".repeat(usize::try_from(tokens).unwrap());
    format!(
        r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":10,"completion_tokens":{tokens},"total_tokens":{}}}}}"#,
        tokens + 10
    )
}

fn streaming(tokens: u64, ends: bool) -> String {
    let event = |choices: &str, usage: &str| {
        chunk(&format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{choices}]{usage}}}\n\n"
        ))
    };
    let mut text = HEAD.to_owned();
    for _ in 0..tokens {
        text += &event(r#"{"index":0,"delta":{"content":" word"},"finish_reason":null}"#, "");
    }
    if ends {
        text += &event(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#, "");
        let usage = format!(
            r#","usage":{{"prompt_tokens":10,"completion_tokens":{tokens},"total_tokens":{}}}"#,
            tokens + 10
        );
        text += &(event("", &usage) + &chunk("data: [DONE]\n\n") + "0\r\n\r\n");
    }
    text
}
