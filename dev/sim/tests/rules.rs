//! The rules against the model: a few seeds, enough to meet everything there is. CI and releases run many more.

use tollkeeper_sim::campaign::{Campaign, campaign};
use tollkeeper_sim::model::Twist;
use tollkeeper_sim::run::Depth;
use tollkeeper_sim::seed::{Plan, run};
use tollkeeper_sim::tally::Counted;

#[test]
fn the_ledger_does_what_the_model_says() {
    let depth = Depth { every: 1 };
    let outcome = campaign(&Campaign { seeds: 0..200, steps: 300, threads: 2, depth });
    assert_eq!(outcome.failed, [], "replay: sim rules --seed N --commands 300");
    assert_eq!(outcome.seeds, 200);
    // Each seed ends with a few more steps in which everything comes to rest; what befalls the process is no command.
    assert!(outcome.tally.all(Counted::Command) > 55_000, "{}", outcome.tally);
}

#[test]
fn a_modest_run_meets_everything_there_is() {
    let depth = Depth { every: 64 };
    let outcome = campaign(&Campaign { seeds: 1_000..1_150, steps: 1_000, threads: 2, depth });
    assert_eq!(outcome.failed, [], "replay: sim rules --seed N --commands 1000");
    assert_eq!(outcome.tally.missing(), [], "{}", outcome.tally);
}

/// The comparison can fail: each rule of the model, turned wrong, is noticed.
#[test]
fn every_wrong_rule_is_noticed() {
    let noticed = |twist| {
        (0..60).find(|seed| {
            run(Plan { seed: *seed, steps: 400, depth: Depth { every: 4 }, twist: Some(twist) }).is_err()
        })
    };
    let unnoticed: Vec<Twist> = Twist::ALL.into_iter().filter(|twist| noticed(*twist).is_none()).collect();
    assert_eq!(unnoticed, []);
}
