//! One seed: a store that lives, dies and comes back, several times, on a disk that fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Faults, Loss, Machine};
use domain::{OrganizationId, Timestamp};
use ledger::conformance::ManualClock;
use ledger::{Command, Denial, LedgerAnswer, LedgerError, Reply};
use store::inline::{self, Machine as OpenStore};
use store::{Durability, verify};

use super::client::Client;
use super::figures::Figures;
use super::judge::Candidate;
use super::plan::{self, Phase};
use super::seen::Marks;
use super::world::{History, Step, World};
use crate::Random;
use crate::model::Stake;

/// Cost rows that are compared after each life; at the end all are.
const ROWS: u32 = 32;
/// Commands in a transaction at most.
const BATCH_MOST: u64 = 64;
/// Openings that fail in a row at most.
const FAILED_MOST: u64 = 3;
/// How a seed is run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Commands to answer before peace.
    pub commands: u64,
    /// What the store is told to survive; by the seed if not said.
    pub durability: Option<Durability>,
    /// What is demanded of it, if not what it was told: a way to see that the check can fail.
    pub demanded: Option<Durability>,
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By a planned crash, or killed.
    Dead,
    /// The store stopped for good; the process may live.
    Stopped,
    /// In peace.
    Closed,
}

/// A seed at work.
pub(crate) struct Run {
    random: Random,
    client: Client,
    pub(super) machine: Machine,
    pub(super) folder: PathBuf,
    clock: Arc<ManualClock>,
    pub(super) now: Timestamp,
    durability: Durability,
    pub(super) demanded: Durability,
    pub(super) history: History,
    /// The world as acknowledged.
    pub(super) world: World,
    pub(super) candidates: Vec<Candidate>,
    pub(super) marks: Marks,
    pub(super) lost_power: bool,
    pub(super) organizations: BTreeSet<OrganizationId>,
    commands: u64,
    pub(super) figures: Figures,
}

impl Run {
    pub(crate) fn new(plan: Plan, machine: Machine, folder: &Path) -> Self {
        let mut random = Random::new(plan.seed ^ 0x0073_746f_7265);
        let drawn = if random.chance(650) { Durability::Power } else { Durability::Process };
        let durability = plan.durability.unwrap_or(drawn);
        Self {
            client: Client::new(plan.seed),
            machine,
            folder: folder.to_owned(),
            clock: Arc::new(ManualClock::new(Timestamp::default())),
            now: Timestamp::default(),
            durability,
            demanded: plan.demanded.unwrap_or(durability),
            history: History::default(),
            world: World::default(),
            candidates: vec![Candidate { steps: Vec::new(), least: 0 }],
            marks: Marks::default(),
            lost_power: false,
            organizations: BTreeSet::new(),
            commands: plan.commands,
            figures: Figures { seeds: 1, ..Figures::default() },
            random,
        }
    }

    /// Lives until all commands are given, then in peace.
    pub(crate) fn run(mut self) -> Result<Figures, String> {
        while self.figures.answered < self.commands {
            self.life().map_err(|what| format!("life {}: {what}", self.figures.lives))?;
        }
        self.peace().map_err(|what| format!("in peace: {what}"))?;
        self.figures.disk = self.machine.counters();
        Ok(self.figures)
    }

    /// One life, from the opening, which may fail a few times, to its end.
    fn life(&mut self) -> Result<(), String> {
        let mut failed = 0;
        // What may be lost is any end of the history, and each failed opening branches from all of them.
        let failed_most = if self.demanded == Durability::Power { FAILED_MOST } else { 1 };
        loop {
            let planned = failed < failed_most && self.random.chance(300);
            let used = self.machine.used();
            let faults = if planned { self.plan(Phase::Opening, used) } else { Faults::default() };
            self.machine.set_faults(faults.clone());
            match self.open(Self::work)? {
                Ok(end) => return self.after(end),
                Err(_) if planned => {
                    failed += 1;
                    self.figures.failed_openings += 1;
                    self.count_crash(&faults);
                    self.half_recovered();
                    self.go_down(End::Stopped);
                }
                Err(error) => return Err(format!("cannot be opened without a fault: {error}")),
            }
        }
    }

