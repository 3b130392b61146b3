//! The write-ahead log, cut at any byte: what is recovered must be exactly the transactions that lie within the cut.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use disk::{Disk, Machine};
use domain::Timestamp;
use ledger::conformance::{ManualClock, START};
use ledger::{CostRow, Entry, Event, PromoCode};
use store::inline::{self, Machine as OpenStore};
use store::{Balance, BudgetRecord, Durability, Reader, StoreError, verify};

use super::DATABASE;
use super::script::{payers, transactions};
use crate::tally::{VOCABULARY, command_name};

const LOG: &str = "tollkeeper.db-wal";
/// SQLite's log: a header, then frames of a header and a page each.
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const PAGE: usize = 4_096;
const FRAME: usize = FRAME_HEADER + PAGE;

/// The files of a store.
type Image = BTreeMap<String, Vec<u8>>;

/// What readers find in the books of one organization.
type Books = (Option<Balance>, Vec<Entry>, Vec<(i64, Event)>, Vec<BudgetRecord>, Vec<CostRow>);

/// Everything that readers find.
#[derive(Debug, PartialEq, Eq)]
struct Snapshot {
    books: Vec<Books>,
    promos: Vec<PromoCode>,
}

/// The books as they were acknowledged after a transaction.
struct Stage {
    /// The length of the log then.
    log: usize,
    snapshot: Snapshot,
    /// Live holds.
    holds: usize,
}

/// A script that was run, with everything in the log and nothing copied back.
pub struct Script {
    image: Image,
    stages: Vec<Stage>,
    commands: usize,
}

/// What was done to a log, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CutFigures {
    /// Logs that were opened.
    pub logs: u64,
    /// How many of them gave so many transactions back; none stands for a log without even the tables.
    pub recovered: BTreeMap<Option<usize>, u64>,
}

impl CutFigures {
    /// Takes over what another counted.
    pub fn add(&mut self, other: &Self) {
        self.logs += other.logs;
        for (stage, count) in &other.recovered {
            *self.recovered.entry(*stage).or_default() += count;
        }
    }
}

impl Script {
    /// Runs the script on an empty disk.
    ///
    /// # Errors
    /// When the store fails, or has copied its log back.
    pub fn run(disk: &Disk, folder: &Path) -> Result<Self, String> {
        let machine = fresh(disk, folder)?;
        let clock = ManualClock::new(START);
        let text = |error: StoreError| error.to_string();
        let opened = inline::open(folder, Durability::Power, &clock, |store| {
            let mut stages = vec![Stage::now(folder, store, &machine)?];
            let mut commands = 0;
            for (seconds, transaction) in transactions() {
                clock.set(START.plus_seconds(seconds));
                commands += transaction.len();
                store.run(transaction).map_err(text)?;
                stages.push(Stage::now(folder, store, &machine)?);
            }
            let image = machine.image();
            machine.crash();
            Ok::<Self, String>(Self { image, stages, commands })
        });
        let script = opened.map_err(text)??;
        let outside = script.image.get(DATABASE).map_or(0, Vec::len);
        if outside <= PAGE {
            Ok(script)
        } else {
            Err(format!("the database has {outside} bytes outside the log"))
        }
    }

    /// Commands in the script.
    pub const fn commands(&self) -> usize {
        self.commands
    }

    /// Transactions in the script.
    pub const fn transactions(&self) -> usize {
        self.stages.len().saturating_sub(1)
    }

