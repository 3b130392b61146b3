//! `route explain`: where the calls of a model go.

use super::limits::encoded;
use super::operator::Operator;
use crate::args::RouteExplainArgs;
use crate::client::Call;
use crate::failure::Failure;
use crate::views;

impl Operator<'_> {
    /// `route explain`
    pub(crate) fn explain_route(&mut self, args: RouteExplainArgs) -> Result<(), Failure> {
        let RouteExplainArgs { model, key, gateway } = args;
        let model = encoded(&model);
        let path = match key {
            Some(key) => format!("/admin/v1/keys/{key}/route?model={model}"),
            None => format!("/admin/v1/routes/explain?model={model}"),
        };
        self.call::<views::RouteExplained>(&gateway, Call::get(path))
    }
}
