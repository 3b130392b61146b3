//! One seed: a store that lives, dies and comes back, several times, on a disk that fails.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Faults, Loss, Machine};
use domain::{OrganizationId, Timestamp, Usage};
use ledger::conformance::ManualClock;
use ledger::{Act, Command, Denial, LedgerAnswer, LedgerError, Reply};
use store::inline::{self, Machine as OpenStore};
use store::{Durability, verify};

use super::figures::Figures;
use super::plan::{self, Phase};
use super::seen::{Look, Marks, Seen};
use super::world::{Batch, History, Step, World};
use crate::Random;
use crate::chaos::{Chaos, Scale, Universe};
use crate::script::Step as ChaosStep;
use crate::tally::Tally;

/// Cost rows that are compared after each life; at the end all are.
const ROWS: u32 = 32;
/// Commands in a transaction at most.
const BATCH_MOST: u64 = 64;
/// Openings that fail in a row at most.
const FAILED_MOST: u64 = 3;
/// Tokens that a command may count; sums of them fit in 63 bits.
const TOKENS_MOST: u64 = 1 << 40;

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

/// Steps that may have happened: all of them, or as few as `least` of them from the first on.
#[derive(Clone, Debug)]
struct Candidate {
    steps: Vec<Arc<Step>>,
    least: usize,
}

pub(crate) struct Run {
    random: Random,
    chaos: Chaos,
    tally: Tally,
    machine: Machine,
    folder: PathBuf,
    clock: Arc<ManualClock>,
    now: Timestamp,
    durability: Durability,
    demanded: Durability,
    history: History,
    /// The world as acknowledged.
    world: World,
    candidates: Vec<Candidate>,
    marks: Marks,
    lost_power: bool,
    retries: VecDeque<Command>,
    organizations: BTreeSet<OrganizationId>,
    commands: u64,
    figures: Figures,
}

