//! The writer: one thread, one connection, the wallets in memory, one transaction for all that is queued.
//!
//! While a commit runs the next commands collect, so the busier the gateway, the more of them share a commit. The
//! rows of the database are the truth: when a transaction fails, everything in memory is dropped and read again, and
//! every command of the batch is answered with the failure. When the *commit* itself fails nobody knows what is on
//! the disk, so the writer stops for good and the process must be restarted to recover.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::{Clock, LotId, Money, WalletId};
use ledger::{
    Changes, Command, Denial, Grant, LedgerError, LedgerStore, Lot, Outbox, Postbox, Reply, ReplySender,
    Ticket, Wallet, apply,
};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::StoreError;
use crate::checkpoint::Checkpointer;
use crate::directory_store::{self, DirectoryWrite, Written};
use crate::statements::Statements;
use crate::wallets;

/// Commands that may wait. Beyond it the gateway says so, before any money has moved.
const QUEUE: usize = 8_192;
/// Commands in one transaction at most, so that no answer waits for a whole queue.
const BATCH: usize = 512;
/// A batch of this size tells of load, after which the next one is given time to gather.
const BUSY_BATCH: usize = 12;
const GATHER: Duration = Duration::from_micros(300);
/// Every so many batches the sums over all holds are checked too.
const WHOLE_CHECK_EVERY: u64 = 256;

/// One thing for the writer to do.
enum Job {
    Ledger(Command, ReplySender),
    Directory(DirectoryWrite, oneshot::Sender<Written>),
    LoadDirectory(oneshot::Sender<Loaded>),
    Stop,
}

/// The answer to a load of the directory.
type Loaded = Result<directory::Contents, directory::StoreError>;

/// An answer that waits for the commit.
enum Answer {
    Ledger(ReplySender, Result<Reply, LedgerError>),
    Directory(oneshot::Sender<Written>, Written),
}

/// What the writer has done since it started.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriterFigures {
    /// Commands answered.
    pub commands: u64,
    /// Transactions committed.
    pub commits: u64,
    /// Transactions that failed.
    pub failures: u64,
    /// Broken promises found; each froze a wallet.
    pub breaches: u64,
    /// Whether the writer has stopped for good.
    pub stopped: bool,
}

#[derive(Default)]
struct Counters {
    commands: AtomicU64,
    commits: AtomicU64,
    failures: AtomicU64,
    breaches: AtomicU64,
    stopped: AtomicU64,
}

/// The handle to the writer thread. Dropping it waits until everything queued is saved.
pub(crate) struct Writer {
    queue: SyncSender<Job>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        checkpointer: Checkpointer,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let (queue, jobs) = sync_channel(QUEUE);
        let counters = Arc::new(Counters::default());
        let theirs = Arc::clone(&counters);
        let body = move || {
            let ended = run(&connection, checkpointer, &jobs, clock.as_ref(), &theirs);
            theirs.stopped.store(1, Ordering::Release);
            if let Err(error) = ended {
                tracing::error!(%error, "the writer has stopped; restart to recover");
            }
        };
        let thread =
            std::thread::Builder::new().name("writer".to_owned()).spawn(body).map_err(StoreError::Thread)?;
        Ok(Self { queue, counters, thread: Some(thread) })
    }

    pub(crate) fn figures(&self) -> WriterFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        WriterFigures {
            commands: read(&self.counters.commands),
            commits: read(&self.counters.commits),
            failures: read(&self.counters.failures),
            breaches: read(&self.counters.breaches),
            stopped: read(&self.counters.stopped) != 0,
        }
    }

    fn queue(&self, command: Command, postbox: Option<Arc<Postbox>>) -> Ticket {
        let (reply, ticket) = Ticket::open_at(postbox);
        match self.queue.try_send(Job::Ledger(command, reply)) {
            Ok(()) => ticket,
            Err(TrySendError::Full(_)) => Ticket::answered(Err(LedgerError::Busy)),
            Err(TrySendError::Disconnected(_)) => Ticket::answered(Err(LedgerError::Stopped)),
        }
    }

    /// Queues a write of the directory and waits, on this thread, until it is durable.
    pub(crate) fn write_directory(&self, write: DirectoryWrite) -> Written {
        self.ask(|sender| Job::Directory(write, sender))
    }

    /// Loads the directory and waits for it on this thread.
    pub(crate) fn load_directory(&self) -> Loaded {
        self.ask(Job::LoadDirectory)
    }

    fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, directory::StoreError>>) -> Job,
    ) -> Result<T, directory::StoreError> {
        let (sender, receiver) = oneshot::channel();
        let stopped = || directory::StoreError::Failed("the writer has stopped".to_owned());
        self.queue.send(job(sender)).map_err(|_| stopped())?;
        receiver.blocking_recv().unwrap_or_else(|_| Err(stopped()))
    }
}

