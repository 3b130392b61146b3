//! Temporary.
use clap::Parser;
#[derive(Parser)]
struct Cli { #[command(flatten)] a: tollkeeper_sim::store::args::StoreArgs }
fn main() -> std::io::Result<std::process::ExitCode> { Cli::parse().a.run() }