    /// Kinds of commands and bookings that the script has not.
    pub fn missing_kinds(&self) -> Vec<&'static str> {
        let all: Vec<_> = transactions().into_iter().flat_map(|(_, commands)| commands).collect();
        let has = |kind: &&str| all.iter().any(|command| command_name(command) == *kind);
        let (_, kinds) = VOCABULARY[0];
        kinds.iter().copied().filter(|kind| !has(kind)).collect()
    }

    /// The length of the log.
    pub fn log_length(&self) -> usize {
        self.log().len()
    }

    /// Frames in the log.
    pub fn frames(&self) -> usize {
        self.log_length().saturating_sub(LOG_HEADER) / FRAME
    }

    /// Where to cut: every `step` bytes, and around the end of every transaction and of each frame whose number
    /// `frames` divides.
    pub fn cuts(&self, step: usize, frames: usize) -> Vec<usize> {
        let length = self.log_length();
        let ends = (0..=self.frames()).step_by(frames.max(1)).map(|frame| LOG_HEADER + frame * FRAME);
        let ends = ends.chain(self.stages.iter().map(|stage| stage.log)).chain([length]);
        let around = ends.flat_map(|at| at.saturating_sub(2)..=at + 2);
        let cuts = (0..=length).step_by(step.max(1)).chain(around).filter(|cut| *cut <= length);
        let cuts: BTreeSet<usize> = cuts.collect();
        cuts.into_iter().collect()
    }

    /// Cuts the log at each of these lengths.
    ///
    /// # Errors
    /// The first log of which anything else came than the transactions within it.
    pub fn cut(&self, disk: &Disk, folder: &Path, cuts: &[usize]) -> Result<CutFigures, String> {
        let machine = fresh(disk, folder)?;
        let mut figures = CutFigures::default();
        for cut in cuts {
            let log = self.log().get(..*cut).unwrap_or_default().to_vec();
            self.check(&machine, folder, log, *cut, &mut figures)
                .map_err(|what| format!("cut at {cut}: {what}"))?;
        }
        Ok(figures)
    }

    /// Cuts the log and claims that it is whole, to see that the check notices.
    ///
    /// # Errors
    /// What the check found, as it must.
    pub fn cut_in_secret(&self, disk: &Disk, folder: &Path, cut: usize) -> Result<CutFigures, String> {
        let machine = fresh(disk, folder)?;
        let mut figures = CutFigures::default();
        let log = self.log().get(..cut).unwrap_or_default().to_vec();
        self.check(&machine, folder, log, self.log_length(), &mut figures).map(|()| figures)
    }

    /// Turns a bit over in each part of each of these frames, and in each byte of the log's header with the first.
    ///
    /// # Errors
    /// The first log of which anything else came than the transactions before the frame.
    pub fn flip(&self, disk: &Disk, folder: &Path, frames: &[usize]) -> Result<CutFigures, String> {
        let machine = fresh(disk, folder)?;
        let mut figures = CutFigures::default();
        let header = if frames.first() == Some(&0) { 0..LOG_HEADER } else { 0..0 };
        let in_header = header.map(|at| (at, 0));
        // Page number, size, both salts, both checksums, the page.
        let parts = [3, 7, 11, 15, 16, 20, FRAME_HEADER, FRAME_HEADER + PAGE / 2, FRAME - 1];
        let in_frames = frames.iter().flat_map(|frame| {
            let begin = LOG_HEADER + frame * FRAME;
            parts.map(|part| (begin + part, begin))
        });
        for (at, valid) in in_header.chain(in_frames) {
            let mut log = self.log().to_vec();
            if let Some(byte) = log.get_mut(at) {
                *byte ^= 0x10;
            }
            self.check(&machine, folder, log, valid, &mut figures)
                .map_err(|what| format!("byte {at} turned over: {what}"))?;
        }
        Ok(figures)
    }

    fn log(&self) -> &[u8] {
        self.image.get(LOG).map_or(&[], Vec::as_slice)
    }

    /// Opens a store on this log, of which only the first `valid` bytes count.
    fn check(
        &self,
        machine: &Machine,
        folder: &Path,
        log: Vec<u8>,
        valid: usize,
        figures: &mut CutFigures,
    ) -> Result<(), String> {
        let others = self.image.iter().filter(|(name, _)| *name != LOG);
        let mut image: Image = others.map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
        image.insert(LOG.to_owned(), log);
        machine.load(image);
        let stage = self.stages.iter().rposition(|stage| stage.log <= valid);
        figures.logs += 1;
        *figures.recovered.entry(stage).or_default() += 1;
        match (stage.and_then(|stage| self.stages.get(stage)), Snapshot::read(folder)) {
            (Some(stage), Ok(found)) if found == stage.snapshot => {}
            (Some(stage), found) => return Err(format!("due is {:?}, found is {found:?}", stage.snapshot)),
            (None, Err(StoreError::TooOld { found: 0, .. })) => {}
            (None, found) => return Err(format!("there are no tables in it, and yet: {found:?}")),
        }
        let holds = stage.and_then(|stage| self.stages.get(stage)).map_or(0, |stage| stage.holds);
        Self::recover(machine, folder, holds)
    }

    /// The store itself: it settles what is held, and all is well.
    fn recover(machine: &Machine, folder: &Path, holds: usize) -> Result<(), String> {
        let clock = ManualClock::new(START.plus_seconds(9_000));
        let opened = inline::open(folder, Durability::Power, &clock, |store| {
            let report = verify(folder).map_err(|error| error.to_string())?;
            if store.recovered() != holds || report.holds != 0 || !report.breaches.is_empty() {
                return Err(format!("{} of {holds} holds settled: {report:?}", store.recovered()));
            }
            // Nothing is gained by a checkpoint at the end of each.
            machine.crash();
            Ok(())
        });
        opened.map_err(|error| error.to_string())?
    }
}

impl Stage {
    fn now(folder: &Path, store: &OpenStore<'_>, machine: &Machine) -> Result<Self, String> {
        let text = |error: StoreError| error.to_string();
        let mut holds = 0;
        for payer in payers() {
            holds += store.books(payer.organization).map_err(text)?.map_or(0, |books| books.holds.len());
        }
        let log = machine.image().get(LOG).map_or(0, Vec::len);
        Ok(Self { log, snapshot: Snapshot::read(folder).map_err(text)?, holds })
    }
}

impl Snapshot {
    fn read(folder: &Path) -> Result<Self, StoreError> {
        let reader = Reader::of_folder(folder)?;
        let mut books = Vec::new();
        for payer in payers() {
            let organization = payer.organization;
            books.push((
                reader.balance(organization, Timestamp::from_micros(i64::MIN))?,
                reader.journal(organization, u64::MAX, u32::MAX)?,
                reader.events(organization, i64::MAX, u32::MAX)?,
                reader.budgets(organization, START, u32::MAX)?,
                reader.usage(organization, u32::MAX)?,
            ));
        }
        Ok(Self { books, promos: reader.promo_codes()? })
    }
}

fn fresh(disk: &Disk, folder: &Path) -> Result<Machine, String> {
    super::put_database(folder)?;
    disk.discard(folder);
    Ok(disk.machine(folder))
}