impl LedgerStore for Writer {
    fn submit(&self, command: Command) -> Ticket {
        self.queue(command, None)
    }
}

/// The ledger as one thread sees it: answers come by way of its postbox.
pub(crate) struct Desk {
    writer: Arc<Writer>,
    postbox: Arc<Postbox>,
}

impl Desk {
    pub(crate) const fn new(writer: Arc<Writer>, postbox: Arc<Postbox>) -> Self {
        Self { writer, postbox }
    }
}

impl LedgerStore for Desk {
    fn submit(&self, command: Command) -> Ticket {
        self.writer.queue(command, Some(Arc::clone(&self.postbox)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A full queue only delays this; a stopped writer has nobody left to tell.
        let _ = self.queue.send(Job::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer ended in a panic");
        }
    }
}

fn run(
    connection: &Connection,
    checkpointer: Checkpointer,
    jobs: &Receiver<Job>,
    clock: &dyn Clock,
    counters: &Counters,
) -> Result<(), StoreError> {
    let mut batch = Batch {
        connection,
        checkpointer,
        clock,
        statements: Statements::prepare(connection)?,
        wallets: HashMap::new(),
        touched: Vec::new(),
        lots: HashMap::new(),
        answers: Vec::new(),
        outbox: Outbox::default(),
        changes: Changes::default(),
        counters,
    };
    loop {
        let Ok(first) = jobs.recv() else { return Ok(()) };
        let Collected { jobs: taken, stop } = batch.collect(first, jobs)?;
        if stop {
            return Ok(());
        }
        if taken >= BUSY_BATCH {
            // More are on their way. What a commit costs hardly depends on how many share it, so under load letting
            // them gather is cheaper for everybody; a quiet gateway never waits.
            std::thread::sleep(GATHER);
        }
    }
}

/// What a batch was.
struct Collected {
    jobs: usize,
    stop: bool,
}

/// The writer's state, and the batch in hand.
struct Batch<'c> {
    connection: &'c Connection,
    checkpointer: Checkpointer,
    clock: &'c dyn Clock,
    statements: Statements<'c>,
    wallets: HashMap<WalletId, Wallet>,
    touched: Vec<WalletId>,
    lots: HashMap<LotId, (WalletId, Lot)>,
    answers: Vec<Answer>,
    outbox: Outbox,
    changes: Changes,
    counters: &'c Counters,
}

impl Batch<'_> {
    /// Does the first job and all that are waiting, in one transaction. Fails only when the writer must not go on.
    fn collect(&mut self, first: Job, jobs: &Receiver<Job>) -> Result<Collected, StoreError> {
        let mut next = Some(first);
        let mut stop = false;
        let mut failure = self.statements.begin().err();
        let mut taken = 0;
        while let Some(job) = next.take() {
            taken += 1;
            match job {
                Job::Stop => stop = true,
                Job::Ledger(command, reply) => self.run_command(command, reply, &mut failure),
                Job::Directory(write, reply) => self.run_directory(&write, reply, &mut failure),
                Job::LoadDirectory(reply) => {
                    let loaded = directory_store::load(self.connection);
                    drop(
                        reply.send(loaded.map_err(|error| directory::StoreError::Failed(error.to_string()))),
                    );
                }
            }
            if !stop && taken < BATCH {
                next = jobs.try_recv().ok();
            }
        }
        if failure.is_none() {
            failure = self.save_wallets().err();
        }
        match failure {
            None => self.commit()?,
            Some(error) => self.abandon(&error)?,
        }
        Ok(Collected { jobs: taken, stop })
    }

