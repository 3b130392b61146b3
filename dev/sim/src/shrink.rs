//! Makes a failing script small: what is not needed for the failure is left out, step by step, until every step is.

use crate::model::Twist;
use crate::script::{Step, Violation};
use crate::seed::replay;

/// The shortest script found that still fails, and how it fails; `None` when the script does not fail at all.
///
/// It may fail otherwise than before: whatever fails in fewer steps is worth a look first.
pub fn shrink(steps: &[Step], twist: Option<Twist>) -> Option<(Vec<Step>, Violation)> {
    let mut violation = replay(steps, twist).err()?;
    let mut best = prefix(steps, &violation);
    let mut chunk = best.len() / 2;
    while chunk > 0 {
        let before = best.len();
        let mut at = 0;
        while at < best.len() {
            let end = (at + chunk).min(best.len());
            let without: Vec<Step> = best.iter().take(at).chain(best.iter().skip(end)).cloned().collect();
            match replay(&without, twist) {
                Err(found) => {
                    best = prefix(&without, &found);
                    violation = found;
                }
                Ok(()) => at = end,
            }
        }
        // Single steps are tried until none can go.
        if chunk > 1 || best.len() == before {
            chunk /= 2;
        }
    }
    Some((best, violation))
}

/// The steps up to the one that fails.
fn prefix(steps: &[Step], violation: &Violation) -> Vec<Step> {
    steps.iter().take(violation.step + 1).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Depth;
    use crate::seed::{Plan, script};

    #[test]
    fn a_long_failure_becomes_a_short_one() {
        let twist = Some(Twist::DebtStays);
        let failing = (1..200).find_map(|seed| {
            let (steps, result) = script(Plan { seed, steps: 300, depth: Depth { every: 1 }, twist });
            result.is_err().then_some(steps)
        });
        let steps = failing.expect("a seed in which debt is paid");
        let (short, violation) = shrink(&steps, twist).expect("it fails again");
        assert_eq!(violation.step + 1, short.len());
        // Books, a hold that leads into debt, its settlement, and credit that should pay the debt.
        assert!(short.len() <= 8, "{short:#?}");
        assert_eq!(replay(&short, twist), Err(violation));
        assert_eq!(replay(&short, None), Ok(()));
    }
}
