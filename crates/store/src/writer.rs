//! The writer: one thread, one connection, the books in memory, one transaction for all that is queued.
//!
//! While a commit runs the next commands collect, so the busier the gateway, the more of them share a commit. The
//! rows of the database are the truth: when a transaction fails, everything in memory is dropped and read again, and
//! every command of the batch is answered with the failure. When the *commit* itself fails nobody knows what is on
//! the disk, so the writer stops for good and the process must be restarted to recover.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::{Clock, OrganizationId, Timestamp};
use ledger::{
    Books, Changes, Command, Denial, Idempotency, LedgerError, LedgerStore, Outbox, Postbox, Reply,
    ReplySender, Ticket, apply, issue,
};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::StoreError;
use crate::books;
use crate::checkpoint::Checkpointer;
use crate::decisions::{self, DecisionRecord, Dropped};
use crate::directory_store::{self, DirectoryWrite, Written};
use crate::inbox::{Inbox, Refused};
use crate::past::{self, Ended};
use crate::payment_store::{self, PaymentWrite, PaymentWritten};
use crate::schema;
use crate::statements::Statements;
use crate::unsaved::{Unsaved, Unwritten};

/// Commands that may wait. Beyond it the gateway says so, before any money has moved.
const QUEUE: usize = 8_192;
/// Commands in one transaction at most, so that no answer waits for a whole queue.
const BATCH: usize = 512;
/// A batch of this size tells of load, after which the next one is given time to gather.
const BUSY_BATCH: usize = 12;
/// How long at most.
const GATHER: Duration = Duration::from_micros(300);
/// Every so many batches the sums over all holds are checked too.
const WHOLE_CHECK_EVERY: u64 = 256;
/// Budget periods of one organization that memory keeps; those of running calls are kept beyond it.
const USES_MAX: usize = 65_536;

/// One thing for the writer to do.
enum Job {
    Ledger(Command, ReplySender),
    Directory(DirectoryWrite, oneshot::Sender<Written>),
    LoadDirectory(oneshot::Sender<Loaded>),
    Payment(PaymentWrite, oneshot::Sender<PaymentWritten>),
    Forget(OrganizationId, Timestamp, oneshot::Sender<Forgotten>),
    /// Write all decisions that wait.
    CatchUp(oneshot::Sender<()>),
    Stop,
}

/// The answer to a load of the directory.
type Loaded = Result<directory::Contents, directory::StoreError>;

/// How many decisions were forgotten.
type Forgotten = Result<usize, StoreError>;

/// An answer that waits for the commit.
enum Answer {
    Ledger(ReplySender, Result<Reply, LedgerError>),
    Directory(oneshot::Sender<Written>, Written),
    Payment(oneshot::Sender<PaymentWritten>, PaymentWritten),
    Forgotten(oneshot::Sender<Forgotten>, usize),
    CaughtUp(oneshot::Sender<()>),
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
    /// Broken promises found; each froze an organization's books.
    pub breaches: u64,
    /// Whether the writer has stopped for good.
    pub stopped: bool,
}

#[derive(Default)]
pub(crate) struct Counters {
    commands: AtomicU64,
    commits: AtomicU64,
    failures: AtomicU64,
    breaches: AtomicU64,
    stopped: AtomicU64,
    dropped: Dropped,
}

