//! The binary as a process: run to its end, or started, spoken to and stopped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Exit code, standard output, standard error.
pub(crate) type Ran = (i32, String, String);

/// The binary on a line whose words are parted by blanks, with these variables and no others.
fn command(line: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollkeeper"));
    command.args(line.split(' ')).env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) fn tollkeeper(line: &str, variables: &[(&str, &str)]) -> Ran {
    let output = command(line, variables).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A process that serves until it is stopped, which the end of the test does at the latest.
pub(crate) struct Server {
    child: Child,
    /// The one line that it prints when it answers.
    pub(crate) ready: Value,
}

impl Server {
    /// Starts the binary and waits until it answers.
    pub(crate) fn start(line: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = command(line, variables).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let server = Self { child, ready: serde_json::from_str(&ready).unwrap_or_default() };
        assert_eq!(server.ready["pid"], server.child.id(), "`{line}` did not start: {ready:?}");
        server
    }

    /// What it said under this name when it was ready.
    pub(crate) fn fact(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap()
    }

    /// Sends one chat call and leaves its answer to be read.
    pub(crate) fn ask(&self, key: &str, model: &str) -> TcpStream {
        let address = self.fact("base_url").trim_start_matches("http://").trim_end_matches("/v1");
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello"}}]}}"#);
        let mut stream = TcpStream::connect(address.parse::<SocketAddr>().unwrap()).unwrap();
        write!(
            stream,
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\
             connection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        stream
    }

    /// Sends one chat call and gives the whole answer, head and body.
    pub(crate) fn chat(&self, key: &str) -> String {
        let mut answer = String::new();
        self.ask(key, "sim-small").read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sends this signal, such as `-TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends this signal and waits for the end. Gives the exit code.
    pub(crate) fn stop(mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Most have ended by then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A path inside a folder, as a word of a line.
pub(crate) fn inside(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}
