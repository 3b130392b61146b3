//! The figures as a table for people and as JSON for programs. Inside they are whole numbers of nanoseconds and KiB.

use serde::{Serialize, Serializer};

use crate::contender::Kind;
use crate::failure::Failure;
use crate::load::Window;
use crate::machine::Machine;
use crate::marks::Mark;
use crate::options::Options;
use crate::request::Case;
use crate::statistics::{median, percentile};

/// One contender under one kind of load: medians over the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    #[serde(serialize_with = "name")]
    pub(crate) contender: Kind,
    pub(crate) connections: usize,
    pub(crate) prompt_bytes: usize,
    pub(crate) stream: bool,
    pub(crate) requests_per_second: u64,
    #[serde(rename = "p50_us", serialize_with = "in_thousands")]
    pub(crate) p50: u64,
    #[serde(rename = "p99_us", serialize_with = "in_thousands")]
    pub(crate) p99: u64,
    /// Of `direct`: the simulated provider's own.
    #[serde(rename = "cpu_us_per_request", serialize_with = "in_thousands")]
    pub(crate) cpu: u64,
    /// Of a stream: for each event.
    #[serde(rename = "cpu_us_per_event", serialize_with = "thousandths")]
    pub(crate) cpu_per_event: Option<u64>,
    #[serde(serialize_with = "thousandths")]
    pub(crate) cpu_to_nginx: Option<u64>,
    #[serde(serialize_with = "thousandths")]
    pub(crate) cpu_to_direct: Option<u64>,
    pub(crate) resident_kib: u64,
    pub(crate) peak_kib: u64,
    /// Whole answers in all windows.
    pub(crate) requests: usize,
    pub(crate) failures: u64,
    pub(crate) first_failure: Option<String>,
}

/// What a durable append of 4 KiB costs.
#[derive(Debug, Serialize)]
pub(crate) struct Disk {
    #[serde(rename = "fdatasync_4k_p50_us", serialize_with = "in_thousands")]
    pub(crate) p50: u64,
    #[serde(rename = "fdatasync_4k_p99_us", serialize_with = "in_thousands")]
    p99: u64,
    samples: usize,
}

/// Everything that a run showed.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    window_ms: u128,
    rounds: usize,
    disk: Disk,
    rows: Vec<Row>,
    marks: Vec<Mark>,
}

impl Row {
    /// The medians of these windows, in which a stream came in so many pieces.
    pub(crate) fn new(contender: Kind, case: Case, pieces: usize, windows: &[Window]) -> Self {
        let of = |figure: &dyn Fn(&Window) -> u64| median(windows.iter().map(figure));
        let count = |window: &Window| u64::try_from(window.latencies.len()).unwrap_or(u64::MAX);
        let per_second =
            |window: &Window| (count(window) * 1_000_000_000).checked_div(window.span).unwrap_or(0);
        let cpu = of(&|window| window.cpu.checked_div(count(window)).unwrap_or(0));
        let pieces = u64::try_from(pieces).unwrap_or(u64::MAX);
        let first_failure = windows.iter().find_map(|window| window.first_failure.as_ref());
        Self {
            contender,
            connections: case.connections,
            prompt_bytes: case.prompt,
            stream: case.stream,
            requests_per_second: of(&per_second),
            p50: of(&|window| percentile(&window.latencies, 500)),
            p99: of(&|window| percentile(&window.latencies, 990)),
            cpu,
            cpu_per_event: cpu.checked_div(pieces).filter(|_| case.stream),
            cpu_to_nginx: None,
            cpu_to_direct: None,
            resident_kib: of(&|window| window.memory.resident),
            peak_kib: windows.iter().map(|window| window.memory.peak).max().unwrap_or(0),
            requests: windows.iter().map(|window| window.latencies.len()).sum(),
            failures: windows.iter().map(|window| window.failures).sum(),
            first_failure: first_failure.map(ToString::to_string),
        }
    }

    /// This row's CPU per call as a multiple of the other's, in thousandths.
    pub(crate) fn cpu_ratio(&self, other: &Self) -> Option<u64> {
        (self.cpu * 1_000).checked_div(other.cpu).filter(|_| self.cpu > 0)
    }

    fn is_beside(&self, other: &Self) -> bool {
        (self.connections, self.prompt_bytes, self.stream)
            == (other.connections, other.prompt_bytes, other.stream)
    }

