//! What may be in the books after a death, and what is: exactly one of the possible states, or the store is at fault.

use std::sync::Arc;

use domain::OrganizationId;
use store::inline::Machine as OpenStore;
use store::{Durability, verify};

use super::life::Run;
use super::seen::{Look, Seen};
use super::world::{History, Step, World};

/// Steps that may have happened: all of them, or as few as `least` of them from the first on.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) steps: Vec<Arc<Step>>,
    pub(crate) least: usize,
}

/// What happened since the base, and at the start after it.
struct Happened {
    steps: Vec<Arc<Step>>,
    before: World,
    start: Vec<Arc<Step>>,
    after: World,
}

impl Run {
    /// A start that failed may have settled the holds of some organizations, in their order.
    pub(super) fn half_recovered(&mut self) {
        let mut further = Vec::new();
        for candidate in &self.candidates {
            // Any prefix that is possible is a state from which it began.
            for length in candidate.least..=candidate.steps.len() {
                let happened = self.happened(candidate.steps.get(..length).unwrap_or_default());
                let mut steps = happened.steps;
                steps.extend(happened.start);
                further.push(Candidate { least: length.saturating_add(1), steps });
            }
        }
        self.candidates = further;
    }

    /// The books must be what one of the candidates left, with its holds settled.
    pub(super) fn check(&mut self, store: &OpenStore<'_>, rows: u32) -> Result<(), String> {
        self.figures.lives += 1;
        let recovered = store.recovered();
        let organizations: Vec<OrganizationId> = self.organizations.iter().copied().collect();
        let look = Look { organizations: &organizations, marks: &self.marks, now: self.now, rows };
        let seen =
            Seen::read(&self.folder, store, look).map_err(|error| format!("cannot be read: {error}"))?;
        let report = verify(&self.folder).map_err(|error| format!("cannot be verified: {error}"))?;
        if !report.breaches.is_empty() || report.holds != 0 || !seen.is_at_rest() {
            return Err(format!("verification: {report:?}"));
        }
        self.figures.recovered += u64::try_from(recovered).unwrap_or(u64::MAX);
        let happened = self.matching(&seen, recovered)?;
        self.adopt(happened, &seen);
        Ok(())
    }

    /// What happened, and left as many holds as were settled at the start.
    fn matching(&self, seen: &Seen, recovered: usize) -> Result<Happened, String> {
        let mut reason = None;
        for candidate in &self.candidates {
            let lengths = self.possible(candidate, seen);
            if lengths.is_empty() {
                reason.get_or_insert_with(|| self.why_not(seen, &candidate.steps));
            }
            for length in lengths.into_iter().rev() {
                let steps = candidate.steps.get(..length).unwrap_or_default();
                let happened = self.happened(steps);
                let settled = happened.before.live();
                match seen.difference(&happened.after, &self.marks) {
                    None if settled == recovered => return Ok(happened),
                    // What a start before this one settled is not settled again.
                    None => {
                        reason = Some(format!("{recovered} holds were settled at the start, not {settled}"));
                    }
                    Some(what) => reason = Some(what),
                }
            }
        }
        let reason = reason.unwrap_or_default();
        Err(format!("none of {} possible states is in the books: {reason}", self.candidates.len()))
    }

    /// How many of a candidate's steps may have happened, by what is booked.
    fn possible(&self, candidate: &Candidate, seen: &Seen) -> Vec<usize> {
        if candidate.least == candidate.steps.len() {
            return vec![candidate.least];
        }
        let mut world = self.history.base.clone();
        let mut possible = Vec::new();
        for length in 0..=candidate.steps.len() {
            if !seen.may_follow(&world, &self.marks) {
                break;
            }
            if length >= candidate.least {
                possible.push(length);
            }
            candidate.steps.get(length).into_iter().for_each(|step| world.step(step));
        }
        possible
    }

    fn why_not(&self, seen: &Seen, steps: &[Arc<Step>]) -> String {
        let due = self.happened(steps).after;
        seen.difference(&due, &self.marks).unwrap_or_else(|| "what is acknowledged is not there".to_owned())
    }

    /// These steps, and a start now.
    fn happened(&self, steps: &[Arc<Step>]) -> Happened {
        let before = self.history.replay(steps);
        let mut after = before.clone();
        let mut start = Vec::new();
        let mut go = |after: &mut World, step: Step| {
            after.step(&step);
            start.push(Arc::new(step));
        };
        go(&mut after, Step::Reload);
        for organization in before.to_recover() {
            go(&mut after, Step::Recover(organization, self.now));
        }
        Happened { steps: steps.to_vec(), before, start, after }
    }

    /// Goes on from what happened.
    fn adopt(&mut self, happened: Happened, seen: &Seen) {
        let is_batch = |step: &&Arc<Step>| matches!(***step, Step::Batch(..));
        let acknowledged = self.history.steps.iter().filter(is_batch).count();
        let Happened { mut steps, before, start, after } = happened;
        let found = steps.iter().filter(is_batch).count();
        self.figures.unknown_kept += u64::from(found > acknowledged);
        self.figures.lost += u64::try_from(acknowledged.saturating_sub(found)).unwrap_or(u64::MAX);
        self.world = after;
        match self.demanded {
            // Opening it made everything durable that was there.
            Durability::Power => {
                self.rebase(self.world.clone(), Vec::new(), seen);
                self.world.forget_tails();
            }
            // What outlived a loss of power is on the disk.
            Durability::Process if self.lost_power || self.history.floor == steps.len() => {
                self.rebase(before, start, seen);
                self.world = self.history.replay(&self.history.steps);
            }
            Durability::Process => {
                steps.extend(start);
                self.history.steps = steps;
            }
        }
        self.lost_power = false;
        self.candidates.clear();
    }

    fn rebase(&mut self, mut base: World, steps: Vec<Arc<Step>>, seen: &Seen) {
        self.marks = seen.marks_after(&base, &self.marks);
        base.forget_tails();
        self.history = History { base, steps, floor: 0 };
    }
}
