//! Tollkeeper as a user would run it: a configuration file, an organization with credit, a project, a key.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::load::Connection;
use crate::process::{Running, free_address};
use crate::request;

/// The model that callers ask the gateway for.
pub(crate) const MODEL: &str = "bench";
/// How long it may take to be ready.
const READY: Duration = Duration::from_secs(30);

/// Who is called, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upstream {
    /// The kind of provider, as the configuration names it.
    pub(crate) kind: &'static str,
    pub(crate) address: SocketAddr,
    /// Its model.
    pub(crate) model: &'static str,
}

/// Starts a gateway with an empty store in front of the provider; the process, its address and a key of a project.
pub(crate) async fn start(
    binary: &Path,
    dir: &Path,
    durability: &str,
    upstream: Upstream,
) -> Result<(Running, SocketAddr, String), Failure> {
    let listen = free_address()?;
    let data = dir.join("data");
    let file = dir.join("config.toml");
    let broken = |error| Failure::new(format!("{} cannot be made: {error}", file.display()));
    if data.exists() {
        std::fs::remove_dir_all(&data).map_err(broken)?;
    }
    std::fs::create_dir_all(&data).map_err(broken)?;
    std::fs::write(&file, configuration(durability, upstream)).map_err(broken)?;
    let mut command = Command::new(binary);
    command.arg("serve").arg("--data").arg(&data).arg("--config").arg(&file);
    command.args(["--listen", &listen.to_string()]).env("MOCK_KEY", "bench");
    command.env_remove("TOLLKEEPER_OPERATOR_KEY");
    let mut running = Running::start(command, "tollkeeper", dir)?;
    running.wait_for(listen).await?;
    wait_until_ready(listen).await?;
    let key_file = data.join("operator.key");
    let operator = std::fs::read_to_string(&key_file)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", key_file.display())))?;
    let key = Operator { address: listen, key: operator.trim() }.open_account().await?;
    Ok((running, listen, key))
}

fn configuration(durability: &str, upstream: Upstream) -> String {
    let Upstream { kind, address, model } = upstream;
    format!(
        "[ledger]
durability = \"{durability}\"

[log]
level = \"warn\"

[[providers]]
name = \"mock\"
kind = \"{kind}\"
base_url = \"http://{address}/v1\"
api_key = \"env:MOCK_KEY\"

[providers.contract]
class = \"self_hosted\"
owner = \"the benchmark\"
payer = \"the benchmark\"
limits = \"none\"
support = \"the benchmark\"
terms = {{ training = false, retention_days = 0, region = \"this machine\" }}
verified_on = \"2026-11-01\"

[contracts]
stale_after_days = 3650

[[routes]]
model = \"{MODEL}\"
targets = [{{ provider = \"mock\", model = \"{model}\", price = {{ input = \"0.50\", output = \"2.00\" }} }}]
"
    )
}

async fn wait_until_ready(address: SocketAddr) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let mut connection = Connection::open(address).await?;
        let response = connection.exchange(&request::get("/readyz", address)).await;
        match response {
            Ok((200, _)) => return Ok(()),
            _ if begun.elapsed() > READY => {
                return Err(Failure::new(format!("the gateway at {address} is not ready after {READY:?}")));
            }
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Whoever runs the gateway.
struct Operator<'a> {
    address: SocketAddr,
    key: &'a str,
}

impl Operator<'_> {
    /// An organization that cannot run dry, and the secret of a key that spends its credit.
    async fn open_account(&self) -> Result<String, Failure> {
        let organization = self.make("organizations", &json!({"name": "Bench"}), "id").await?;
        let project = json!({"name": "bench", "organization": organization});
        let project = self.make("projects", &project, "id").await?;
        let grant = json!({"organization": organization, "amount": "1000000.00", "kind": "prepaid"});
        self.make("credits/grants", &grant, "id").await?;
        self.make("keys", &json!({"project": project, "name": "bench"}), "secret").await
    }

    async fn make(&self, what: &str, body: &Value, field: &str) -> Result<String, Failure> {
        let path = format!("/admin/v1/{what}");
        let request = request::post(&path, self.address, self.key, body.to_string().as_bytes());
        let mut connection = Connection::open(self.address).await?;
        let (status, answer) = connection.exchange(&request).await?;
        let value: Option<Value> = serde_json::from_slice(answer).ok();
        let made = value.as_ref().and_then(|value| value.get(field)).and_then(Value::as_str);
        made.filter(|_| status == 201).map(str::to_owned).ok_or_else(|| {
            let said = String::from_utf8_lossy(answer);
            Failure::new(format!("POST {path} answered {status}: {said}"))
        })
    }
}