/// The handle to the writer thread. Dropping it waits until everything queued is saved.
pub(crate) struct Writer {
    inbox: Arc<Inbox<Job, DecisionRecord>>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        checkpointer: Checkpointer,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let inbox = Arc::new(Inbox::new());
        let counters = Arc::new(Counters::default());
        let theirs = Arc::clone(&counters);
        let jobs =
            Jobs { inbox: Arc::clone(&inbox), counters: Arc::clone(&counters), taken: VecDeque::new() };
        let body = move || {
            if let Err(error) = run(&connection, checkpointer, jobs, clock.as_ref(), &theirs) {
                tracing::error!(%error, "the writer has stopped; restart to recover");
            }
        };
        let thread =
            std::thread::Builder::new().name("writer".to_owned()).spawn(body).map_err(StoreError::Thread)?;
        Ok(Self { inbox, counters, thread: Some(thread) })
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
        match self.inbox.put(Job::Ledger(command, reply), QUEUE) {
            Ok(()) => ticket,
            Err(Refused::Full) => Ticket::answered(Err(LedgerError::Busy)),
            Err(Refused::Closed) => Ticket::answered(Err(LedgerError::Stopped)),
        }
    }

    /// Keeps a decision with the next batch, or drops it.
    pub(crate) fn keep_decision(&self, record: DecisionRecord) {
        if self.inbox.put_aside(record, decisions::WAITING_MAX).is_err() {
            self.counters.dropped.add(1);
        }
    }

    pub(crate) fn decisions_dropped(&self) -> u64 {
        self.counters.dropped.count()
    }

    /// Forgets some old decisions, and answers when that is durable.
    pub(crate) async fn forget_decisions(
        &self,
        organization: OrganizationId,
        before: Timestamp,
    ) -> Forgotten {
        let (sender, receiver) = oneshot::channel();
        let stopped = || StoreError::Recovery("the writer has stopped".to_owned());
        self.inbox.put(Job::Forget(organization, before, sender), usize::MAX).map_err(|_| stopped())?;
        receiver.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Waits until every decision that was kept before is written, or was dropped.
    pub(crate) async fn catch_up_decisions(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.inbox.put(Job::CatchUp(sender), usize::MAX).is_ok() {
            // A writer that has stopped writes nothing any more: there is nothing to wait for.
            let _ = receiver.await;
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

    /// Queues a write of payments and waits, on this thread, until it is durable.
    pub(crate) fn write_payment(&self, write: PaymentWrite) -> PaymentWritten {
        let (sender, receiver) = oneshot::channel();
        let stopped = || payments::PaymentStoreError::Failed("the writer has stopped".to_owned());
        self.inbox.put(Job::Payment(write, sender), usize::MAX).map_err(|_| stopped())?;
        receiver.blocking_recv().unwrap_or_else(|_| Err(stopped()))
    }

    fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, directory::StoreError>>) -> Job,
    ) -> Result<T, directory::StoreError> {
        let (sender, receiver) = oneshot::channel();
        let stopped = || directory::StoreError::Failed("the writer has stopped".to_owned());
        self.inbox.put(job(sender), usize::MAX).map_err(|_| stopped())?;
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
        // A stopped writer has nobody left to tell.
        let _ = self.inbox.put(Job::Stop, usize::MAX);
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
    mut jobs: Jobs,
    clock: &dyn Clock,
    counters: &Counters,
) -> Result<(), StoreError> {
    let mut batch = Batch::new(connection, Some(checkpointer), clock, counters)?;
    let mut wanted = 1;
    loop {
        jobs.wait(wanted);
        let Collected { taken, stop } = batch.collect(&mut jobs)?;
        if stop {
            // The round in hand ends before anybody says that all is well.
            return match batch.checkpointer.take().is_some_and(Checkpointer::end) {
                true => Err(StoreError::Checkpoint),
                false => Ok(schema::copies_at_close(connection, true)?),
            };
        }
        // After a busy batch more are on their way. What a commit costs hardly depends on how many share it, so under
        // load letting as many gather again is cheaper for everybody; a quiet gateway never waits.
        wanted = if taken >= BUSY_BATCH { taken } else { 1 };
    }
}

/// What the writer has to do, as it finds it. Whoever waits when it ends learns that it did.
struct Jobs {
    inbox: Arc<Inbox<Job, DecisionRecord>>,
    counters: Arc<Counters>,
    taken: VecDeque<Job>,
}

impl Jobs {
    fn wait(&self, wanted: usize) {
        if self.taken.is_empty() {
            self.inbox.wait(wanted, GATHER);
        }
    }
}

impl Iterator for Jobs {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        if self.taken.is_empty() {
            self.inbox.take(&mut self.taken);
        }
        self.taken.pop_front()
    }
}

impl Work for Jobs {
    fn decisions(&mut self, most: usize) -> Vec<DecisionRecord> {
        self.inbox.take_asides(most)
    }
}

/// Where a batch comes from.
trait Work: Iterator<Item = Job> {
    /// Decisions to be kept with it, so many at most.
    fn decisions(&mut self, most: usize) -> Vec<DecisionRecord>;
}

impl Drop for Jobs {
    /// Also when the writer ends in a panic.
    fn drop(&mut self) {
        self.counters.stopped.store(1, Ordering::Release);
        self.inbox.close();
    }
}

/// What a batch was.
struct Collected {
    taken: usize,
    stop: bool,
}

