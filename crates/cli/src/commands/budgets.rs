//! `budgets`: caps on what is consumed in a period.

use serde_json::{Value, json};

use super::operator::{Operator, object, once};
use crate::args::{BudgetsCommand, BudgetsListArgs, BudgetsRemoveArgs, BudgetsSetArgs};
use crate::client::Call;
use crate::failure::Failure;
use crate::views;

impl Operator<'_> {
    /// `budgets …`
    pub(crate) fn budgets(&mut self, command: BudgetsCommand) -> Result<(), Failure> {
        match command {
            BudgetsCommand::Set(args) => self.set_budget(args),
            BudgetsCommand::List(BudgetsListArgs { org, limit, gateway }) => {
                let call = Call::get(format!("/admin/v1/budgets?organization={org}&limit={limit}"));
                self.call::<views::Budgets>(&gateway, call)
            }
            BudgetsCommand::Remove(BudgetsRemoveArgs { budget, org, once: named, gateway }) => {
                let call = Call::delete(format!("/admin/v1/budgets/{budget}?organization={org}"));
                self.call::<views::Removed>(&gateway, call.once(once(named.idempotency_key)))
            }
        }
    }

    fn set_budget(&mut self, args: BudgetsSetArgs) -> Result<(), Failure> {
        let hard = if args.soft { Some(false) } else { args.hard.then_some(true) };
        let body = object([
            ("organization", Some(json!(args.org))),
            ("of", args.of.map(Value::from)),
            ("which", args.which.map(Value::from)),
            ("period", args.period.map(Value::from)),
            ("zone", args.zone.map(Value::from)),
            ("cost", args.cost.map(|cost| json!(cost))),
            ("tokens", args.tokens.map(Value::from)),
            ("steps", args.steps.map(Value::from)),
            ("hard", hard.map(Value::from)),
            ("thresholds", args.thresholds.map(|thresholds| json!(thresholds))),
        ]);
        let call = match args.id {
            Some(id) => Call::patch(format!("/admin/v1/budgets/{id}"), body),
            None => Call::post("/admin/v1/budgets", body),
        };
        self.call::<views::Budget>(&args.gateway, call.once(once(args.once.idempotency_key)))
    }
}
