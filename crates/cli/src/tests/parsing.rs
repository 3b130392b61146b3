//! What can be typed, and how mistakes are answered.

use clap::{CommandFactory, Parser};

use crate::args::Cli;

const ORG: &str = "org_01920000000070008000000000000001";
const PROJECT: &str = "proj_01920000000070008000000000000002";
const REQUEST: &str = "req_01920000000070008000000000000003";
const WALLET: &str = "wal_01920000000070008000000000000006";
const BUDGET: &str = "bud_01920000000070008000000000000007";
const KEY: &str = "key_01920000000070008000000000000008";
const USER: &str = "user_01920000000070008000000000000009";
const CONSENT: &str = "con_0192000000007000800000000000000b";
const LIMIT: &str = "rl_0192000000007000800000000000000a";

/// Parses a line, in which `ORG`, `PROJECT`, … stand for ids; arguments are parted by blanks, `_` is a blank.
fn parse(line: &str) -> Result<Cli, clap::Error> {
    let words = line.split(' ').filter(|word| !word.is_empty()).map(|word| match word {
        "ORG" => ORG.to_owned(),
        "PROJECT" => PROJECT.to_owned(),
        "REQUEST" => REQUEST.to_owned(),
        "WALLET" => WALLET.to_owned(),
        "BUDGET" => BUDGET.to_owned(),
        "KEY" => KEY.to_owned(),
        "USER" => USER.to_owned(),
        "CONSENT" => CONSENT.to_owned(),
        "LIMIT" => LIMIT.to_owned(),
        _ => word.replace('_', " "),
    });
    Cli::try_parse_from(std::iter::once("tollkeeper".to_owned()).chain(words))
}

#[test]
fn the_model_is_consistent_and_everything_has_a_help_text() {
    fn check(command: &clap::Command) {
        assert!(command.get_about().is_some(), "`{}` has no help text", command.get_name());
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "`{}` of `{}`", argument.get_id(), command.get_name());
        }
        for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
            check(subcommand);
        }
    }
    Cli::command().debug_assert();
    check(&Cli::command());
}