    /// Opens the store; the inner error is the store's.
    fn open<R>(
        &mut self,
        work: impl FnOnce(&mut Self, &mut OpenStore<'_>) -> Result<R, String>,
    ) -> Result<Result<R, store::StoreError>, String> {
        // A restart takes its time, and the clock may be set meanwhile.
        self.now = self.now.plus_micros(match self.random.below(10) {
            0 => 0,
            1 => self.random.within(-3_600_000_000, -1),
            _ => self.random.within(1, 5_000_000),
        });
        let (clock, folder, durability) = (Arc::clone(&self.clock), self.folder.clone(), self.durability);
        clock.set(self.now);
        self.machine.record(true);
        // As `Store::open` does with the real file, which is not on this disk.
        if !self.machine.renew("tollkeeper.db-wal") {
            return Ok(Err(store::StoreError::Checkpoint));
        }
        match inline::open(&folder, durability, clock.as_ref(), |store| work(self, store)) {
            Ok(worked) => worked.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    /// What an open store does, until it is to be closed or is dead.
    fn work(&mut self, store: &mut OpenStore<'_>) -> Result<End, String> {
        self.machine.set_faults(Faults::default());
        self.check(store, ROWS)?;
        let longest = *self.random.pick(&[4, 16, 64, 128]).unwrap_or(&16);
        let transactions = 1 + self.random.below(longest);
        let faults = self.plan(Phase::Running(transactions), self.machine.used());
        self.machine.set_faults(faults.clone());
        self.machine.record(true);
        for _ in 0..transactions {
            if self.random.chance(60) {
                self.figures.checkpoints += 1;
                match store.checkpoint() {
                    Ok(true) => self.history.floor = self.history.steps.len(),
                    Ok(false) => {}
                    Err(_) if self.machine.is_crashed() => {
                        self.count_crash(&faults);
                        return Ok(End::Dead);
                    }
                    Err(_) => return Ok(End::Stopped),
                }
            }
            if faults.capacity.is_some() && self.random.chance(150) {
                self.machine.set_faults(Faults::default());
            }
            let going_on = self.transact(store)?;
            if self.machine.is_crashed() {
                self.count_crash(&faults);
                return Ok(End::Dead);
            }
            if !going_on {
                return Ok(End::Stopped);
            }
        }
        if self.random.chance(600) {
            self.machine.crash();
            self.figures.killed += 1;
            return Ok(End::Dead);
        }
        Ok(End::Closed)
    }

    fn plan(&mut self, phase: Phase, used: u64) -> Faults {
        plan::faults(&mut self.random, phase, used)
    }

    /// One transaction; answers whether the store goes on.
    fn transact(&mut self, store: &mut OpenStore<'_>) -> Result<bool, String> {
        let size = 1 + match self.random.below(4) {
            0 => 0,
            1 => self.random.below(4),
            2 => self.random.below(16),
            _ => self.random.below(BATCH_MOST),
        };
        let (mut commands, mut expected) = (Vec::new(), Vec::new());
        for number in 0..size {
            let Some(command) = self.command(number == 0) else { continue };
            self.organizations.extend(command.organization());
            expected.push(self.world.run(&command, self.now).reply);
            commands.push(command);
        }
        self.clock.set(self.now);
        let step = Arc::new(Step::Batch(commands.clone(), self.now));
        match store.run(commands) {
            Err(_) => {
                self.figures.unknown += 1;
                self.give_up(&step);
                let mut steps = self.history.steps.clone();
                steps.push(step);
                self.candidates.push(Candidate { least: steps.len(), steps });
                Ok(false)
            }
            Ok(answers) if !answers.is_empty() && answers.iter().all(is_failure) => {
                self.figures.abandoned += 1;
                self.give_up(&step);
                self.history.steps.push(Arc::new(Step::Reload));
                self.world = self.history.replay(&self.history.steps);
                Ok(true)
            }
            Ok(answers) => {
                self.history.steps.push(Arc::clone(&step));
                self.compare(&step, answers, expected).map(|()| true)
            }
        }
    }

    /// Every answer must be the model's.
    fn compare(
        &mut self,
        step: &Step,
        answers: Vec<LedgerAnswer>,
        expected: Vec<Result<Reply, Denial>>,
    ) -> Result<(), String> {
        let Step::Batch(commands, now) = step else { return Ok(()) };
        self.figures.transactions += 1;
        if answers.len() != expected.len() {
            return Err(format!("{} answers to {} commands", answers.len(), expected.len()));
        }
        for ((command, answer), expected) in commands.iter().zip(answers).zip(expected) {
            self.figures.answered(command, &answer);
            if answer != expected.clone().map_err(LedgerError::Denied) {
                return Err(format!("{command:?} at {now:?}: answered {answer:?}, due is {expected:?}"));
            }
        }
        Ok(())
    }

    /// The next command, and with the first of a transaction the time.
    fn command(&mut self, first: bool) -> Option<Command> {
        if !first && let Some(again) = self.client.again(&mut self.random) {
            self.figures.retried += u64::from(again.is_some());
            return again;
        }
        let (command, now) = self.client.next(&self.world.model, &mut self.random);
        if first {
            self.now = now;
        }
        Some(command)
    }

    /// The world goes back to what was acknowledged, and the commands will be asked again.
    fn give_up(&mut self, step: &Step) {
        self.world = self.history.replay(&self.history.steps);
        if let Step::Batch(commands, _) = step {
            self.client.unanswered(commands);
        }
    }

    /// What may be in the books after a life.
    fn after(&mut self, end: End) -> Result<(), String> {
        let steps = self.history.steps.clone();
        self.candidates.push(Candidate { least: steps.len(), steps });
        if end == End::Closed && !self.machine.is_crashed() {
            self.figures.closed += 1;
        }
        self.go_down(end);
        Ok(())
    }

    /// The process ends, and perhaps the power.
    fn go_down(&mut self, end: End) {
        let must = self.machine.is_crashed();
        if !must && self.random.chance(if end == End::Closed { 500 } else { 300 }) {
            return;
        }
        let loss = plan::loss(&mut self.random);
        self.figures.cycled(loss);
        let random = &mut self.random;
        self.machine.power_cycle(loss, &mut |bound| random.below(bound));
        if loss == Loss::Power {
            self.lost_power = true;
            if self.demanded == Durability::Process {
                for candidate in &mut self.candidates {
                    candidate.least = self.history.floor.min(candidate.steps.len());
                }
            }
        }
    }

    /// No faults any more: everything that is held ends, and stays ended.
    fn peace(&mut self) -> Result<(), String> {
        self.machine.set_faults(Faults::default());
        let opened = self.open(|run, store| {
            run.check(store, ROWS)?;
            for _ in 0..4 {
                run.transact(store)?;
            }
            run.settle_all(store)?;
            Ok(End::Closed)
        })?;
        self.after(opened.map_err(|error| error.to_string())?)?;
        // Closed in peace: whatever was promised, all of it is there.
        let last = self.candidates.pop();
        self.candidates =
            last.into_iter().map(|last| Candidate { least: last.steps.len(), ..last }).collect();
        let opened = self.open(|run, store| run.check(store, u32::MAX).map(|()| store.recovered()))?;
        match opened {
            Ok(0) => Ok(()),
            Ok(left) => Err(format!("{left} holds were left")),
            Err(error) => Err(error.to_string()),
        }
    }

    fn settle_all(&mut self, store: &mut OpenStore<'_>) -> Result<(), String> {
        let owners = self.world.model.owners.values();
        let settle = |organization, stake: &Stake| Command::Settle {
            organization,
            request: stake.draft.request,
            rows: stake.rows(),
        };
        let commands: Vec<Command> =
            owners.flat_map(|owner| owner.stakes.values().map(|stake| settle(owner.id, stake))).collect();
        let expected = commands.iter().map(|command| self.world.run(command, self.now).reply).collect();
        let step = Arc::new(Step::Batch(commands.clone(), self.now));
        let answers = store.run(commands).map_err(|error| error.to_string())?;
        self.history.steps.push(Arc::clone(&step));
        self.compare(&step, answers, expected)?;
        let holds = verify(&self.folder).map_err(|error| error.to_string())?.holds;
        if holds == 0 { Ok(()) } else { Err(format!("{holds} holds do not end")) }
    }

    fn count_crash(&mut self, faults: &Faults) {
        if let Some(crash) = faults.crash.filter(|_| self.machine.is_crashed()) {
            self.figures.crashed(crash, self.machine.recorded().last());
        }
    }
}

const fn is_failure(answer: &LedgerAnswer) -> bool {
    matches!(answer, Err(LedgerError::Store(_)))
}
