//! What each command does.

mod config;
mod demo;
pub(crate) mod doctor;
mod gateway;
mod init;
mod mock;
mod operator;
mod serve;
mod stop;
pub(crate) mod verify;

use server::OPERATOR_KEY;
use server::config::Environment;

use crate::args::Command;
use crate::failure::Failure;
use crate::output::Output;
use operator::Operator;

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
        Command::Org(command) => operator(output).org(command),
        Command::Project(command) => operator(output).project(command),
        Command::Keys(command) => operator(output).keys(command),
        Command::Credits(command) => operator(output).credits(command),
        Command::Usage(command) => operator(output).usage(command),
        Command::Explain(args) => operator(output).explain(args),
        Command::Mock(args) => mock::run(args, output),
    }
}