    fn run_command(&mut self, command: Command, reply: ReplySender, failure: &mut Option<StoreError>) {
        let answer = if failure.is_some() {
            Ok(Reply::Opened) // Replaced by the failure when the batch is abandoned.
        } else {
            match self.apply(command) {
                Ok(answer) => answer.map_err(LedgerError::Denied),
                Err(error) => {
                    *failure = Some(error);
                    Ok(Reply::Opened)
                }
            }
        };
        self.answers.push(Answer::Ledger(reply, answer));
    }

    fn run_directory(
        &mut self,
        write: &DirectoryWrite,
        reply: oneshot::Sender<Written>,
        failure: &mut Option<StoreError>,
    ) {
        let mut written = Ok(());
        if failure.is_none() {
            match directory_store::write(self.connection, write) {
                Ok(answer) => written = answer,
                Err(error) => *failure = Some(error),
            }
        }
        if let (DirectoryWrite::Organization(organization), Ok(()), None) = (write, &written, &failure) {
            let wallet = Wallet::new(organization.wallet, organization.id);
            *failure = self.statements.insert_wallet(&wallet).err();
            self.wallets.insert(wallet.id, wallet);
        }
        self.answers.push(Answer::Directory(reply, written));
    }

    /// Applies one command in memory and writes what it changed. The outer error fails the batch.
    fn apply(&mut self, command: Command) -> Result<Result<Reply, Denial>, StoreError> {
        let id = command.wallet();
        if !self.wallets.contains_key(&id) {
            match wallets::load(self.connection, id)? {
                Some(wallet) => self.wallets.insert(id, wallet),
                None => return self.open(command),
            };
        }
        let Some(wallet) = self.wallets.get_mut(&id) else { return Ok(Err(Denial::UnknownWallet)) };
        if wallet.frozen {
            // Its promises are broken already: checking them again would fail everybody's batch.
            return Ok(Err(Denial::Frozen));
        }
        let mut named = None;
        if let Command::Grant(grant) = &command {
            if let Some(known) = known_grant(self.connection, wallet, grant)? {
                return Ok(known);
            }
            named.clone_from(&grant.idempotency);
        }
        let answer = apply(wallet, command, self.clock.now(), &mut self.changes);
        let whole = self.counters.commits.load(Ordering::Relaxed).is_multiple_of(WHOLE_CHECK_EVERY);
        if let Err(breach) = wallet.check_or_freeze(whole) {
            tracing::error!(%breach, "a wallet is frozen");
            return Err(StoreError::Recovery(breach.to_string()));
        }
        self.statements.save(wallet, &self.changes)?;
        if let Ok(Reply::Granted(lot)) = &answer {
            // At once: a second grant of the same name may be in this very batch.
            self.statements.save_lot(wallet, lot)?;
            if let Some(named) = named {
                self.statements.save_idempotency(wallet, &named, lot)?;
            }
        }
        // A denial that changed nothing costs no write.
        let changed = answer.is_ok() || !self.changes.entries.is_empty();
        if changed && !self.touched.contains(&id) {
            self.touched.push(id);
        }
        for lot in self.changes.lots.drain(..) {
            self.lots.insert(lot.id, (id, lot));
        }
        clear(&mut self.changes);
        Ok(answer)
    }