/// The writer's state, and the batch in hand.
struct Batch<'c> {
    connection: &'c Connection,
    checkpointer: Option<Checkpointer>,
    clock: &'c dyn Clock,
    statements: Statements<'c>,
    books: HashMap<OrganizationId, Books>,
    ended: Ended,
    unsaved: Unsaved,
    /// The organization whose stored books are at fault for what failed in this batch.
    broken: Option<OrganizationId>,
    answers: Vec<Answer>,
    outbox: Outbox,
    changes: Changes,
    counters: &'c Counters,
}

impl<'c> Batch<'c> {
    fn new(
        connection: &'c Connection,
        checkpointer: Option<Checkpointer>,
        clock: &'c dyn Clock,
        counters: &'c Counters,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            connection,
            checkpointer,
            clock,
            statements: Statements::prepare(connection)?,
            books: HashMap::new(),
            ended: Ended::default(),
            unsaved: Unsaved::default(),
            broken: None,
            answers: Vec::new(),
            outbox: Outbox::default(),
            changes: Changes::default(),
            counters,
        })
    }
}

impl Batch<'_> {
    /// Does all that is waiting, in one transaction. Fails only when the writer must not go on.
    fn collect(&mut self, jobs: &mut impl Work) -> Result<Collected, StoreError> {
        if self.checkpointer.as_ref().is_some_and(Checkpointer::has_failed) {
            return Err(StoreError::Checkpoint);
        }
        let (mut stop, mut catch_up) = (false, false);
        let mut failure = self.statements.begin().err();
        let mut taken = 0;
        while !stop && taken < BATCH {
            let Some(job) = jobs.next() else { break };
            taken += 1;
            match job {
                Job::Stop => stop = true,
                Job::Ledger(command, reply) => self.run_command(command, reply, &mut failure),
                Job::Directory(write, reply) => self.run_directory(&write, reply, &mut failure),
                Job::Payment(write, reply) => self.run_payment(&write, reply, &mut failure),
                Job::Forget(organization, before, reply) => {
                    self.forget(organization, before, reply, &mut failure);
                }
                Job::CatchUp(reply) => {
                    catch_up = true;
                    self.answers.push(Answer::CaughtUp(reply));
                }
                Job::LoadDirectory(reply) => {
                    let loaded = directory_store::load(self.connection);
                    drop(
                        reply.send(loaded.map_err(|error| directory::StoreError::Failed(error.to_string()))),
                    );
                }
            }
        }
        if failure.is_none() {
            failure = self.flush().err();
        }
        // Last, so that the ledger's work never waits for them, and at the end, or when somebody asks, all there are.
        let share = if stop || catch_up { decisions::WAITING_MAX } else { decisions::share(taken) };
        self.keep(&jobs.decisions(share), &mut failure);
        match failure {
            None => self.commit()?,
            Some(error) => self.abandon(&error)?,
        }
        Ok(Collected { taken, stop })
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

    /// Writes decisions, best effort: one that cannot be written is dropped and fails nothing.
    fn keep(&self, records: &[DecisionRecord], failure: &mut Option<StoreError>) {
        if failure.is_some() {
            return self.counters.dropped.add(records.len());
        }
        for (place, record) in records.iter().enumerate() {
            let Err(error) = decisions::insert(self.connection, record) else { continue };
            tracing::warn!(%error, request = %record.request, "a decision was not recorded");
            if self.connection.is_autocommit() {
                // The engine has undone the whole transaction: the batch has failed, whoever's fault it was.
                *failure = Some(error.into());
                return self.counters.dropped.add(records.len() - place);
            }
            self.counters.dropped.add(1);
        }
    }

    /// Deletes old decisions.
    fn forget(
        &mut self,
        organization: OrganizationId,
        before: Timestamp,
        reply: oneshot::Sender<Forgotten>,
        failure: &mut Option<StoreError>,
    ) {
        let mut forgotten = 0;
        if failure.is_none() {
            match decisions::delete(self.connection, organization, before) {
                Ok(count) => forgotten = count,
                Err(error) => *failure = Some(error.into()),
            }
        }
        self.answers.push(Answer::Forgotten(reply, forgotten));
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
                Ok(Ok(made)) => *failure = self.open_books(made).err(),
                Ok(Err(refused)) => written = Err(refused),
                Err(error) => *failure = Some(error),
            }
        }
        self.answers.push(Answer::Directory(reply, written));
    }

    /// An organization that was made has books from the same moment on.
    fn open_books(&mut self, made: directory_store::Made) -> Result<(), StoreError> {
        for (organization, wallet) in made {
            let books = Books::new(organization, wallet);
            self.statements.insert_books(&books)?;
            self.books.insert(organization, books);
        }
        Ok(())
    }

    fn run_payment(
        &mut self,
        write: &PaymentWrite,
        reply: oneshot::Sender<PaymentWritten>,
        failure: &mut Option<StoreError>,
    ) {
        // Replaced by the failure when the batch is abandoned.
        let mut written = Ok(payment_store::PaymentDone::Changed(false));
        if failure.is_none() {
            match self.keep_payment(write) {
                Ok(answer) => written = answer,
                Err(error) => *failure = Some(error),
            }
        }
        self.answers.push(Answer::Payment(reply, written));
    }

    /// A payment's credit and its top-up's status stand in one transaction, so that they never contradict.
    fn keep_payment(&mut self, write: &PaymentWrite) -> Result<PaymentWritten, StoreError> {
        let PaymentWrite::Credit(receipt) = write else {
            return payment_store::write(self.connection, write);
        };
        let due = match payment_store::credit_due(self.connection, receipt)? {
            Ok(due) => due,
            Err(answer) => return Ok(answer),
        };
        let booked = self.apply(due.command.clone())?;
        payment_store::credited(self.connection, &due, receipt, booked)
    }

    /// Applies one command in memory and writes what it changed. The outer error fails the batch; when the books are at
    /// fault for it, they are frozen, so that it happens once.
    fn apply(&mut self, command: Command) -> Result<Result<Reply, Denial>, StoreError> {
        let owner = command.organization();
        match (self.try_apply(command), owner) {
            (Err(error), Some(owner)) => Err(self.blame(Unwritten { owner, error })),
            (applied, _) => applied,
        }
    }

    /// Writes what waits for the end of the transaction.
    fn flush(&mut self) -> Result<(), StoreError> {
        let flushed = self.unsaved.flush(&mut self.statements, &self.books);
        flushed.map_err(|unwritten| self.blame(unwritten))
    }

    /// Remembers whose books are at fault for an error, if any are. The first word stays: it knows best.
    fn blame(&mut self, Unwritten { owner, error }: Unwritten) -> StoreError {
        if error.is_of_the_data() {
            self.broken.get_or_insert(owner);
        }
        error
    }

    fn try_apply(&mut self, command: Command) -> Result<Result<Reply, Denial>, StoreError> {
        let Some(organization) = command.organization() else { return self.issue(command) };
        if !self.books.contains_key(&organization) {
            if books::are_frozen(self.connection, organization)? {
                // Their promises are broken already, and perhaps they cannot even be read: nobody's batch shall fail for
                // it.
                return Ok(Err(Denial::Frozen));
            }
            match books::load(self.connection, organization)? {
                Some(books) => self.books.insert(organization, books),
                None => return self.open(&command),
            };
        }
        let Some(books) = self.books.get_mut(&organization) else {
            return Ok(Err(Denial::UnknownOrganization));
        };
        let now = self.clock.now();
        past::load_uses(self.connection, books, &command, now)?;
        let known = past::look_up(self.connection, books, &mut self.ended, &command, now)?;
        let named = name_of(&command);
        let answer = apply(books, command, known, now, &mut self.changes);
        let whole = self.counters.commits.load(Ordering::Relaxed).is_multiple_of(WHOLE_CHECK_EVERY);
        if let Err(breach) = books.check_or_freeze(&self.changes.wallets, whole) {
            tracing::error!(%breach, "books are frozen");
            return Err(StoreError::Recovery(breach.to_string()));
        }
        // A denial that changed nothing costs no write.
        if answer.is_ok() || !self.changes.is_empty() {
            let payment = self.changes.payment.take();
            self.changes.holds_ended.iter().for_each(|request| self.ended.add(organization, *request));
            self.unsaved.take(&mut self.statements, books, &mut self.changes)?;
            if let Ok(reply) = &answer
                && (named.is_some() || payment.is_some())
            {
                // At once: the same again may be in this very batch, and must find all of it.
                let made = self.unsaved.flush_made(&mut self.statements, &self.books);
                made.map_err(|unwritten| self.blame(unwritten))?;
                if let Some((payment, entry)) = payment {
                    self.statements.save_payment(organization, &payment, entry, reply)?;
                }
                if let (Some(named), Some(books)) = (named.flatten(), self.books.get(&organization)) {
                    self.statements.save_answer(books, &named, reply)?;
                }
            }
            if self
                .books
                .get(&organization)
                .is_some_and(|books| books.uses.len() + books.pools.len() > USES_MAX)
            {
                self.flush()?;
                self.books.get_mut(&organization).map(Books::forget_idle_uses);
            }
        }
        Ok(answer)
    }

    fn open(&mut self, command: &Command) -> Result<Result<Reply, Denial>, StoreError> {
        let Command::Open { organization, wallet } = *command else {
            return Ok(Err(Denial::UnknownOrganization));
        };
        if past::is_wallet(self.connection, wallet)? {
            return Ok(Err(Denial::Duplicate));
        }
        let books = Books::new(organization, wallet);
        self.statements.insert_books(&books)?;
        self.books.insert(organization, books);
        Ok(Ok(Reply::Opened))
    }

    fn issue(&self, command: Command) -> Result<Result<Reply, Denial>, StoreError> {
        let Command::Issue(code) = command else { return Ok(Err(Denial::UnknownOrganization)) };
        let known = past::promo(self.connection, &code.code)?;
        let issued = issue(code, known.as_ref());
        if let (Ok(code), None) = (&issued, &known) {
            self.statements.save_promo(code)?;
        }
        Ok(issued.map(Reply::Issued))
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
        if let Some(checkpointer) = self.checkpointer.as_mut() {
            checkpointer.committed(busy);
        }
        Ok(())
    }

    /// Undoes the batch: the database forgets it, and the memory is read anew.
    fn abandon(&mut self, error: &StoreError) -> Result<(), StoreError> {
        tracing::error!(%error, "a batch was abandoned");
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        self.books.clear();
        self.ended.clear();
        self.unsaved.clear();
        self.changes = Changes::default();
        if !self.connection.is_autocommit() {
            self.statements.rollback()?;
        }
        if let Some(broken) = self.broken.take() {
            self.counters.breaches.fetch_add(1, Ordering::Relaxed);
            books::set_frozen(self.connection, broken, true)?;
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
                (Answer::CaughtUp(reply), _) => drop(reply.send(())),
                (Answer::Forgotten(reply, forgotten), None) => drop(reply.send(Ok(forgotten))),
                (Answer::Forgotten(reply, _), Some(text)) => {
                    drop(reply.send(Err(StoreError::Recovery(text.to_owned()))));
                }
                (Answer::Payment(reply, written), None) => drop(reply.send(written)),
                (Answer::Payment(reply, _), Some(text)) => {
                    drop(reply.send(Err(payments::PaymentStoreError::Failed(text.to_owned()))));
                }
            }
        }
        self.outbox.send();
        self.counters.commands.fetch_add(answered, Ordering::Relaxed);
    }
}