    fn line(&self) -> String {
        let stream = if self.stream { "stream" } else { "whole" };
        let ratio = |ratio: Option<u64>| ratio.map_or("-".to_owned(), |ratio| hundredths(ratio / 10));
        format!(
            "{:9} {:>5} {:>7} {:6} {:>8} {:>9} {:>9} {:>8} {:>8} {:>7} {:>7} {:>7} {:>7} {:>6}",
            self.contender.name(),
            self.connections,
            self.prompt_bytes,
            stream,
            self.requests_per_second,
            micros(self.p50),
            micros(self.p99),
            micros(self.cpu),
            self.cpu_per_event.map_or("-".to_owned(), |cpu| hundredths(cpu / 10)),
            ratio(self.cpu_to_nginx),
            ratio(self.cpu_to_direct),
            mebibytes(self.resident_kib),
            mebibytes(self.peak_kib),
            self.failures,
        )
    }
}

impl Disk {
    /// From the nanoseconds of single appends.
    pub(crate) fn new(mut appends: Vec<u64>) -> Self {
        appends.sort_unstable();
        let of = |per_mille| percentile(&appends, per_mille);
        Self { p50: of(500), p99: of(990), samples: appends.len() }
    }
}

impl Report {
    pub(crate) fn new(
        machine: Machine,
        options: &Options,
        disk: Disk,
        mut rows: Vec<Row>,
        marks: Vec<Mark>,
    ) -> Self {
        for at in 0..rows.len() {
            let ratio = |kind| {
                let other = rows.iter().find(|other| other.contender == kind && other.is_beside(&rows[at]));
                other.and_then(|other| rows[at].cpu_ratio(other))
            };
            let (to_nginx, to_direct) = (ratio(Kind::Nginx), ratio(Kind::Direct));
            rows[at].cpu_to_nginx = to_nginx;
            rows[at].cpu_to_direct = to_direct;
        }
        Self { machine, window_ms: options.window.as_millis(), rounds: options.rounds, disk, rows, marks }
    }

    /// Whether no mark is missed.
    pub(crate) fn passes(&self) -> bool {
        self.marks.iter().all(|mark| mark.met != Some(false))
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut lines = vec![
            self.machine.line(),
            format!(
                "medians of {} windows of {} ms each; times in microseconds",
                self.rounds, self.window_ms
            ),
            format!(
                "4 KiB appended and made durable: p50 {}, p99 {} ({} samples)",
                micros(self.disk.p50),
                micros(self.disk.p99),
                self.disk.samples
            ),
            String::new(),
            format!(
                "{:9} {:>5} {:>7} {:6} {:>8} {:>9} {:>9} {:>8} {:>8} {:>7} {:>7} {:>7} {:>7} {:>6}",
                "",
                "conns",
                "prompt",
                "",
                "req/s",
                "p50",
                "p99",
                "CPU/req",
                "/event",
                "/nginx",
                "/direct",
                "MiB",
                "peak",
                "failed"
            ),
        ];
        for (at, row) in self.rows.iter().enumerate() {
            if at > 0 && !row.is_beside(&self.rows[at - 1]) {
                lines.push(String::new());
            }
            lines.push(row.line());
        }
        lines.push(String::new());
        for row in &self.rows {
            if let Some(failure) = &row.first_failure {
                lines.push(format!("first failure of {}: {failure}", row.line()));
            }
        }
        lines.extend(self.marks.iter().map(Mark::line));
        lines.join("\n")
    }

    /// For programs.
    pub(crate) fn json(&self) -> Result<String, Failure> {
        let json = serde_json::to_string_pretty(self);
        json.map(|json| json + "\n").map_err(|error| Failure::new(error.to_string()))
    }
}

/// Thousandths of a unit as a decimal with one place: nanoseconds as microseconds.
fn micros(thousandths: u64) -> String {
    format!("{}.{}", thousandths / 1_000, thousandths % 1_000 / 100)
}

/// Hundredths of a unit as a decimal.
pub(crate) fn hundredths(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn mebibytes(kib: u64) -> String {
    format!("{}.{}", kib / 1_024, kib % 1_024 * 10 / 1_024)
}

fn name<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

/// A whole number of thousandths as a JSON number of units.
fn in_thousands<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    thousandths(&Some(*value), serializer)
}

/// As [`in_thousands`], or null.
#[expect(clippy::float_arithmetic, reason = "JSON has no other fractions, and no money is involved")]
pub(crate) fn thousandths<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.serialize_f64(*value as f64 / 1_000.0),
        None => serializer.serialize_none(),
    }
}
