//! `byok …` and `vault …`.

use std::io::Read;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use server::config::Environment;

use super::operator::{Operator, object};
use crate::args::{ByokAddArgs, ByokCommand, VaultCommand};
use crate::client::Call;
use crate::failure::{Exit, Failure};
use crate::views;

/// No secret is longer.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

impl Operator<'_> {
    /// `byok …`
    pub(crate) fn byok(&mut self, command: ByokCommand, environment: &Environment) -> Result<(), Failure> {
        let path = |org, key| format!("/admin/v1/organizations/{org}/provider-keys/{key}");
        match command {
            ByokCommand::Add(args) => self.bring(args, environment),
            ByokCommand::List(args) => {
                let call = Call::get(format!("/admin/v1/organizations/{}/provider-keys", args.org));
                self.call::<views::ProviderKeys>(&args.gateway, call)
            }
            ByokCommand::Test(args) => {
                let call = Call::post(&format!("{}/test", path(args.org, args.key)), json!({}));
                self.call::<views::ProviderKey>(&args.gateway, call)
            }
            ByokCommand::Enable(args) => {
                let call = Call::patch(path(args.org, args.key), json!({ "disabled": false }));
                self.call::<views::ProviderKey>(&args.gateway, call)
            }
            ByokCommand::Disable(args) => {
                let call = Call::patch(path(args.org, args.key), json!({ "disabled": true }));
                self.call::<views::ProviderKey>(&args.gateway, call)
            }
            ByokCommand::Remove(args) => {
                let question = format!("{} and its secret are forgotten, for good.", args.key.key);
                self.confirm(args.confirm.yes, &question)?;
                let call = Call::delete(path(args.key.org, args.key.key));
                self.call::<views::Gone>(&args.key.gateway, call)
            }
        }
    }

    fn bring(&mut self, args: ByokAddArgs, environment: &Environment) -> Result<(), Failure> {
        let secret = match &args.from {
            Some(reference) => environment
                .secret(reference)
                .map_err(|why| Failure::new(Exit::Usage, format!("--from: {why}")))?,
            None => of_standard_input()?,
        };
        let body = object([
            ("provider", Some(Value::from(args.provider))),
            ("secret", Some(Value::from(secret.expose_secret().trim()))),
            ("label", args.label.map(Value::from)),
            ("project", args.project.map(|project| json!(project))),
            ("test", args.untested.then_some(Value::from(false))),
        ]);
        let call = Call::post(&format!("/admin/v1/organizations/{}/provider-keys", args.org), body);
        self.call::<views::ProviderKey>(&args.gateway, call)
    }

    /// `vault …`
    pub(crate) fn vault(&mut self, command: VaultCommand) -> Result<(), Failure> {
        match command {
            VaultCommand::Status(args) => {
                self.call::<views::Vault>(&args.gateway, Call::get("/admin/v1/vault".to_owned()))
            }
            VaultCommand::Rotate(args) => {
                self.call::<views::Rotation>(&args.gateway, Call::post("/admin/v1/vault/rotate", json!({})))
            }
        }
    }
}

fn of_standard_input() -> Result<SecretString, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(SECRET_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::new(Exit::Usage, format!("standard input cannot be read: {error}")))?;
    if text.trim().is_empty() {
        let how = "the secret is missing: write it to standard input, or say where it is with --from env:NAME or --from \
                   file:PATH";
        return Err(Failure::new(Exit::Usage, how.to_owned()));
    }
    Ok(SecretString::from(text))
}
