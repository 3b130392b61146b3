//! The stand-in as a process: `tollkeeper-fake-stripe [--listen ADDR] [--secret-key KEY] [--webhook-secret SECRET]
//! [--webhook-url URL] [--truth-log FILE]`. It serves until its standard input ends.

use std::error::Error;
use std::io::{Read, Write};

use tollkeeper_fake_stripe::{FakeStripe, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--listen" => options.listen = value.parse()?,
            "--secret-key" => options.secret_key = value,
            "--webhook-secret" => options.webhook_secret = value,
            "--webhook-url" => options.webhook_url = Some(value),
            "--truth-log" => options.truth_log = Some(value.into()),
            _ => return Err(format!("{name} is unknown; see the documentation of this binary").into()),
        }
    }
    let fake = FakeStripe::start(options)?;
    let mut out = std::io::stdout();
    writeln!(out, "{{\"url\": \"{}\"}}", fake.base_url())?;
    out.flush()?;
    // Whoever started it holds the other end; when that is gone, nobody needs it any more.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