/// For a booking, the caller's name for it, if it has one. What bookings made must be found by the next command.
fn name_of(command: &Command) -> Option<Option<Idempotency>> {
    if let Command::Book(booking) = command { Some(booking.idempotency.clone()) } else { None }
}

/// The writer without its thread.
#[cfg(feature = "simulation")]
pub(crate) struct Inline<'c>(Batch<'c>);

#[cfg(feature = "simulation")]
impl<'c> Inline<'c> {
    pub(crate) fn new(
        connection: &'c Connection,
        clock: &'c dyn Clock,
        counters: &'c Counters,
    ) -> Result<Self, StoreError> {
        Batch::new(connection, None, clock, counters).map(Self)
    }

    /// Does these commands, at most as many as one transaction takes, in one transaction.
    pub(crate) fn run(&mut self, commands: Vec<Command>) -> Result<Vec<Ticket>, StoreError> {
        let mut tickets = Vec::with_capacity(commands.len());
        let mut jobs = VecDeque::with_capacity(commands.len());
        for command in commands {
            let (reply, ticket) = Ticket::open();
            tickets.push(ticket);
            jobs.push_back(Job::Ledger(command, reply));
        }
        // Beyond its room a ticket is answered as by a writer that has stopped.
        if !jobs.is_empty() {
            self.0.collect(&mut Commands(jobs.into_iter()))?;
        }
        Ok(tickets)
    }
}

/// Commands that somebody else has collected.
#[cfg(feature = "simulation")]
struct Commands(std::collections::vec_deque::IntoIter<Job>);

#[cfg(feature = "simulation")]
impl Iterator for Commands {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        self.0.next()
    }
}

#[cfg(feature = "simulation")]
impl Work for Commands {
    fn decisions(&mut self, _: usize) -> Vec<DecisionRecord> {
        Vec::new()
    }
}