#[test]
fn lines_mean_what_they_say() {
    for (line, meaning) in [
        ("demo", "Demo(DemoArgs { data: \"demo-data\", listen: 127.0.0.1:4400 })"),
        ("demo --data d --listen 127.0.0.1:0", "Demo(DemoArgs { data: \"d\", listen: 127.0.0.1:0 })"),
        ("init", "Init(InitArgs { file: \"tollkeeper.toml\" })"),
        ("init x.toml", "Init(InitArgs { file: \"x.toml\" })"),
        ("serve --data d", "Serve(ServeArgs { data: \"d\", config: None, listen: None })"),
        (
            "serve --data d --config c --listen [::1]:80",
            "Serve(ServeArgs { data: \"d\", config: Some(\"c\"), listen: Some([::1]:80) })",
        ),
        ("config check --config c", "Config(Check(ConfigCheckArgs { config: Some(\"c\") }))"),
        (
            "doctor --data d --live",
            "Doctor(DoctorArgs { data: Some(\"d\"), config: None, live: true, key: None, key_file: None, model: None, gateway: GatewayArgs { url: GatewayUrl(\"http://127.0.0.1:4400\") } })",
        ),
        ("verify --data d", "Verify(VerifyArgs { data: \"d\" })"),
        (
            "route advise --prototype yes --calls 500 --card no",
            "Route(Advise(RouteAdviseArgs { prototype: Some(Yes), calls: Some(500), strict_compliance: None,",
        ),
        ("backup --data d --to f", "Backup(BackupArgs { data: \"d\", to: \"f\", force: false })"),
        (
            "restore --from f --data d --force",
            "Restore(RestoreArgs { from: \"f\", data: \"d\", force: true })",
        ),
        ("unfreeze --data d --org ORG", "Unfreeze(UnfreezeArgs { data: \"d\", org: org_0192"),
        ("credits topup --org ORG --amount 5", "Topup(TopUpArgs { org: org_0192"),
        ("credits statement --org ORG --month 2026-11", "Statement(CreditsStatementArgs { org: org_0192"),
        (
            "org create A_Co --url http://h:1/",
            "name: \"A Co\", time_zone: None, in_flight: None, gateway: GatewayArgs { url: GatewayUrl(\"http://h:1\") }",
        ),
        ("org create x --time-zone Europe/Berlin --in-flight stops", "in_flight: Some(\"stops\")"),
        ("org update ORG --in-flight completes", "in_flight: Some(\"completes\")"),
        ("org list", "Org(List("),
        ("org show ORG", "Org(Show("),
        ("project create x --org ORG", "environment: \"dev\", data_class: \"internal\""),
        ("project create x --org ORG --data-class sensitive", "data_class: \"sensitive\""),
        ("project create x --org ORG --environment prod", "environment: \"prod\""),
        ("org update ORG --country none --verified false", "country: Some(\"none\"), verified: Some(false)"),
        ("project update PROJECT --models gpt-5*,o3", "models: Some([\"gpt-5*\", \"o3\"])"),
        ("project update PROJECT --data-class public", "data_class: Some(\"public\")"),
        ("project create x --org ORG --after-grant stop", "after_grant: Some(\"stop\")"),
        ("project update PROJECT --after-grant paid", "after_grant: Some(\"paid\")"),
        ("project list --org ORG", "Project(List("),
        ("project archive PROJECT --yes", "confirm: ConfirmArgs { yes: true }"),
        ("keys list --project PROJECT --limit 5 --after KEY", "limit: 5, after: Some(key_0192"),
        ("keys show KEY", "Keys(Show("),
        ("keys update KEY --disable --networks 10.0.0.0/8", "disable: true, enable: false"),
        ("keys update KEY --expires never --endpoints all", "expires: Some(\"never\")"),
        ("keys rotate KEY --grace-seconds 60", "grace_seconds: 60"),
        ("keys revoke KEY --yes", "Keys(Revoke("),
        ("members add a@b.c --org ORG --role owner", "role: \"owner\""),
        ("members list --org ORG", "Members(List("),
        ("members remove USER --org ORG", "yes: false"),
        ("members key USER --org ORG --name ci", "name: Some(\"ci\")"),
        ("consents list --org ORG --user USER", "user: Some(user_0192"),
        ("consents revoke CONSENT --org ORG --yes", "Consents(Revoke("),
        ("limits set --org ORG --requests-per-minute 60", "of: \"organization\", which: None, model: \"*\""),
        ("limits set --org ORG --of key --which KEY --model sim* --concurrent-requests 2", "of: \"key\""),
        ("limits list --org ORG", "Limits(List("),
        ("limits remove LIMIT --org ORG", "Limits(Remove("),
        ("audit --org ORG --jsonl", "jsonl: true"),
        ("audit --org ORG --limit 7", "jsonl: false, limit: 7, after: None"),
        ("keys create --project PROJECT", "name: None"),
        ("keys create --project PROJECT --name laptop", "name: Some(\"laptop\")"),
        (
            "credits grant --org ORG --amount 5.00 --kind promo",
            "amount: Money(5000000000), kind: \"promo\", expires: None",
        ),
        (
            "credits grant --org ORG --amount 0.000000001 --kind prepaid --expires 2027-01-31 --idempotency-key a",
            "expires: Some(Timestamp(1801353600000000)), wallet: Own, reason: None, once: OnceArgs { idempotency_key: Some(\"a\") }",
        ),
        (
            "credits grant --org ORG --amount 5 --kind promo --wallet WALLET",
            "wallet: Id(wal_01920000000070008000000000000006)",
        ),
        ("wallets create chat --org ORG --project PROJECT --overflow", "model: [], overflow: true"),
        (
            "wallets create chat --org ORG --model sim-* --model a/b",
            "project: None, model: [\"sim-*\", \"a/b\"]",
        ),
        ("wallets list --org ORG", "Wallets(List("),
        ("credits transfer --org ORG --from own --to WALLET --amount 1.5", "from: Own, to: Id(wal_"),
        ("credits refund REQUEST --reason a_slip", "amount: None, reason: \"a slip\", expires: None"),
        ("credits payout --org ORG --amount 1 --reason closed --yes", "confirm: ConfirmArgs { yes: true }"),
        ("credits adjust --org ORG --amount -1.50 --reason slip", "amount: Money(-1500000000)"),
        ("credits redeem welcome-10 --org ORG", "code: \"welcome-10\""),
        ("credits ledger --org ORG --before 7", "page: PageArgs { limit: 20, before: Some(7) }"),
        (
            "promo create WELCOME --amount 5 --uses 10 --credit-days 90",
            "uses: 10, expires: None, credit_days: Some(90)",
        ),
        ("promo list", "Promo(List("),
        (
            "budgets set --org ORG --of user --which u-1 --period daily --cost 1 --tokens 5 --steps 2 --soft",
            "cost: Some(Money(1000000000)), tokens: Some(5), steps: Some(2), soft: true, hard: false",
        ),
        ("budgets set --org ORG --id BUDGET --thresholds 50,90", "thresholds: Some([50, 90])"),
        ("budgets list --org ORG", "limit: 20"),
        ("budgets remove BUDGET --org ORG", "budget: bud_01920000000070008000000000000007"),
        ("events --org ORG --limit 5", "page: PageArgs { limit: 5, before: None }"),
        (
            "credits balance --org ORG",
            "Balance(CreditsBalanceArgs { org: org_01920000000070008000000000000001",
        ),
        ("usage list --org ORG", "limit: 20"),
        ("usage list --org ORG --limit 1000", "limit: 1000"),
        ("explain REQUEST", "request_id: req_01920000000070008000000000000003"),
        ("mock", "MockArgs { listen: 127.0.0.1:4401, truth_log: None, threads: 1"),
        (
            "mock --listen 127.0.0.1:0 --truth-log t --threads 2",
            "listen: 127.0.0.1:0, truth_log: Some(\"t\"), threads: 2",
        ),
        ("mock --behaviour fault=hang;tps=50", "tps: 50"),
    ] {
        for (line, json) in
            [(line.to_owned(), false), (format!("{line} --json"), true), (format!("--json {line}"), true)]
        {
            let cli = parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(cli.json, json, "{line}");
            let found = format!("{:?}", cli.command);
            assert!(found.contains(meaning), "{line}: {found}");
        }
    }
}

