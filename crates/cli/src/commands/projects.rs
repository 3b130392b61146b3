//! `project …` and `keys …`.

use serde_json::{Value, json};

use super::operator::{Operator, object};
use crate::args::{KeysCommand, KeysCreateArgs, KeysUpdateArgs, ProjectCommand, ProjectUpdateArgs};
use crate::client::Call;
use crate::failure::Failure;
use crate::views;

impl Operator<'_> {
    /// `project …`
    pub(crate) fn project(&mut self, command: ProjectCommand) -> Result<(), Failure> {
        match command {
            ProjectCommand::Create(args) => {
                let body = object([
                    ("name", Some(json!(args.name))),
                    ("organization", Some(json!(args.org))),
                    ("environment", Some(json!(args.environment))),
                    ("data_class", Some(json!(args.data_class))),
                    ("after_grant", args.after_grant.map(Value::from)),
                ]);
                self.call::<views::NewProject>(&args.gateway, Call::post("/admin/v1/projects", body))
            }
            ProjectCommand::Update(args) => self.update_project(args),
            ProjectCommand::List(args) => {
                let call = Call::get(format!("/admin/v1/organizations/{}/projects", args.org));
                self.call::<views::Projects>(&args.gateway, call)
            }
            ProjectCommand::Archive(args) => {
                let question = format!("{} refuses every call from then on, for good.", args.project);
                self.confirm(args.confirm.yes, &question)?;
                let call = Call::post(&format!("/admin/v1/projects/{}/archive", args.project), json!({}));
                self.call::<views::Project>(&args.gateway, call)
            }
        }
    }

    fn update_project(&mut self, args: ProjectUpdateArgs) -> Result<(), Failure> {
        let body = object([
            ("name", args.name.map(Value::from)),
            ("environment", args.environment.map(Value::from)),
            ("data_class", args.data_class.map(Value::from)),
            ("after_grant", args.after_grant.map(Value::from)),
            ("models", args.models.map(models)),
            ("byok", args.byok.map(Value::from)),
            ("byok_fallback", args.byok_fallback.map(Value::from)),
        ]);
        let call = Call::patch(format!("/admin/v1/projects/{}", args.project), body);
        self.call::<views::Project>(&args.gateway, call)
    }

    /// `keys …`
    pub(crate) fn keys(&mut self, command: KeysCommand) -> Result<(), Failure> {
        match command {
            KeysCommand::Create(args) => self.create_key(args),
            KeysCommand::List(args) => {
                let after = args.after.map(|after| format!("&after={after}")).unwrap_or_default();
                let path = format!("/admin/v1/projects/{}/keys?limit={}{after}", args.project, args.limit);
                self.call::<views::Keys>(&args.gateway, Call::get(path))
            }
            KeysCommand::Show(args) => {
                let call = Call::get(format!("/admin/v1/keys/{}", args.key));
                self.call::<views::Key>(&args.gateway, call)
            }
            KeysCommand::Update(args) => self.update_key(args),
            KeysCommand::Rotate(args) => {
                let body = json!({ "grace_seconds": args.grace_seconds });
                let call = Call::post(&format!("/admin/v1/keys/{}/rotate", args.key), body);
                self.call::<views::NewKey>(&args.gateway, call)
            }
            KeysCommand::Hash => super::hash::run(self.output),
            KeysCommand::Revoke(args) => {
                let question = format!("{} is refused from then on, for good.", args.key);
                self.confirm(args.confirm.yes, &question)?;
                let call = Call::delete(format!("/admin/v1/keys/{}", args.key));
                self.call::<views::Gone>(&args.gateway, call)
            }
        }
    }

    fn create_key(&mut self, args: KeysCreateArgs) -> Result<(), Failure> {
        let body = object([
            ("project", Some(json!(args.project))),
            ("name", args.name.map(Value::from)),
            ("owner", args.owner.map(Value::from)),
            ("expires_at", args.expires.map(Value::from)),
        ]);
        self.call::<views::NewKey>(&args.gateway, Call::post("/admin/v1/keys", body))
    }

    fn update_key(&mut self, args: KeysUpdateArgs) -> Result<(), Failure> {
        let disabled = if args.enable { Some(false) } else { args.disable.then_some(true) };
        let list = |names: Vec<String>| if is_all(&names) { Value::Null } else { json!(names) };
        let body = object([
            ("name", args.name.map(Value::from)),
            ("expires_at", args.expires.map(|at| Value::from((at != "never").then_some(at)))),
            ("disabled", disabled.map(Value::from)),
            ("endpoints", args.endpoints.map(list)),
            ("models", args.models.map(models)),
            ("networks", args.networks.map(list)),
        ]);
        let call = Call::patch(format!("/admin/v1/keys/{}", args.key), body);
        self.call::<views::Key>(&args.gateway, call)
    }
}

/// Whether a list is the word that takes it away.
fn is_all(names: &[String]) -> bool {
    matches!(names, [name] if name == "all")
}

/// The only models that may be called.
fn models(names: Vec<String>) -> Value {
    if is_all(&names) { Value::Null } else { json!({ "mode": "allow_list", "models": names }) }
}
