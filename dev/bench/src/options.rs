//! What to measure, from the command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::contender::Kind;
use crate::failure::Failure;

pub(crate) const HELP: &str = "\
usage: cargo xtask bench [options]

  --quick              shorter windows; the figures are noisier
  --json FILE          write the figures as JSON, too
  --contender LIST     of direct, nginx, process, power, converted (all but the last)
  --connections LIST   connections at a time (1,64)
  --prompt LIST        bytes of the prompt (200,32768)
  --stream WHICH       no, yes or both (both)
  --tokens N           tokens of each answer; a stream has an event for each (20)
  --pace N             tokens a second of each stream (as fast as it goes)
  --seconds S          length of a window (2)
  --rounds N           windows of each row (5)
  --binary FILE        the tollkeeper to measure (the one beside this program)
  --dir DIR            where data and logs go, on the disk to measure (target/bench)

Exit code 1 when an answer was not whole or a mark is missed.";

/// What to measure.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) contenders: Vec<Kind>,
    pub(crate) connections: Vec<usize>,
    /// In bytes.
    pub(crate) prompts: Vec<usize>,
    pub(crate) streams: Vec<bool>,
    /// Tokens of each answer.
    pub(crate) tokens: u64,
    /// Tokens a second of each stream; `None`: as fast as it goes.
    pub(crate) pace: Option<u64>,
    pub(crate) window: Duration,
    /// Load before each window that is not measured.
    pub(crate) warm_up: Duration,
    pub(crate) rounds: usize,
    pub(crate) json: Option<PathBuf>,
    pub(crate) binary: PathBuf,
    pub(crate) dir: PathBuf,
}

impl Options {
    fn standard() -> Self {
        // This program is TARGET/release/tollkeeper-bench.
        let own = std::env::current_exe().unwrap_or_default();
        let beside = own.parent().unwrap_or(&own);
        Self {
            contenders: vec![Kind::Direct, Kind::Nginx, Kind::Process, Kind::Power],
            connections: vec![1, 64],
            prompts: vec![200, 32_768],
            streams: vec![false, true],
            tokens: 20,
            pace: None,
            window: Duration::from_secs(2),
            warm_up: Duration::from_millis(300),
            rounds: 5,
            json: None,
            binary: beside.join("tollkeeper"),
            dir: beside.parent().unwrap_or(beside).join("bench"),
        }
    }

    /// Reads the arguments; nothing when they ask for help.
    pub(crate) fn parse(arguments: &[String]) -> Result<Option<Self>, Failure> {
        let mut options = Self::standard();
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(name) = rest.next() {
            match name {
                "--help" | "-h" => return Ok(None),
                "--quick" => {
                    options.window = Duration::from_millis(400);
                    options.warm_up = Duration::from_millis(150);
                    options.rounds = 3;
                }
                _ => {
                    let value =
                        rest.next().ok_or_else(|| Failure::new(format!("`{name}` lacks its value")))?;
                    options.set(name, value)?;
                }
            }
        }
        Ok(Some(options))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match name {
            "--json" => self.json = Some(value.into()),
            "--contender" => self.contenders = list(name, value, Kind::named)?,
            "--connections" => self.connections = list(name, value, |text| within(text, 1..=1_000))?,
            "--prompt" => self.prompts = list(name, value, |text| within(text, 1..=1_000_000))?,
            "--stream" => {
                self.streams = match value {
                    "no" => vec![false],
                    "yes" => vec![true],
                    "both" => vec![false, true],
                    _ => return Err(Failure::new(format!("`{name}` is no, yes or both, not `{value}`"))),
                };
            }
            "--tokens" => self.tokens = one(name, value, 2..=10_000)?,
            "--pace" => self.pace = Some(one(name, value, 1..=1_000_000)?),
            "--seconds" => {
                let seconds =
                    value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                let window = seconds.filter(|window| !window.is_zero());
                self.window = window.ok_or_else(|| Failure::new(format!("`{name}` cannot be `{value}`")))?;
            }
            "--rounds" => self.rounds = one(name, value, 1..=100)?,
            "--binary" => self.binary = value.into(),
            "--dir" => self.dir = value.into(),
            _ => return Err(Failure::new(format!("no option is called `{name}`"))),
        }
        Ok(())
    }
}

fn within<T: FromStr + PartialOrd>(text: &str, range: std::ops::RangeInclusive<T>) -> Option<T> {
    text.parse().ok().filter(|number| range.contains(number))
}

fn one<T: FromStr + PartialOrd>(
    name: &str,
    value: &str,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, Failure> {
    within(value, range).ok_or_else(|| Failure::new(format!("`{name}` cannot be `{value}`")))
}

fn list<T>(name: &str, value: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Failure> {
    let each = |text| read(text).ok_or_else(|| Failure::new(format!("`{name}` cannot be `{text}`")));
    value.split(',').map(each).collect()
}