#[test]
fn mistakes_name_themselves_and_end_with_2() {
    for (line, words) in [
        ("", "Usage: tollkeeper"),
        ("fly", "unrecognized subcommand 'fly'"),
        ("serve", "--data <DIR>"),
        ("serve --data d --listen 4400", "invalid value '4400' for '--listen <ADDR>'"),
        ("doctor", "--data <DIR>"),
        ("org", "create"),
        ("org create", "<NAME>"),
        ("org create x --url ftp://h", "write it like http://127.0.0.1:4400"),
        ("org create x --url localhost:4400", "write it like http://127.0.0.1:4400"),
        ("org create x --url http://h:1/v1/", "leave out /v1, which is for OpenAI clients: http://h:1"),
        ("org create x --url http://user:secret@h", "write it like http://127.0.0.1:4400"),
        ("project create x", "--org <ID>"),
        ("project create x --org PROJECT", "it looks like org_… with 32 hexadecimal digits"),
        ("project create x --org ORG --environment production", "[possible values: dev, staging, prod]"),
        ("project create x --org ORG --data-class secret", "[possible values: public, internal, sensitive]"),
        ("keys create --project ORG", "it looks like proj_… with 32 hexadecimal digits"),
        ("credits grant --org ORG --kind promo", "--amount <AMOUNT>"),
        ("credits grant --org ORG --amount 5 --kind refund", "[possible values: promo, prepaid]"),
        (
            "credits grant --org ORG --amount five --kind promo",
            "`five` is not a decimal amount; write it like 5.00",
        ),
        ("credits grant --org ORG --amount 5,00 --kind promo", "write it like 5.00"),
        ("credits grant --org ORG --amount -5 --kind promo", "the amount must be above zero"),
        ("credits grant --org ORG --amount 0.00 --kind promo", "the amount must be above zero"),
        ("org update ORG", "--name <NAME>"),
        ("wallets create x --org ORG", "--project <ID>"),
        ("wallets create x --org ORG --model m --overflow", "cannot be used with"),
        ("credits transfer --org ORG --from mine --to own --amount 1", "or write own"),
        ("credits refund REQUEST", "--reason <TEXT>"),
        ("credits payout --org ORG --amount -1 --reason x", "the amount must be above zero"),
        ("credits adjust --org ORG --amount 0 --reason x", "zero changes nothing"),
        ("credits ledger --org ORG --before 0", "0 is not in 1.."),
        ("promo create X --amount 1 --uses 0", "0 is not in 1.."),
        ("budgets set --org ORG --cost 1", "--of <OF>"),
        (
            "budgets set --org ORG --of team --period daily --cost 1",
            "[possible values: organization, project, key",
        ),
        ("budgets set --org ORG --of run --period hourly --cost 1", "[possible values: daily, weekly"),
        ("budgets set --org ORG --of run --period total --cost -1", "a cap must not be below zero"),
        ("budgets set --org ORG --of run --period total --thresholds 50,101", "101 is not in 1..=100"),
        ("budgets set --org ORG --id BUDGET --period daily", "cannot be used with"),
        ("budgets set --org ORG --id BUDGET --soft --hard", "cannot be used with"),
        ("credits grant --org ORG --amount 1.0000000001 --kind promo", "more than 9 decimals"),
        (
            "credits grant --org ORG --amount 5 --kind promo --expires soon",
            "`soon` is not a date; write 2027-01-31",
        ),
        ("usage list --org ORG --limit 0", "0 is not in 1..=1000"),
        ("usage list --org ORG --limit 1001", "1001 is not in 1..=1000"),
        ("explain ORG", "it looks like req_… with 32 hexadecimal digits"),
        ("mock --behaviour speed=9", "behaviour key `speed` is unknown"),
        ("mock --threads 0", "0 is not in 1..=64"),
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains(words), "{line}: {error}");
    }
}

#[test]
fn help_and_version_are_no_mistakes() {
    for (line, words) in [
        ("--help", "tollkeeper demo"),
        ("--help", "Exit codes: 0 ok"),
        ("help serve", "--data <DIR>"),
        ("credits grant --help", "[env: TOLLKEEPER_URL="),
        ("credits grant --help", "[default: http://127.0.0.1:4400]"),
        ("--version", env!("CARGO_PKG_VERSION")),
        ("org create --version", env!("CARGO_PKG_VERSION")),
    ] {
        let shown = parse(line).expect_err(line);
        assert_eq!(shown.exit_code(), 0, "{line}");
        assert!(shown.to_string().contains(words), "{line}: {shown}");
    }
}