impl Run {
    pub(crate) fn new(plan: Plan, machine: Machine, folder: &Path) -> Self {
        let mut random = Random::new(plan.seed ^ 0x0073_746f_7265);
        let drawn = if random.chance(650) { Durability::Power } else { Durability::Process };
        let durability = plan.durability.unwrap_or(drawn);
        Self {
            chaos: Chaos::new(chaos_seed(plan.seed)),
            tally: Tally::default(),
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
            retries: VecDeque::new(),
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
        loop {
            let planned = failed < FAILED_MOST && self.random.chance(300);
            let used = self.machine.used();
            let faults = if planned {
                plan::faults(&mut self.random, Phase::Opening, used)
            } else {
                Faults::default()
            };
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
        match inline::open(&folder, durability, clock.as_ref(), |store| work(self, store)) {
            Ok(worked) => worked.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    /// What an open store does, until it is to be closed or is dead.
    fn work(&mut self, store: &mut OpenStore<'_>) -> Result<End, String> {
        self.machine.set_faults(Faults::default());
        self.check(store, ROWS)?;
        let transactions = 1 + self.random.below(16);
        let faults = plan::faults(&mut self.random, Phase::Running(transactions), self.machine.used());
        self.machine.set_faults(faults.clone());
        self.machine.record(true);
        for _ in 0..transactions {
            if self.random.chance(60) {
                self.figures.checkpoints += 1;
                // What fails here, fails again at the next commit that needs it.
                let _ = store.checkpoint();
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

    /// One transaction; answers whether the store goes on.
    fn transact(&mut self, store: &mut OpenStore<'_>) -> Result<bool, String> {
        let size = 1 + match self.random.below(4) {
            0 => 0,
            1 => self.random.below(4),
            2 => self.random.below(16),
            _ => self.random.below(BATCH_MOST),
        };
        let mut batch = Batch::default();
        let (mut commands, mut expected) = (Vec::new(), Vec::new());
        for number in 0..size {
            let Some(command) = self.command(number == 0) else { continue };
            self.organizations.extend(command.organization());
            expected.push(self.world.run(&mut batch, &command, self.now).reply);
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
                self.world.save(batch);
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
            self.figures.answered += 1;
            self.figures.denied += u64::from(answer.is_err());
            if answer != expected.clone().map_err(LedgerError::Denied) {
                return Err(format!("{command:?} at {now:?}: answered {answer:?}, due is {expected:?}"));
            }
        }
        Ok(())
    }

    /// The next command, and with the first of a transaction the time.
    fn command(&mut self, first: bool) -> Option<Command> {
        if !first
            && self.random.chance(600)
            && let Some(command) = self.retries.pop_front()
        {
            return self.again(command);
        }
        loop {
            let ChaosStep::Do(command, now) = self.chaos.next(&self.world.model, &mut self.tally) else {
                continue;
            };
            if first {
                self.now = now;
            }
            if self.is_fair(&command) {
                return Some(command);
            }
        }
    }

    /// A client that never heard asks again, with the same body or, by mistake, with another; or it gives up.
    fn again(&mut self, mut command: Command) -> Option<Command> {
        match self.random.below(10) {
            0 => return None,
            1 => {
                if let Command::Book(booking) = &mut command
                    && let Some(named) = &mut booking.idempotency
                {
                    named.digest = [0xee; 32];
                }
            }
            _ => {}
        }
        self.figures.retried += 1;
        Some(command)
    }

    /// Ids are unique over all organizations, as those that are drawn are; the model counts on it. And no call has more
    /// tokens than a column of the database takes.
    fn is_fair(&self, command: &Command) -> bool {
        let Command::Book(booking) = command else { return most_tokens(command) < TOKENS_MOST };
        let model = &self.world.model;
        let lot = match &booking.act {
            Act::Grant(grant) | Act::TopUp { grant, .. } => grant.lot,
            Act::Redeem { lot, .. }
            | Act::Transfer { lot, .. }
            | Act::Refund { lot, .. }
            | Act::Adjust { lot, .. }
            | Act::PayOut { payout: lot, .. } => *lot,
            Act::SetBudget(budget) => {
                return model.budget_ids.get(&budget.id).is_none_or(|owner| *owner == booking.organization);
            }
            Act::OpenWallet { .. } | Act::RemoveBudget(_) => return true,
        };
        let is_own = || {
            let owner = model.owners.get(&booking.organization);
            let purses = owner.into_iter().flat_map(|owner| &owner.purses);
            purses.flat_map(|purse| purse.lots.values().chain(&purse.closed)).any(|piece| piece.id == lot)
        };
        !model.lot_ids.contains(&lot) || is_own()
    }

    /// The world goes back to what was acknowledged, and the commands will be asked again.
    fn give_up(&mut self, step: &Step) {
        self.world = self.history.replay(&self.history.steps);
        if let Step::Batch(commands, _) = step {
            self.retries.extend(commands.iter().cloned());
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

    /// A start that failed may have settled the holds of some organizations, in their order.
    fn half_recovered(&mut self) {
        let mut further = Vec::new();
        for candidate in &self.candidates {
            // Any prefix that is possible is a state from which it began.
            for length in candidate.least..=candidate.steps.len() {
                let Some(steps) = candidate.steps.get(..length) else { continue };
                let mut steps = steps.to_vec();
                steps.push(Arc::new(Step::Reload));
                further.push(Candidate { least: steps.len(), steps: steps.clone() });
                for organization in self.history.replay(&steps).to_recover() {
                    steps.push(Arc::new(Step::Recover(organization, self.now)));
                    further.push(Candidate { least: steps.len(), steps: steps.clone() });
                }
            }
        }
        self.candidates = further;
    }

    /// The books must be what one of the candidates left, with its holds settled.
    fn check(&mut self, store: &OpenStore<'_>, rows: u32) -> Result<(), String> {
        self.figures.lives += 1;
        let recovered = store.recovered();
        let organizations: Vec<OrganizationId> = self.organizations.iter().copied().collect();
        let look = Look { organizations: &organizations, marks: &self.marks, now: self.now, rows };
        let seen = Seen::read(&self.folder, store, look).map_err(|error| format!("cannot be read: {error}"))?;
        let report = verify(&self.folder).map_err(|error| format!("cannot be verified: {error}"))?;
        if !report.breaches.is_empty() || report.holds != 0 || !seen.is_at_rest() {
            return Err(format!("verification: {report:?}"));
        }
        self.figures.recovered += u64::try_from(recovered).unwrap_or(u64::MAX);
        let steps = self.matching(&seen, recovered)?;
        self.adopt(steps, &seen);
        Ok(())
    }

    /// The steps that happened, and left as many holds as were settled at the start.
    fn matching(&self, seen: &Seen, recovered: usize) -> Result<Vec<Arc<Step>>, String> {
        let mut reason = None;
        for candidate in &self.candidates {
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
            if possible.is_empty() {
                reason.get_or_insert_with(|| self.why_not(seen, &candidate.steps));
            }
            for length in possible.into_iter().rev() {
                let steps = candidate.steps.get(..length).unwrap_or_default();
                let settled = self.history.replay(steps).live();
                match seen.difference(&self.history.replay(&self.reopened(steps)), &self.marks) {
                    None if settled == recovered => return Ok(steps.to_vec()),
                    // What a start before this one settled is not settled again.
                    None => reason = Some(format!("{recovered} holds were settled at the start, not {settled}")),
                    Some(what) => reason = Some(what),
                }
            }
        }
        let reason = reason.unwrap_or_default();
        Err(format!("none of {} possible states is in the books: {reason}", self.candidates.len()))
    }

    fn why_not(&self, seen: &Seen, steps: &[Arc<Step>]) -> String {
        let world = self.history.replay(&self.reopened(steps));
        seen.difference(&world, &self.marks).unwrap_or_else(|| "what is acknowledged is not there".to_owned())
    }

    /// The steps, and those of a start now.
    fn reopened(&self, steps: &[Arc<Step>]) -> Vec<Arc<Step>> {
        let mut steps = steps.to_vec();
        steps.push(Arc::new(Step::Reload));
        for organization in self.history.replay(&steps).to_recover() {
            steps.push(Arc::new(Step::Recover(organization, self.now)));
        }
        steps
    }

    /// Goes on from these steps and a start.
    fn adopt(&mut self, steps: Vec<Arc<Step>>, seen: &Seen) {
        let acknowledged = self.history.steps.iter().filter(|step| matches!(***step, Step::Batch(..))).count();
        let found = steps.iter().filter(|step| matches!(***step, Step::Batch(..))).count();
        self.figures.unknown_kept += u64::from(found > acknowledged);
        self.figures.lost += u64::try_from(acknowledged.saturating_sub(found)).unwrap_or(u64::MAX);
        let reopened = self.reopened(&steps);
        match self.demanded {
            // Opening it made everything durable that was there.
            Durability::Power => self.rebase(&reopened, Vec::new(), seen),
            // What outlived a loss of power is on the disk.
            Durability::Process if self.lost_power => {
                let start = reopened.get(steps.len()..).unwrap_or_default().to_vec();
                self.rebase(&steps, start, seen);
            }
            Durability::Process => self.history.steps = reopened,
        }
        self.lost_power = false;
        self.world = self.history.replay(&self.history.steps);
        self.candidates.clear();
    }

    fn rebase(&mut self, steps: &[Arc<Step>], rest: Vec<Arc<Step>>, seen: &Seen) {
        let mut base = self.history.replay(steps);
        self.marks = seen.marks_after(&base, &self.marks);
        base.forget_tails();
        self.history = History { base, steps: rest, floor: 0 };
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
        self.candidates = last.into_iter().map(|last| Candidate { least: last.steps.len(), ..last }).collect();
        let opened = self.open(|run, store| run.check(store, u32::MAX).map(|()| store.recovered()))?;
        match opened {
            Ok(0) => Ok(()),
            Ok(left) => Err(format!("{left} holds were left")),
            Err(error) => Err(error.to_string()),
        }
    }

    fn settle_all(&mut self, store: &mut OpenStore<'_>) -> Result<(), String> {
        let owners = self.world.model.owners.values();
        let stakes = owners.flat_map(|owner| owner.stakes.values().map(|stake| (owner.id, stake.draft.clone())));
        let commands: Vec<Command> = stakes
            .map(|(organization, draft)| Command::Settle { organization, request: draft.request, rows: vec![draft] })
            .collect();
        let mut batch = Batch::default();
        let expected =
            commands.iter().map(|command| self.world.run(&mut batch, command, self.now).reply).collect();
        let step = Arc::new(Step::Batch(commands.clone(), self.now));
        let answers = store.run(commands).map_err(|error| error.to_string())?;
        self.world.save(batch);
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

/// The largest count of tokens in a command.
fn most_tokens(command: &Command) -> u64 {
    let most = |usage: &Usage| {
        let input = usage.input.max(usage.cached).max(usage.cache_write).max(usage.audio_input);
        input.max(usage.output).max(usage.audio_output).max(usage.reasoning)
    };
    match command {
        Command::Hold(hold) => hold.tokens.max(most(&hold.draft.usage)),
        Command::Extend(extension) => extension.tokens.max(most(&extension.usage)),
        Command::Settle { rows, .. } => rows.iter().map(|row| most(&row.usage)).max().unwrap_or(0),
        Command::Open { .. } | Command::Sweep { .. } | Command::Book(_) | Command::Issue(_) => 0,
    }
}

const fn is_failure(answer: &LedgerAnswer) -> bool {
    matches!(answer, Err(LedgerError::Store(_)))
}

/// The seed of the commands. Universes of huge amounts are left out: there, a charge may not fit at a start, and books
/// are frozen.
fn chaos_seed(seed: u64) -> u64 {
    let mut seeds = (0..).map(|turn: u64| seed.wrapping_add(turn << 48));
    let fits = |seed: &u64| Universe::new(&mut Random::new(*seed)).scale != Scale::Huge;
    seeds.find(fits).unwrap_or(seed)
}
