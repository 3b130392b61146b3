//! `pools …`: what pays before money does, and the programmes that an organization joins.

use serde_json::json;

use super::limits::encoded;
use super::operator::Operator;
use crate::args::{PoolArgs, PoolsCommand};
use crate::client::Call;
use crate::failure::Failure;
use crate::views;

impl Operator<'_> {
    /// `pools …`
    pub(crate) fn pools(&mut self, command: PoolsCommand) -> Result<(), Failure> {
        match command {
            PoolsCommand::List(args) => {
                let call = Call::get(format!("/admin/v1/organizations/{}/pools", args.org));
                self.call::<views::Pools>(&args.gateway, call)
            }
            PoolsCommand::Join(args) => {
                let call = Call::put(programme(&args), json!({}));
                self.call::<views::Organization>(&args.gateway, call)
            }
            PoolsCommand::Leave(args) => {
                let call = Call::delete(programme(&args));
                self.call::<views::Organization>(&args.gateway, call)
            }
        }
    }
}

fn programme(args: &PoolArgs) -> String {
    format!("/admin/v1/organizations/{}/programmes/{}", args.org, encoded(&args.programme))
}
