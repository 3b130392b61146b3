//! `members …`, `consents …` and `audit`.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::operator::{Operator, object};
use crate::args::{AuditArgs, ConsentsCommand, MembersCommand};
use crate::client::{Call, send};
use crate::failure::{Exit, Failure};
use crate::views;

impl Operator<'_> {
    /// `members …`
    pub(crate) fn members(&mut self, command: MembersCommand) -> Result<(), Failure> {
        match command {
            MembersCommand::Add(args) => {
                let body = object([
                    ("email", Some(Value::from(args.email))),
                    ("name", args.name.map(Value::from)),
                    ("role", Some(Value::from(args.role))),
                ]);
                let call = Call::post(&format!("/admin/v1/organizations/{}/users", args.org), body);
                self.call::<views::NewMember>(&args.gateway, call)
            }
            MembersCommand::List(args) => {
                let call = Call::get(format!("/admin/v1/organizations/{}/users", args.org));
                self.call::<views::Members>(&args.gateway, call)
            }
            MembersCommand::Remove(args) => {
                let question = format!("{} leaves the organization, and their keys end.", args.user);
                self.confirm(args.confirm.yes, &question)?;
                let path = format!("/admin/v1/organizations/{}/users/{}", args.org, args.user);
                self.call::<views::Gone>(&args.gateway, Call::delete(path))
            }
            MembersCommand::Key(args) => {
                let body = object([("user", Some(json!(args.user))), ("name", args.name.map(Value::from))]);
                let call = Call::post(&format!("/admin/v1/organizations/{}/admin-keys", args.org), body);
                self.call::<views::NewAdminKey>(&args.gateway, call)
            }
        }
    }

    /// `consents …`
    pub(crate) fn consents(&mut self, command: ConsentsCommand) -> Result<(), Failure> {
        match command {
            ConsentsCommand::List(args) => {
                let user = args.user.map(|user| format!("?user={user}")).unwrap_or_default();
                let path = format!("/admin/v1/organizations/{}/consents{user}", args.org);
                self.call::<views::Consents>(&args.gateway, Call::get(path))
            }
            ConsentsCommand::Revoke(args) => {
                let question = format!("{} ends, and the app is refused from now on.", args.consent);
                self.confirm(args.confirm.yes, &question)?;
                let path = format!("/admin/v1/organizations/{}/consents/{}", args.org, args.consent);
                self.call::<views::Consent>(&args.gateway, Call::delete(path))
            }
        }
    }

    /// `audit`
    pub(crate) fn audit(&mut self, args: &AuditArgs) -> Result<(), Failure> {
        let path = format!("/admin/v1/organizations/{}/audit", args.org);
        if args.jsonl {
            return self.export(args, &path);
        }
        let after = args.after.map(|after| format!("&after={after}")).unwrap_or_default();
        self.call::<views::Audit>(&args.gateway, Call::get(format!("{path}?limit={}{after}", args.limit)))
    }

    /// Prints all of the log, page by page, so that none of it is kept in memory.
    fn export(&mut self, args: &AuditArgs, path: &str) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Page {
            data: Vec<Box<RawValue>>,
            has_more: bool,
        }
        #[derive(Deserialize)]
        struct Line {
            id: String,
        }
        let unreadable = |error: serde_json::Error| {
            Failure::new(Exit::Failure, format!("the gateway's answer could not be read: {error}"))
                .next("use a `tollkeeper` of the gateway's own version")
        };
        let mut after = String::new();
        loop {
            let call = Call::get(format!("{path}?limit=1000{after}"));
            let answer = send(&args.gateway.url, self.key, call)?;
            let page: Page = serde_json::from_str(answer.get()).map_err(unreadable)?;
            for line in &page.data {
                self.output.data(line.get())?;
            }
            match page.data.last().filter(|_| page.has_more) {
                Some(last) => {
                    let Line { id } = serde_json::from_str(last.get()).map_err(unreadable)?;
                    after = format!("&after={id}");
                }
                None => return Ok(()),
            }
        }
    }
}
