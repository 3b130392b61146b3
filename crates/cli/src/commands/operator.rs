//! The commands that administer a running gateway: each is one call of its operator API.

use http::Method;
use serde_json::{Map, Value, json};

use crate::args::{
    CreditsBalanceArgs, CreditsCommand, CreditsGrantArgs, ExplainArgs, GatewayArgs, KeysCommand, OrgCommand,
    ProjectCommand, UsageCommand, UsageListArgs,
};
use crate::client::{Call, send};
use crate::failure::Failure;
use crate::output::{Output, View};
use crate::views;

/// Calls the gateway and shows its answer.
pub(crate) struct Operator<'a> {
    key: Option<&'a str>,
    output: &'a mut Output,
}

impl<'a> Operator<'a> {
    /// An operator with this key, if any, who looks at this output.
    pub(crate) const fn new(key: Option<&'a str>, output: &'a mut Output) -> Self {
        Self { key, output }
    }

    /// `org …`
    pub(crate) fn org(&mut self, command: OrgCommand) -> Result<(), Failure> {
        match command {
            OrgCommand::Create(args) => {
                let call = Call::post("/admin/v1/organizations", json!({ "name": args.name }));
                self.call::<views::Organization>(&args.gateway, call)
            }
        }
    }

    /// `project …`
    pub(crate) fn project(&mut self, command: ProjectCommand) -> Result<(), Failure> {
        match command {
            ProjectCommand::Create(args) => {
                let body =
                    json!({ "name": args.name, "organization": args.org, "environment": args.environment });
                self.call::<views::Project>(&args.gateway, Call::post("/admin/v1/projects", body))
            }
        }
    }

    /// `keys …`
    pub(crate) fn keys(&mut self, command: KeysCommand) -> Result<(), Failure> {
        match command {
            KeysCommand::Create(args) => {
                let body =
                    object([("project", Some(json!(args.project))), ("name", args.name.map(Value::from))]);
                self.call::<views::Key>(&args.gateway, Call::post("/admin/v1/keys", body))
            }
        }
    }

    /// `credits …`
    pub(crate) fn credits(&mut self, command: CreditsCommand) -> Result<(), Failure> {
        match command {
            CreditsCommand::Grant(args) => self.grant(args),
            CreditsCommand::Balance(CreditsBalanceArgs { org, gateway }) => {
                let call = Call::get(format!("/admin/v1/organizations/{org}/balance"));
                self.call::<views::Balance>(&gateway, call)
            }
        }
    }

    /// `usage …`
    pub(crate) fn usage(&mut self, command: UsageCommand) -> Result<(), Failure> {
        match command {
            UsageCommand::List(UsageListArgs { org, limit, gateway }) => {
                let call = Call::get(format!("/admin/v1/usage?organization={org}&limit={limit}"));
                self.call::<views::Usage>(&gateway, call)
            }
        }
    }

    /// `explain …`
    pub(crate) fn explain(&mut self, args: ExplainArgs) -> Result<(), Failure> {
        let call = Call::get(format!("/admin/v1/requests/{}", args.request_id));
        self.call::<views::Explained>(&args.gateway, call)
    }

    fn grant(&mut self, args: CreditsGrantArgs) -> Result<(), Failure> {
        let body = object([
            ("organization", Some(json!(args.org))),
            ("amount", Some(json!(args.amount))),
            ("kind", Some(Value::from(args.kind))),
            ("expires_at", args.expires.map(|at| json!(at))),
        ]);
        let call = Call {
            method: Method::POST,
            path: "/admin/v1/credits/grants".to_owned(),
            body: Some(body),
            idempotency_key: args.idempotency_key,
        };
        self.call::<views::Lot>(&args.gateway, call)
    }

    fn call<T: View + serde::de::DeserializeOwned>(
        &mut self,
        gateway: &GatewayArgs,
        call: Call,
    ) -> Result<(), Failure> {
        let answer = send(&gateway.url, self.key, call)?;
        self.output.answer::<T>(&answer)
    }
}

/// A JSON object of the fields that have a value.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let present = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}
