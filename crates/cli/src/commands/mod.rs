//! What each command does.

mod advise;
mod backup;
mod budgets;
mod byok;
mod config;
mod credits;
mod demo;
pub(crate) mod doctor;
mod gateway;
mod hash;
mod init;
pub(crate) mod limits;
mod mock;
mod operator;
mod people;
mod pools;
mod prices;
mod projects;
mod recharge;
mod restore;
mod route;
mod serve;
mod statement;
mod stop;
mod tokens;
mod topup;
mod unfreeze;
pub(crate) mod verify;

use server::OPERATOR_KEY;
use server::config::Environment;

use crate::args::{Command, RouteCommand};
use crate::failure::Failure;
use crate::output::Output;
use operator::Operator;
pub(crate) use recharge::RechargeCommand;
pub(crate) use topup::{ConfirmTopUpArgs, TopUpArgs, TopUpsArgs};

/// Does what was asked.
pub(crate) fn run(command: Command, environment: &Environment, output: &mut Output) -> Result<(), Failure> {
    let operator = |output| Operator::new(environment.get(OPERATOR_KEY), output);
    match command {
        Command::Demo(args) => demo::run(&args, environment, output),
        Command::Init(args) => init::run(&args, output),
        Command::Serve(args) => serve::run(&args, environment, output),
        Command::Config(command) => config::run(command, environment, output),
        Command::Doctor(args) => doctor::run(args, environment, output),
        Command::Verify(args) => verify::run(&args, output),
        Command::Unfreeze(args) => unfreeze::run(&args, output),
        Command::Backup(args) => backup::run(&args, output),
        Command::Restore(args) => restore::run(&args, output),
        Command::Org(command) => operator(output).org(command),
        Command::Project(command) => operator(output).project(command),
        Command::Keys(command) => operator(output).keys(command),
        Command::Members(command) => operator(output).members(command),
        Command::Consents(command) => operator(output).consents(command),
        Command::Audit(args) => operator(output).audit(&args),
        Command::Wallets(command) => operator(output).wallets(command),
        Command::Credits(command) => operator(output).credits(command),
        Command::Promo(command) => operator(output).promo(command),
        Command::Budgets(command) => operator(output).budgets(command),
        Command::Byok(command) => operator(output).byok(command, environment),
        Command::Vault(command) => operator(output).vault(command),
        Command::Limits(command) => operator(output).limits(command),
        Command::Pools(command) => operator(output).pools(command),
        Command::Route(RouteCommand::Advise(args)) => advise::run(&args, output),
        Command::Route(RouteCommand::Explain(args)) => operator(output).explain_route(args),
        Command::Events(args) => operator(output).events(args),
        Command::Usage(command) => operator(output).usage(command),
        Command::Explain(args) => operator(output).explain(args),
        Command::Prices(command) => prices::run(command, output),
        Command::Tokens(command) => tokens::run(command, output),
        Command::Mock(args) => mock::run(args, output),
    }
}
