//! What one durable write costs on the disk that holds the books.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::failure::Failure;

/// Appends 4 KiB and makes them durable, again and again; nanoseconds each.
pub(crate) fn durable_appends(dir: &Path, times: usize) -> Result<Vec<u64>, Failure> {
    let path = dir.join("append");
    let measure = || -> std::io::Result<Vec<u64>> {
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        let block = [0x5a_u8; 4096];
        let mut taken = Vec::with_capacity(times);
        for _ in 0..times {
            let start = Instant::now();
            file.write_all(&block)?;
            file.sync_data()?;
            taken.push(nanos(start.elapsed()));
        }
        Ok(taken)
    };
    measure().map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display())))
}

/// A span in nanoseconds; 584 years fit.
pub(crate) fn nanos(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
