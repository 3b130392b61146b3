//! `route …`: where the calls of a model go.

use super::limits::encoded;
use super::operator::Operator;
use crate::args::{RouteCommand, RouteExplainArgs};
use crate::client::Call;
use crate::failure::Failure;
use crate::views;

impl Operator<'_> {
    /// `route …`
    pub(crate) fn route(&mut self, command: RouteCommand) -> Result<(), Failure> {
        let RouteCommand::Explain(RouteExplainArgs { model, key, gateway }) = command;
        let model = encoded(&model);
        let path = match key {
            Some(key) => format!("/admin/v1/keys/{key}/route?model={model}"),
            None => format!("/admin/v1/routes/explain?model={model}"),
        };
        self.call::<views::RouteExplained>(&gateway, Call::get(path))
    }
}
