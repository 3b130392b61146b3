//! One seed from its first command to its last: chaos, then peace, in which everything must come to an end.

use domain::{OrganizationId, Timestamp};
use ledger::Command;

use crate::chaos::Chaos;
use crate::model::Twist;
use crate::run::{Depth, World};
use crate::script::{Step, Violation};
use crate::tally::Tally;

/// How a seed is run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Steps of chaos.
    pub steps: usize,
    /// How much is checked.
    pub depth: Depth,
    /// A rule of the model turned wrong.
    pub twist: Option<Twist>,
}

/// Runs a seed.
///
/// # Errors
/// The first violation.
pub fn run(plan: Plan) -> Result<Tally, Violation> {
    run_keeping(plan, |_| {})
}

/// Runs a seed and keeps its steps, for as far as it gets.
pub fn script(plan: Plan) -> (Vec<Step>, Result<Tally, Violation>) {
    let mut steps = Vec::new();
    let result = run_keeping(plan, |step| steps.push(step.clone()));
    (steps, result)
}

fn run_keeping(plan: Plan, mut keep: impl FnMut(&Step)) -> Result<Tally, Violation> {
    let mut world = World::new(plan.depth);
    world.model.twist = plan.twist;
    let mut chaos = Chaos::new(plan.seed);
    let mut tally = Tally::default();
    for number in 0..plan.steps {
        let step = chaos.next(&world.model, &mut tally);
        keep(&step);
        world.step(step).map_err(|what| Violation { step: number, what })?;
    }
    let end = |what| Violation { step: plan.steps, what };
    world.audit().map_err(end)?;
    for (number, step) in peace(&world).into_iter().enumerate() {
        keep(&step);
        world.step(step).map_err(|what| Violation { step: plan.steps + number, what })?;
    }
    at_rest(&world).map_err(end)?;
    world.audit().map_err(end)?;
    tally.merge(&world.tally);
    Ok(tally)
}

/// Does a script again.
///
/// # Errors
/// The first violation.
pub fn replay(steps: &[Step], twist: Option<Twist>) -> Result<(), Violation> {
    let mut world = World::new(Depth { every: 1 });
    world.model.twist = twist;
    for (number, step) in steps.iter().enumerate() {
        world.step(step.clone()).map_err(|what| Violation { step: number, what })?;
    }
    world.audit().map_err(|what| Violation { step: steps.len(), what })
}

/// The clock is healed and every call ends, some by their callers, the others by the sweep; at last all credit that can
/// expire does.
fn peace(world: &World) -> Vec<Step> {
    let seen = world.model.owners.values().map(|owner| owner.now).max().unwrap_or(0);
    let now = Timestamp::from_micros(seen);
    let mut steps: Vec<Step> = world.model.owners.keys().map(|owner| Step::Thaw(*owner)).collect();
    for (number, (organization, request, draft)) in world.live().into_iter().enumerate() {
        if number % 2 == 0 {
            steps.push(Step::Do(Command::Settle { organization, request, rows: vec![draft] }, now));
        }
    }
    let sweep = |organization: OrganizationId, now: Timestamp| {
        Step::Do(Command::Sweep { organization, warn_seconds: 0, stale_before: Timestamp::MAX }, now)
    };
    let owners = world.model.owners.keys();
    steps.extend(owners.clone().map(|owner| sweep(*owner, now)));
    let late = Timestamp::from_micros(i64::MAX - 1);
    steps.extend(owners.map(|owner| sweep(*owner, late)));
    steps
}

/// Nothing is held, and only credit that never expires is left.
fn at_rest(world: &World) -> Result<(), String> {
    for (organization, owner) in &world.model.owners {
        if !owner.stakes.is_empty() {
            return Err(format!("{organization} has holds that never end"));
        }
        let lots = owner.purses.iter().flat_map(|purse| purse.lots.values());
        if let Some(lot) = lots.into_iter().find(|lot| lot.expires_at < i64::MAX - 1) {
            return Err(format!("{lot:?} never expires"));
        }
        world.check(*organization)?;
    }
    Ok(())
}
