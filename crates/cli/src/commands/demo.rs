//! `demo`: a gateway with a simulated provider, a key and some credit, ready for its first call.
//!
//! It is an ordinary gateway on an ordinary data folder; its organization, project, key and grant are made over the
//! operator API, as anybody would make them.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;
use server::config::Environment;

use super::gateway::{self, Process};
use crate::args::DemoArgs;
use crate::client::{Call, GatewayUrl, send};
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};
use crate::table::fields;

/// What the demo's organization is given, once.
const GRANT: &str = "5.00";
/// A model of the simulated provider.
const MODEL: &str = "sim-small";

/// What is printed once the gateway answers.
#[derive(Debug, Serialize)]
struct Ready {
    object: &'static str,
    base_url: String,
    key: String,
    model: &'static str,
    data: String,
    pid: u32,
}

impl View for Ready {
    fn human(&self) -> String {
        let facts = fields(&[
            ("base URL", self.base_url.clone()),
            ("key", self.key.clone()),
            ("credit", format!("{GRANT} at the first start")),
            ("data", self.data.clone()),
        ]);
        format!(
            "{facts}\n\ncurl -i {}/chat/completions \\\n  -H 'Authorization: Bearer {}' \\\n  \
             -H 'Content-Type: application/json' \\\n  \
             -d '{{\"model\": \"{}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'",
            self.base_url, self.key, self.model
        )
    }

    fn note(&self) -> Option<String> {
        let url = self.base_url.trim_end_matches("/v1");
        Some(format!(
            "\nwhat a call cost, by the x-request-id of its answer:\n\
             TOLLKEEPER_OPERATOR_KEY=\"$(cat {}/operator.key)\" tollkeeper explain --url {url} REQUEST_ID\n\n\
             Ctrl-C stops it; the next start finds its data again",
            self.data
        ))
    }
}

/// What the demo reads of an operator API's answer.
#[derive(Debug, Deserialize)]
struct Created {
    id: String,
    secret: Option<String>,
}

/// Runs the demo until the process is told to stop.
pub(crate) fn run(args: &DemoArgs, environment: &Environment, output: &mut Output) -> Result<(), Failure> {
    let mut config = gateway::load(None, environment)?;
    // Somebody is reading along.
    config.log.json = false;
    server::start_logging(config.log);
    let process = Process::start(&args.data, Some(args.listen), config, environment)?;
    let address = process.running.address();
    output.own(&Ready {
        object: "demo",
        base_url: format!("http://{address}/v1"),
        key: key(&args.data, address)?,
        model: MODEL,
        data: args.data.display().to_string(),
        pid: std::process::id(),
    })?;
    process.run(output)
}

/// The key of the demo's project: the one of an earlier start, or a new one with all that it needs.
fn key(data: &Path, address: SocketAddr) -> Result<String, Failure> {
    let file = data.join("demo.key");
    match fs::read_to_string(&file) {
        Ok(secret) => return Ok(secret.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(unusable(&file, &error)),
    }
    let operator_file = data.join("operator.key");
    let operator_key =
        fs::read_to_string(&operator_file).map_err(|error| unusable(&operator_file, &error))?;
    let url = format!("http://{address}")
        .parse::<GatewayUrl>()
        .map_err(|error| Failure::new(Exit::Failure, format!("cannot reach {address}: {error}")))?;
    let create = |path: &str, body| -> Result<Created, Failure> {
        let answer = send(&url, Some(&operator_key), Call::post(path, body))?;
        serde_json::from_str(answer.get()).map_err(|error| {
            Failure::new(Exit::Failure, format!("the gateway's answer could not be read: {error}"))
        })
    };
    let organization = create("/admin/v1/organizations", json!({ "name": "Demo" }))?.id;
    let grant = json!({ "organization": organization, "amount": GRANT, "kind": "promo" });
    create("/admin/v1/credits/grants", grant)?;
    let project = create("/admin/v1/projects", json!({ "name": "demo", "organization": organization }))?.id;
    let secret =
        create("/admin/v1/keys", json!({ "name": "demo", "project": project }))?.secret.unwrap_or_default();
    // Last, so that a key that is found again has its credit.
    keep(&file, &secret).map_err(|error| unusable(&file, &error))?;
    Ok(secret)
}

/// Writes the secret for its owner's eyes; whole or not at all, even when the machine stops.
fn keep(file: &Path, secret: &str) -> io::Result<()> {
    let unfinished = file.with_extension("new");
    let mut opened =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    writeln!(opened, "{secret}")?;
    opened.sync_all()?;
    fs::rename(unfinished, file)
}

fn unusable(file: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failure, format!("cannot use {}: {error}", file.display()))
        .next("choose another folder with --data, or remove this one to start afresh")
}
