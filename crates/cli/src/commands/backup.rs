//! `backup`: a copy of one moment of a gateway's books, checked before it gets its name.

use domain::Money;
use serde::Serialize;

use crate::args::BackupArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};
use crate::table::fields;

/// What a backup holds, for `backup` and `restore`.
#[derive(Debug, Serialize)]
pub(super) struct Held {
    organizations: u64,
    wallets: u64,
    entries: u64,
    rows: u64,
    pub(super) holds: u64,
    revenue: Money,
    balance: Money,
    /// Organizations whose books are frozen.
    pub(super) frozen: Vec<String>,
    /// One hash for where all journals end.
    head: String,
    /// Where each journal ends.
    heads: Vec<Head>,
    bytes: u64,
}

/// Where one organization's journal ends.
#[derive(Debug, Serialize)]
struct Head {
    organization: String,
    sequence: u64,
    hash: String,
}

impl Held {
    pub(super) fn new(backup: &server::Backup) -> Self {
        let head = |head: &server::Head| Head {
            organization: head.organization.to_string(),
            sequence: head.sequence,
            hash: hex(&head.hash),
        };
        let report = &backup.report;
        Self {
            organizations: report.organizations,
            wallets: report.wallets,
            entries: report.entries,
            rows: report.rows,
            holds: report.holds,
            revenue: report.revenue,
            balance: report.balance,
            frozen: report.frozen.iter().map(ToString::to_string).collect(),
            head: hex(&backup.head),
            heads: backup.heads.iter().map(head).collect(),
            bytes: backup.bytes,
        }
    }

    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        vec![
            ("organizations", self.organizations.to_string()),
            ("wallets", self.wallets.to_string()),
            ("journal entries", self.entries.to_string()),
            ("cost rows", self.rows.to_string()),
            ("live holds", self.holds.to_string()),
            ("revenue", self.revenue.to_string()),
            ("balance", self.balance.to_string()),
            ("frozen books", self.frozen.len().to_string()),
            ("head of chains", self.head.clone()),
            ("bytes", self.bytes.to_string()),
        ]
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A backup that was made.
#[derive(Debug, Serialize)]
struct Made {
    object: &'static str,
    file: String,
    /// Files of the data folder that are not in it and are needed after a restore.
    not_included: [&'static str; 2],
    #[serde(flatten)]
    held: Held,
}

impl View for Made {
    fn human(&self) -> String {
        let mut lines = vec![("backup", self.file.clone())];
        lines.extend(self.held.lines());
        fields(&lines)
    }

    fn note(&self) -> Option<String> {
        let secrets = "it holds no secrets: keep key.pepper (without it no key works after a restore) and operator.key of \
                       the data folder in another safe place";
        let frozen = if self.held.frozen.is_empty() {
            ""
        } else {
            "\nsome books are frozen, in the backup too: run `tollkeeper verify`"
        };
        Some(format!("{secrets}{frozen}"))
    }
}

/// Makes a backup of the data in the folder.
pub(crate) fn run(args: &BackupArgs, output: &mut Output) -> Result<(), Failure> {
    let backup = server::backup(&args.data, &args.to, args.force).map_err(|error| failure(args, &error))?;
    let file = args.to.display().to_string();
    output.own(&Made {
        object: "backup",
        file,
        not_included: ["key.pepper", "operator.key"],
        held: Held::new(&backup),
    })
}

fn failure(args: &BackupArgs, error: &server::BackupError) -> Failure {
    let is_broken = matches!(error, server::BackupError::Broken { .. });
    let exit = if is_broken { Exit::Findings } else { Exit::Failure };
    let failure = Failure::new(exit, format!("no backup was made: {error}"));
    if is_broken {
        return failure.next(format!(
            "run `tollkeeper verify --data {}`; to keep what is there, stop the gateway and copy the folder",
            args.data.display()
        ));
    }
    failure.next("mend this and repeat it; nothing was left behind")
}
