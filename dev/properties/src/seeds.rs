//! Where fuzzing begins: inputs made of the golden files and samples that the repository has anyway, each with the bytes
//! that choose what is done with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dialect::Endpoint;
use directory::{KeyKind, Secret};
use domain::{Ids, Money, Timestamp, WalletId};
use ledger::{CostRow, Cover, Part, PoolKey, Share};

use crate::frame;
use crate::input::place;

/// An input and a name for its file.
pub type Seed = (String, Vec<u8>);

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of a folder with this extension, by name: the stem, and what stands in it.
fn files(folder: &str, extension: &str) -> io::Result<Vec<Seed>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root().join(folder))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(extension) {
            files.push((stem.to_owned(), fs::read(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

/// A golden snapshot without its head.
fn snapshots(folder: &str, form: &str) -> io::Result<Vec<Seed>> {
    let body = |bytes: Vec<u8>| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.splitn(3, "---\n").nth(2).unwrap_or_default().as_bytes().to_vec()
    };
    let files = files(folder, &format!(".{form}.snap"))?;
    Ok(files.into_iter().map(|(name, bytes)| (format!("{name}-as-{form}"), body(bytes))).collect())
}

/// The endpoint of a golden file, by the beginning of its name.
fn endpoint(name: &str) -> Endpoint {
    match name.split('_').next().unwrap_or_default() {
        "responses" => Endpoint::Responses,
        "messages" => Endpoint::Messages,
        "gemini" => Endpoint::GenerateContent,
        "converse" => Endpoint::Converse,
        _ => Endpoint::Chat,
    }
}

fn prefixed(name: &str, head: &[u8], bytes: &[u8]) -> Seed {
    let choice: String = head.iter().map(|byte| format!("-{byte}")).collect();
    (format!("{name}{choice}"), [head, bytes].concat())
}

/// Bodies that no golden file has.
const BODIES: [(Endpoint, &str); 9] = [
    (Endpoint::Embeddings, r#"{"model":"m","input":[[1,2],["a"],"b"],"user":"\ud83d\ude00"}"#),
    (
        Endpoint::Moderations,
        r#"{"model":"m","input":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}"#,
    ),
    (
        Endpoint::Images,
        r#"{"model":"gpt-image-1","prompt":"a","n":2,"size":"1024x1024","quality":"high","stream":true,"partial_images":2}"#,
    ),
    (
        Endpoint::ImageEdits,
        r#"{"model":"gpt-image-1","prompt":"a","images":[{"image_url":"data:image/png;base64,AA"}],"n":1,"quality":"low"}"#,
    ),
    (
        Endpoint::Speech,
        r#"{"model":"tts-1","input":"a","voice":"alloy","response_format":"wav","stream_format":"sse","speed":1.5}"#,
    ),
    (Endpoint::CountTokens, r#"{"model":"m","messages":[{"role":"user","content":"a"}],"system":"s"}"#),
    (
        Endpoint::CountContent,
        r#"{"contents":[{"parts":[{"text":"a"}]}],"generateContentRequest":{"model":"models/m","contents":[]}}"#,
    ),
    (
        Endpoint::Chat,
        r#"{"model":"m","models":["n"],"provider":{"order":["openai"],"max_price":{"prompt":1}},"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x","detail":"low"}},{"type":"file","file":{}},{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}]}],"stream":true,"stream_options":{"include_usage":false},"n":2,"metadata":{"run":"\u00e9"},"max_tokens":9,"max_completion_tokens":8}"#,
    ),
    (
        Endpoint::Messages,
        r#"{"model":"m","max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":4000},"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}},{"type":"tool_result","tool_use_id":"t","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"y"}}]}]}],"tools":[{"type":"web_search_20250305","name":"web_search"}],"metadata":{"user_id":"u"}}"#,
    ),
];

/// Seeds of [`requests`](crate::requests).
pub(crate) fn requests() -> io::Result<Vec<Seed>> {
    let golden = files("crates/dialect/golden/requests", ".json")?;
    let golden = golden.into_iter().map(|(name, bytes)| (endpoint(&name), name, bytes));
    let bodies = BODIES
        .into_iter()
        .map(|(endpoint, body)| (endpoint, endpoint.as_str().to_owned(), body.as_bytes().to_vec()));
    let seeds = golden.chain(bodies).flat_map(|(endpoint, name, bytes)| {
        [0, 0b1110_0010, 0b0101_1101].map(|way| prefixed(&name, &[place(endpoint), way], &bytes))
    });
    Ok(seeds.collect())
}

/// A recording of a second: eight samples of eight bits would do for its head.
const WAV: &[u8] = b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x08\0\0\0\x80\x80\x80\x80\x80\x80\x80\x80";
/// The head of a frame of MP3.
const MP3: &[u8] = b"\xff\xfb\x90\x64\0\0\0\0";

/// Seeds of [`forms`](crate::forms).
pub(crate) fn forms() -> io::Result<Vec<Seed>> {
    let field = |head: &str, value: &[u8]| {
        let head = format!("--x\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        [head.as_bytes(), value, b"\r\n"].concat()
    };
    let form = |fields: Vec<Vec<u8>>| [fields.concat(), b"--x--\r\n".to_vec()].concat();
    let text = |name: &str, value: &str| field(&format!("name=\"{name}\""), value.as_bytes());
    let file = |name: &str, file: &str, value| field(&format!("name=\"{name}\"; filename=\"{file}\""), value);
    let recording = |kind: &str, value| {
        form(vec![
            file("file", &format!("a.{kind}"), value),
            text("model", "whisper-1"),
            text("response_format", "verbose_json"),
            text("stream", "true"),
            text("prompt", "Tolls."),
            text("timestamp_granularities[]", "word"),
        ])
    };
    let edit = form(vec![
        file("image[]", "a.png", b"\x89PNG"),
        file("image[]", "b.png", b"\x89PNG"),
        file("mask", "m.png", b"\x89PNG"),
        text("model", "gpt-image-1"),
        text("prompt", "a"),
        text("n", "2"),
        text("size", "1024x1024"),
    ]);
    let mut seeds = vec![prefixed("edit", &[2, 0], &edit)];
    for (name, value) in [("wav", WAV), ("mp3", MP3), ("webm", b"\x1a\x45\xdf\xa3")] {
        for endpoint in [0, 1] {
            seeds.push(prefixed(name, &[endpoint, 0], &recording(name, value)));
        }
    }
    let typed =
        [b"multipart/form-data; charset=utf-8; boundary=\"x\"\n", &recording("wav", WAV)[..]].concat();
    seeds.push(prefixed("typed", &[0, 1], &typed));
    Ok(seeds)
}

/// Answers that no golden file has.
const ANSWERS: [(Endpoint, &str); 6] = [
    (
        Endpoint::Embeddings,
        r#"{"object":"list","model":"x","data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}"#,
    ),
    (Endpoint::Moderations, r#"{"id":"m","model":"x","results":[{"flagged":false}]}"#),
    (
        Endpoint::Images,
        r#"{"created":1,"data":[{"b64_json":"AA"}],"usage":{"input_tokens":5,"output_tokens":9,"total_tokens":14,"input_tokens_details":{"text_tokens":2,"image_tokens":3}}}"#,
    ),
    (Endpoint::CountTokens, r#"{"input_tokens":5}"#),
    (Endpoint::CountContent, r#"{"totalTokens":5}"#),
    (
        Endpoint::Chat,
        r#"[{"error":{"code":429,"message":"Quota","status":"X","details":[{"reason":"R"},{"retryDelay":"34.074s"}]}},{"detail":[{"msg":"m"}]}]"#,
    ),
];

/// Seeds of [`answers`](crate::answers).
pub(crate) fn answers() -> io::Result<Vec<Seed>> {
    const FOLDER: &str = "crates/dialect/golden/answers";
    let golden = files(FOLDER, ".json")?.into_iter().map(|(name, bytes)| (endpoint(&name), name, bytes));
    let written = snapshots(FOLDER, "responses")?;
    let written = written.into_iter().map(|(name, bytes)| (Endpoint::Responses, name, bytes));
    let others = ANSWERS
        .into_iter()
        .map(|(endpoint, body)| (endpoint, endpoint.as_str().to_owned(), body.as_bytes().to_vec()));
    let seeds = golden.chain(written).chain(others);
    Ok(seeds.map(|(endpoint, name, bytes)| prefixed(&name, &[place(endpoint)], &bytes)).collect())
}

const STREAMS: &str = "crates/dialect/golden/streams";

/// An image that comes in parts.
const IMAGE_STREAM: &str = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\",\"partial_image_index\":0}\n\nevent: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"AA\",\"usage\":{\"input_tokens\":5,\"output_tokens\":9,\"total_tokens\":14}}\n\n";

/// Seeds of [`streams`](crate::streams): each as it is and in every form of a caller, with every end.
pub(crate) fn streams() -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for (name, bytes) in files(STREAMS, ".txt")? {
        let endpoint = endpoint(&name);
        if endpoint == Endpoint::Converse {
            continue;
        }
        for way in [8, 1, 2, 0x1b, 0x24] {
            seeds.push(prefixed(&name, &[place(endpoint), way, way], &bytes));
        }
    }
    for (name, bytes) in snapshots(STREAMS, "responses")? {
        seeds.push(prefixed(&name, &[place(Endpoint::Responses), 0, 2], &bytes));
    }
    seeds.push(prefixed("images", &[place(Endpoint::Images), 0, 1], IMAGE_STREAM.as_bytes()));
    Ok(seeds)
}

/// Seeds of [`frames`](crate::frames).
pub(crate) fn frames() -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for (name, bytes) in files(STREAMS, ".txt")? {
        if endpoint(&name) != Endpoint::Converse {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let events = text.split("\n\n").filter_map(|block| {
            let (kind, data) = block.strip_prefix("event: ")?.split_once("\ndata: ")?;
            Some(frame::chosen(kind, data.as_bytes()))
        });
        let messages: Vec<u8> = events.flatten().collect();
        for way in [0, 9, 2, 0x13, 0x24] {
            seeds.push(prefixed(&name, &[way, way], &messages));
        }
    }
    Ok(seeds)
}

/// Amounts, one a seed.
const AMOUNTS: [&str; 9] = [
    "5.00",
    "-0.000000001",
    "9223372036.854775807",
    "1.25e-06",
    "0.00014999999999999999",
    "3e-13",
    "18446744073709.551615",
    "0.5",
    "1e400",
];

/// Seeds of [`prices`](crate::prices).
pub(crate) fn prices() -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    // Whole files would drown what is made of them: a head and some entries of each do.
    for (name, bytes) in files("prices", ".toml")? {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let entries: Vec<&str> = text.split("\n[[models]]").collect();
        let head: String = entries
            .first()
            .copied()
            .unwrap_or_default()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect();
        for (at, pair) in entries.get(1..).unwrap_or_default().chunks(2).step_by(4).enumerate() {
            let body: String = pair.iter().map(|entry| format!("[[models]]{entry}\n")).collect();
            seeds.push(prefixed(&format!("{name}-{at}"), &[0], format!("{head}{body}").as_bytes()));
        }
    }
    let lists = "crates/pricing/tests/lists";
    for (kind, name) in [(1, "litellm"), (2, "models_dev"), (3, "openrouter")] {
        let bytes = fs::read(root().join(lists).join(format!("{name}.json")))?;
        for provider in 0..4 {
            seeds.push(prefixed(name, &[kind | provider << 3], &bytes));
        }
    }
    for (at, amount) in AMOUNTS.iter().enumerate() {
        seeds.push(prefixed(&format!("amount-{at}"), &[4], amount.as_bytes()));
    }
    Ok(seeds)
}

/// Texts of [`config`](crate::config), each with what chooses it.
const TEXTS: [(u8, &str); 24] = [
    (1, "5.00"),
    (1, "2026-11-12T10:11:12.5Z"),
    (1, "-9223372036854775808us"),
    (1, "Europe/Berlin"),
    (1, "DE"),
    (1, "priority"),
    (1, "2026-02"),
    (1, "tokens_per_minute"),
    (1, "org_018f2b6d9f1c7a30b1c2d3e4f5061728"),
    (1, "staging"),
    (1, "gpt-5*\ngpt-5-mini"),
    (2, "sk-ant-api03-0123456789abcdef0123456789"),
    (3, "/v1/chat/completions"),
    (3, "/v1/messages/count_tokens"),
    (3, "/v1beta/models/gemini-3%2Dpro:streamGenerateContent?alt=sse&key=a"),
    (3, "/v1beta/models/a:b:countTokens"),
    (
        4,
        "x-ratelimit-remaining-requests: 59\nx-ratelimit-reset-requests: 1h2m3.5s\nx-ratelimit-remaining-tokens: 149984\nx-ratelimit-reset-tokens: 6ms",
    ),
    (
        4,
        "anthropic-ratelimit-requests-remaining: 0\nanthropic-ratelimit-requests-reset: 2026-11-12T10:11:12Z\nretry-after-ms: 1500",
    ),
    (4, "retry-after: Fri, 31 Dec 1999 23:59:59 GMT\ndate: Fri, 31 Dec 1999 23:58:59 GMT"),
    (4, "retry-after: 18446744073709551615"),
    (5, "t=1763000000,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd,v0=1\n{}"),
    (
        5,
        "\n{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"checkout.session.completed\",\"livemode\":false,\"created\":1763000000,\"data\":{\"object\":{\"id\":\"cs_1\",\"object\":\"checkout.session\",\"payment_status\":\"paid\",\"amount_total\":500,\"amount_subtotal\":500,\"currency\":\"usd\",\"payment_intent\":\"pi_1\",\"customer\":\"cus_1\",\"metadata\":{\"topup\":\"top_018f2b6d9f1c7a30b1c2d3e4f5061728\",\"organization\":\"org_018f2b6d9f1c7a30b1c2d3e4f5061728\",\"purpose\":\"manual\"}}}}",
    ),
    (
        5,
        "\n{\"id\":\"evt_2\",\"object\":\"event\",\"type\":\"payment_intent.succeeded\",\"livemode\":false,\"created\":1763000000,\"data\":{\"object\":{\"id\":\"pi_1\",\"amount_received\":500,\"currency\":\"usd\",\"metadata\":{\"topup\":\"top_018f2b6d9f1c7a30b1c2d3e4f5061728\",\"organization\":\"org_018f2b6d9f1c7a30b1c2d3e4f5061728\",\"purpose\":\"recharge\"}}}}",
    ),
    (
        5,
        "\n{\"id\":\"evt_3\",\"object\":\"event\",\"type\":\"charge.refunded\",\"livemode\":false,\"created\":1763000000,\"data\":{\"object\":{\"id\":\"ch_1\",\"payment_intent\":\"pi_1\",\"amount\":500,\"amount_refunded\":200,\"currency\":\"usd\"}}}",
    ),
];

/// Keys of ours of this seed's chance.
struct Chance;

impl Ids for Chance {
    fn uuid(&self) -> [u8; 16] {
        [1; 16]
    }

    fn secret(&self) -> [u8; 32] {
        [7; 32]
    }
}

/// Seeds of [`config`](crate::config): the sample, in parts and as a whole, and texts of every other sort.
pub(crate) fn config() -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    let sample = String::from_utf8_lossy(&fs::read(root().join("config/default.toml"))?).into_owned();
    let lines = sample.lines().map(|line| line.trim_start_matches('#').trim_start());
    // Its examples are comments: those that look like settings are taken for some.
    let is_setting = |line: &&str| {
        line.starts_with('[') || line.split_once(" = ").is_some_and(|(name, _)| !name.contains([' ', '`']))
    };
    let settings: Vec<&str> = lines.filter(is_setting).collect();
    let sections = settings.chunk_by(|_, next| !next.starts_with('['));
    for (at, section) in sections.enumerate() {
        seeds.push(prefixed(&format!("section-{at}"), &[0], section.join("\n").as_bytes()));
    }
    seeds.push(prefixed("settings", &[0], settings.join("\n").as_bytes()));
    seeds.push(prefixed("provider", &[0], PROVIDER.as_bytes()));
    for (at, (kind, text)) in TEXTS.iter().enumerate() {
        seeds.push(prefixed(&format!("text-{at}"), &[*kind], text.as_bytes()));
    }
    for kind in [KeyKind::Project, KeyKind::Operator, KeyKind::Admin, KeyKind::Invite] {
        let secret = Secret::generate(kind, &Chance);
        seeds.push(prefixed(kind.prefix(), &[2], format!("key = {}", secret.expose()).as_bytes()));
        seeds.push(prefixed(&format!("{}alone", kind.prefix()), &[2], secret.expose().as_bytes()));
    }
    Ok(seeds)
}

/// A provider with everything, and a route to it.
const PROVIDER: &str = r#"
[[providers]]
name = "own"
kind = "openai"
base_url = "https://example.com/v1"
api_key = "env:OPENAI_API_KEY"
[providers.contract]
class = "direct"
owner = "us"
payer = "us"
limits = "as stated"
support = "mail"
terms = { training = false, retention_days = 30, region = "US", text = "https://example.com/terms" }
verified_on = "2025-11-01"
[[routes]]
model = "own"
strategy = "weighted"
substitution = "log"
[[routes.targets]]
provider = "own"
model = "gpt-5.4"
weight = 3
retries = 1
price = { input = "1.00", output = "2.00", cached_input = "0.1" }
[[tiers]]
name = "one"
monthly_ceiling = "100.00"
[[tiers]]
name = "two"
credit_purchased = "50.00"
account_days = 7
limits = [{ models = "*", requests_per_minute = 5000, tokens_per_minute = 450000 }]
"#;

/// Records that are kept as JSON, each with what chooses it.
const RECORDS: [(u8, &str); 16] = [
    (
        3,
        r#"{"event":"budget_threshold","budget":"bud_018f2b6d9f1c7a30b1c2d3e4f5061728","subject":{"of":"organization"},"value":"","period_start":"2026-11-01T00:00:00Z","percent":80,"spent":"8.00","cap":"10.00"}"#,
    ),
    (
        3,
        r#"{"event":"went_into_debt","wallet":"wal_018f2b6d9f1c7a30b1c2d3e4f5061728","request":"req_018f2b6d9f1c7a30b1c2d3e4f5061728","owed":"0.10"}"#,
    ),
    (3, r#"{"event":"tier_reached","tier":"two"}"#),
    (3, r#"{"event":"payment","what":"paid_twice","topup":null,"detail":"d"}"#),
    (4, r#"{"held":"0.10"}"#),
    (4, r#""opened""#),
    (
        4,
        r#"{"settled":{"draws":[{"lot":"lot_018f2b6d9f1c7a30b1c2d3e4f5061728","amount":"0.10"}],"debt":"0.00"}}"#,
    ),
    (4, r#"{"swept":3}"#),
    (
        6,
        r#"{"endpoints":["chat_completions"],"models":{"mode":"allow_list","models":["gpt-5*"]},"networks":["10.0.0.0/8","::1/128"]}"#,
    ),
    (7, r#""organization""#),
    (7, r#"{"user":"u"}"#),
    (7, r#"{"key":null}"#),
    (8, r#"{"type":"operator","address":"127.0.0.1"}"#),
    (8, r#"{"type":"invited","email":"a@example.com"}"#),
    (9, r#"{"mode":"deny_list","models":["a","b*"]}"#),
    (10, r#"[{"id":"proj_018f2b6d9f1c7a30b1c2d3e4f5061728","role":"member"}]"#),
];

/// A row as JSON, of which the seeds of a draft are made, too.
const ROW: &str = r#"{"organization":"org_01010101010101010101010101010101","request":"req_02020202020202020202020202020202","attempt":1,"at":"2026-11-12T10:11:12Z","project":"proj_018f2b6d9f1c7a30b1c2d3e4f5061728","key":"key_018f2b6d9f1c7a30b1c2d3e4f5061728","environment":"prod","model":"m","target":"p/m","provider":"p","model_answered":"m-1","price_version":"p/m@1","service_tier":"priority","usage":{"input":5,"cached":4,"output":9,"reasoning":3},"cost_pico":1234,"cost":"0.000000002","reported_pico":-1,"status":"cancelled","reason":"größe","estimated":true,"http_status":200,"streamed":true,"duration_us":7,"held":"0.10","attribution":{"user":"u","run":"r"}}"#;

/// Seeds of [`records`](crate::records).
pub(crate) fn records() -> io::Result<Vec<Seed>> {
    let mut seeds: Vec<Seed> = RECORDS
        .iter()
        .enumerate()
        .map(|(at, (kind, text))| prefixed(&format!("record-{at}"), &[*kind], text.as_bytes()))
        .collect();
    seeds.push(prefixed("row", &[11], ROW.as_bytes()));
    let mut row: CostRow = serde_json::from_str(ROW)?;
    for earlier in 0..3 {
        let mut bytes = Vec::new();
        store::draft::encode(&row, &vec![row.clone(); earlier], &mut bytes);
        seeds.push(prefixed(&format!("draft-{earlier}"), &[0], &bytes));
    }
    let key = PoolKey { pool: "tokens".into(), start: Timestamp::from_micros(5) };
    let parts = vec![Part { units: 3, unit_pico: 200 }, Part { units: 1, unit_pico: 0 }];
    row.cover = Some(Box::new(Cover { key, cap: 9, strict: true, parts, units: 0 }));
    let mut bytes = Vec::new();
    store::draft::encode(&row, &[], &mut bytes);
    seeds.push(prefixed("draft-covered", &[0], &bytes));
    seeds.push(prefixed("row-covered", &[11], &serde_json::to_vec(&row)?));
    let share = |amount| Share { wallet: WalletId::from_bytes([3; 16]), amount: Money::from_nano(amount) };
    seeds.push(prefixed("shares", &[1], &store::draft::encode_shares(&[share(5), share(-1)])));
    // A lot's leg and a cash one.
    let legs = [&[1][..], &[9; 16], &5_i64.to_be_bytes(), &[2], &(-5_i64).to_be_bytes()].concat();
    seeds.push(prefixed("legs", &[2], &legs));
    Ok(seeds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use server::config::{Config, Environment};

    /// A seed that is refused leads a fuzzer nowhere.
    #[test]
    fn the_seeds_of_records_and_configurations_are_read() {
        let read = |kind: u8, text: &str| match kind {
            3 => serde_json::from_str::<ledger::EventKind>(text).err(),
            4 => serde_json::from_str::<ledger::Reply>(text).err(),
            6 => serde_json::from_str::<directory::Bounds>(text).err(),
            7 => serde_json::from_str::<directory::LimitSubject>(text).err(),
            8 => serde_json::from_str::<directory::Actor>(text).err(),
            9 => serde_json::from_str::<directory::ModelAccess>(text).err(),
            _ => serde_json::from_str::<Vec<directory::InvitedTo>>(text).err(),
        };
        let refused =
            RECORDS.into_iter().filter_map(|(kind, text)| Some((text, read(kind, text)?.to_string())));
        assert_eq!(refused.collect::<Vec<_>>(), []);
        let environment = Environment::from([("OPENAI_API_KEY", "sk-test")]);
        let now = domain::Timestamp::from_micros(1_763_000_000_000_000);
        Config::parse(PROVIDER, &environment, now).unwrap();
    }
}