    fn open(&mut self, command: Command) -> Result<Result<Reply, Denial>, StoreError> {
        let Command::Open { wallet, organization } = command else { return Ok(Err(Denial::UnknownWallet)) };
        let wallet = Wallet::new(wallet, organization);
        self.statements.insert_wallet(&wallet)?;
        self.wallets.insert(wallet.id, wallet);
        Ok(Ok(Reply::Opened))
    }

    /// Writes each touched wallet and lot once, as it stands at the end of the batch.
    fn save_wallets(&mut self) -> Result<(), StoreError> {
        for (wallet, lot) in self.lots.drain().map(|(_, saved)| saved) {
            let wallet = self.wallets.get(&wallet).ok_or(StoreError::Unreadable("wallet of a lot"))?;
            self.statements.save_lot(wallet, &lot)?;
        }
        for id in self.touched.drain(..) {
            let wallet = self.wallets.get(&id).ok_or(StoreError::Unreadable("touched wallet"))?;
            self.statements.update_wallet(wallet)?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if let Err(error) = self.statements.commit() {
            // What is on the disk now is unknown, and asking again would not tell: only a restart may look.
            self.answer_all(Some(&error.to_string()));
            return Err(error.into());
        }
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        let busy = self.answers.len() >= BUSY_BATCH;
        self.answer_all(None);
        if busy {
            self.checkpointer.committed();
        }
        Ok(())
    }

    /// Undoes the batch: the database forgets it, and the memory is read anew.
    fn abandon(&mut self, error: &StoreError) -> Result<(), StoreError> {
        tracing::error!(%error, "a batch was abandoned");
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        let frozen: Vec<Wallet> =
            self.wallets.drain().map(|(_, wallet)| wallet).filter(|wallet| wallet.frozen).collect();
        self.touched.clear();
        self.lots.clear();
        clear(&mut self.changes);
        if !self.connection.is_autocommit() {
            self.statements.rollback()?;
        }
        for broken in frozen {
            self.counters.breaches.fetch_add(1, Ordering::Relaxed);
            wallets::freeze(self.connection, &mut self.statements, broken.id)?;
        }
        self.answer_all(Some(&error.to_string()));
        Ok(())
    }

    fn answer_all(&mut self, failure: Option<&str>) {
        let mut answered = 0_u64;
        for answer in self.answers.drain(..) {
            answered += 1;
            // A caller that no longer waits gets nothing; what it asked for has happened all the same.
            match (answer, failure) {
                (Answer::Ledger(reply, answer), None) => self.outbox.add(reply, answer),
                (Answer::Ledger(reply, _), Some(text)) => {
                    self.outbox.add(reply, Err(LedgerError::Store(text.to_owned())));
                }
                (Answer::Directory(reply, written), None) => drop(reply.send(written)),
                (Answer::Directory(reply, _), Some(text)) => {
                    drop(reply.send(Err(directory::StoreError::Failed(text.to_owned()))));
                }
            }
        }
        self.outbox.send();
        self.counters.commands.fetch_add(answered, Ordering::Relaxed);
    }
}

/// The answer to a grant that was made before: the first answer for the same body, a denial for another.
fn known_grant(
    connection: &Connection,
    wallet: &Wallet,
    grant: &Grant,
) -> Result<Option<Result<Reply, Denial>>, StoreError> {
    if let Some(named) = &grant.idempotency
        && let Some((digest, lot)) = wallets::load_named_grant(connection, wallet, named)?
    {
        if digest != named.digest {
            return Ok(Some(Err(Denial::IdempotencyConflict)));
        }
        // The first answer again, whatever has been drawn from the lot since.
        let first = Lot { remaining: lot.granted, used: Money::ZERO, expired: Money::ZERO, ..lot };
        return Ok(Some(Ok(Reply::Granted(first))));
    }
    let taken = wallets::lot_exists(connection, wallet, grant.lot)?;
    Ok(taken.then_some(Err(Denial::Duplicate)))
}

fn clear(changes: &mut Changes) {
    changes.lots.clear();
    changes.holds.clear();
    changes.holds_ended.clear();
    changes.entries.clear();
    changes.rows.clear();
}
