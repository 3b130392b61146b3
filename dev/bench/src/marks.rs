//! The marks that the gateway has to meet, judged on the figures of one run.

use serde::Serialize;

use crate::contender::Kind;
use crate::report::{Disk, Row, hundredths, thousandths};

/// CPU per call, as a multiple of nginx's, in thousandths.
const CPU_TO_NGINX_MAX: u64 = 3_000;
/// Nanoseconds that a call may take longer with `process`.
const ADDED_MAX: u64 = 150_000;
/// Nanoseconds that a call may take longer with `power`, besides two durable writes.
const ADDED_TO_WRITES_MAX: u64 = 200_000;
/// Resident memory, in KiB.
const RESIDENT_MAX: u64 = 100 * 1024;

/// One mark: what was measured, and the limit, in the same unit.
#[derive(Debug, Serialize)]
pub(crate) struct Mark {
    pub(crate) mark: String,
    pub(crate) unit: &'static str,
    /// Nothing when the rows that it needs were not measured.
    #[serde(serialize_with = "thousandths")]
    pub(crate) measured: Option<u64>,
    #[serde(serialize_with = "thousandths")]
    pub(crate) limit: Option<u64>,
    pub(crate) met: Option<bool>,
}

impl Mark {
    /// `measured` and `limit` in thousandths of the unit.
    fn new(mark: String, unit: &'static str, measured: Option<u64>, limit: u64) -> Self {
        Self { mark, unit, measured, limit: Some(limit), met: measured.map(|measured| measured <= limit) }
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let verdict = match self.met {
            Some(true) => "met   ",
            Some(false) => "MISSED",
            None => "-     ",
        };
        let text = |value: Option<u64>| {
            let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
            value.map_or("not measured".to_owned(), |value| format!("{}{unit}", hundredths(value / 10)))
        };
        format!("{verdict} {}: {} (at most {})", self.mark, text(self.measured), text(self.limit))
    }
}

/// Judges every mark.
pub(crate) fn judge(rows: &[Row], disk: &Disk) -> Vec<Mark> {
    let failures = rows.iter().map(|row| row.failures).sum::<u64>();
    let mut marks = vec![Mark::new("answers that were not whole".to_owned(), "", Some(failures * 1_000), 0)];
    let small = |kind, connections| {
        let mut rows = rows.iter();
        rows.find(|row| {
            row.contender == kind && row.connections == connections && row.prompt_bytes == 200 && !row.stream
        })
    };
    for kind in [Kind::Process, Kind::Power] {
        let ratio = small(kind, 64).zip(small(Kind::Nginx, 64)).and_then(|(own, nginx)| own.cpu_ratio(nginx));
        let name = format!("{}: CPU per call to nginx's, 64 connections, small, not streaming", kind.name());
        marks.push(Mark::new(name, "times", ratio, CPU_TO_NGINX_MAX));
    }
    for (kind, limit) in [(Kind::Process, ADDED_MAX), (Kind::Power, 2 * disk.p50 + ADDED_TO_WRITES_MAX)] {
        let added = small(kind, 1)
            .zip(small(Kind::Direct, 1))
            .map(|(own, direct)| own.p50.saturating_sub(direct.p50));
        let name = format!("{}: added to p50, one connection, small, not streaming", kind.name());
        marks.push(Mark::new(name, "us", added, limit));
    }
    for kind in [Kind::Process, Kind::Power] {
        let peak = rows.iter().filter(|row| row.contender == kind).map(|row| row.peak_kib).max();
        let name = format!("{}: resident memory at its peak", kind.name());
        // In thousandths of a MiB, as the other marks are in thousandths of their units.
        marks.push(Mark::new(name, "MiB", peak.map(|kib| kib * 1_000 / 1_024), RESIDENT_MAX * 1_000 / 1_024));
    }
    marks
}
