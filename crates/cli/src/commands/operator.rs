//! The commands that administer a running gateway: each is one call of its operator API.

use domain::Ids;
use serde_json::{Map, Value};

use crate::args::{
    EventsArgs, ExplainArgs, GatewayArgs, OrgCommand, OrgUpdateArgs, PageArgs, UsageCommand, UsageListArgs,
};
use crate::client::{Call, send};
use crate::failure::Failure;
use crate::output::{Output, View};
use crate::views;

/// Calls the gateway and shows its answer.
pub(crate) struct Operator<'a> {
    pub(super) key: Option<&'a str>,
    pub(super) output: &'a mut Output,
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
                let body = object([
                    ("name", Some(Value::from(args.name))),
                    ("time_zone", args.time_zone.map(Value::from)),
                    ("in_flight", args.in_flight.map(Value::from)),
                ]);
                let call = Call::post("/admin/v1/organizations", body);
                self.call::<views::NewOrganization>(&args.gateway, call)
            }
            OrgCommand::Update(args) => self.update_organization(args),
            OrgCommand::List(args) => {
                let call = Call::get("/admin/v1/organizations".to_owned());
                self.call::<views::Organizations>(&args.gateway, call)
            }
            OrgCommand::Show(args) => {
                let call = Call::get(format!("/admin/v1/organizations/{}", args.org));
                self.call::<views::Organization>(&args.gateway, call)
            }
        }
    }

    fn update_organization(&mut self, args: OrgUpdateArgs) -> Result<(), Failure> {
        let body = object([
            ("name", args.name.map(Value::from)),
            ("time_zone", args.time_zone.map(Value::from)),
            ("in_flight", args.in_flight.map(Value::from)),
            ("country", args.country.map(|country| Value::from((country != "none").then_some(country)))),
            ("verified", args.verified.map(Value::from)),
        ]);
        let call = Call::patch(format!("/admin/v1/organizations/{}", args.org), body);
        self.call::<views::Organization>(&args.gateway, call)
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

    /// `events`
    pub(crate) fn events(&mut self, args: EventsArgs) -> Result<(), Failure> {
        let EventsArgs { org, page, gateway } = args;
        let call = Call::get(format!("/admin/v1/events?organization={org}&{}", query(&page)));
        self.call::<views::Events>(&gateway, call)
    }

    /// `explain …`
    pub(crate) fn explain(&mut self, args: ExplainArgs) -> Result<(), Failure> {
        let call = Call::get(format!("/admin/v1/requests/{}/explain", args.request_id));
        self.call::<views::Explained>(&args.gateway, call)
    }

    /// One call, and what came of it.
    pub(super) fn call<T: View + serde::de::DeserializeOwned>(
        &mut self,
        gateway: &GatewayArgs,
        call: Call,
    ) -> Result<(), Failure> {
        let answer = send(&gateway.url, self.key, call)?;
        self.output.answer::<T>(&answer)
    }

    /// Asks whether what cannot be undone is meant, unless that was said already.
    pub(super) fn confirm(&mut self, yes: bool, question: &str) -> Result<(), Failure> {
        if yes { Ok(()) } else { self.output.confirm(question) }
    }
}

/// The name under which a call counts once: the one that was typed, or a fresh one.
pub(super) fn once(typed: Option<String>) -> String {
    let fresh = || format!("cli-{:032x}", u128::from_be_bytes(server::SystemIds.uuid()));
    typed.unwrap_or_else(fresh)
}

/// The part of a list that is asked for.
pub(super) fn query(page: &PageArgs) -> String {
    let before = page.before.map(|before| format!("&before={before}")).unwrap_or_default();
    format!("limit={}{before}", page.limit)
}

/// A JSON object of the fields that have a value.
pub(super) fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let present = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}
