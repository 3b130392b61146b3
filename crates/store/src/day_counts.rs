//! What was used of a day's rate limits, so that it counts on after a restart. Whose it is and how it is counted this
//! module does not know: a count is a name of 16 bytes, a word and a number.

use rusqlite::{Connection, params};

use crate::StoreError;
use crate::columns::count;
use crate::reader::Reader;

/// What was used of one thing on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayCount {
    /// The day's number, as whoever counts has it: since 1970, of days that need not begin at midnight UTC.
    pub day: u32,
    /// Whose.
    pub bucket: [u8; 16],
    /// What is counted, as a word.
    pub measure: String,
    /// How much.
    pub used: u64,
}

/// Writes counts in the place of those of the same name, and forgets those of days that are over.
pub(crate) fn save(connection: &Connection, counts: &[DayCount]) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO day_count (day, bucket, measure, used) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (day, bucket, measure) DO UPDATE SET used = excluded.used",
    )?;
    for each in counts {
        statement.execute(params![each.day, each.bucket, each.measure, count(each.used)])?;
    }
    if let Some(today) = counts.iter().map(|each| each.day).max() {
        // Two days are over nowhere on earth before the third begins everywhere.
        let over = today.saturating_sub(2);
        connection.prepare_cached("DELETE FROM day_count WHERE day < ?1")?.execute([over])?;
    }
    Ok(())
}

impl Reader {
    /// What was used of a day.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn day_counts(&self, day: u32) -> Result<Vec<DayCount>, StoreError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT bucket, measure, used FROM day_count WHERE day = ?1")?;
            let mut rows = statement.query([day])?;
            let mut counts = Vec::new();
            while let Some(row) = rows.next()? {
                let used: i64 = row.get(2)?;
                let (bucket, measure) = (row.get(0)?, row.get(1)?);
                counts.push(DayCount { day, bucket, measure, used: used.unsigned_abs() });
            }
            Ok(counts)
        })
    }
}
