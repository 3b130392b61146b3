//! A response, read as its bytes come in: status and body, nothing else. Only framings that tell where a body ends are
//! taken, because a body that ends with its connection cannot be told from one that was cut.

use crate::failure::Failure;

/// The longest head, or chunk size line.
const LINE_BYTES_MAX: usize = 65_536;

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// So many bytes of the body are missing.
    Body(usize),
    ChunkSize,
    /// So many bytes of the chunk are missing.
    Chunk(usize),
    /// So many bytes of the line break after a chunk are missing.
    ChunkEnd(usize),
    /// Lines after the last chunk, up to an empty one.
    Trailer,
    Done,
}

/// A response as far as it has come.
#[derive(Debug)]
pub(crate) struct Response {
    state: State,
    /// The head, or the line of a chunk, as far as it has come.
    line: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn new() -> Self {
        Self { state: State::Head, line: Vec::new(), status: 0, body: Vec::new() }
    }

    /// Forgets the response, and keeps its memory for the next.
    pub(crate) fn clear(&mut self) {
        self.state = State::Head;
        self.line.clear();
        self.status = 0;
        self.body.clear();
    }

    /// Takes bytes in; whether they complete the response.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<bool, Failure> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Head => self.head(bytes)?,
                State::Body(left) => {
                    let (rest, left) = self.take(bytes, left);
                    self.state = if left == 0 { State::Done } else { State::Body(left) };
                    rest
                }
                State::ChunkSize => self.chunk_size(bytes)?,
                State::Chunk(left) => {
                    let (rest, left) = self.take(bytes, left);
                    self.state = if left == 0 { State::ChunkEnd(2) } else { State::Chunk(left) };
                    rest
                }
                State::ChunkEnd(left) => {
                    let skipped = left.min(bytes.len());
                    let left = left - skipped;
                    self.state = if left == 0 { State::ChunkSize } else { State::ChunkEnd(left) };
                    &bytes[skipped..]
                }
                State::Trailer => {
                    let (line, rest) = self.until(bytes, b"\r\n")?;
                    if line == Some(2) {
                        self.state = State::Done;
                    }
                    if line.is_some() {
                        self.line.clear();
                    }
                    rest
                }
                State::Done => return Err(Failure::new("bytes follow the end of the response")),
            };
        }
        Ok(self.state == State::Done)
    }

    fn take<'a>(&mut self, bytes: &'a [u8], left: usize) -> (&'a [u8], usize) {
        let (taken, rest) = bytes.split_at(left.min(bytes.len()));
        self.body.extend_from_slice(taken);
        (rest, left - taken.len())
    }

    /// Collects bytes into `line` up to and with `end`; the length of the line once it is whole, and what is left.
    fn until<'a>(&mut self, bytes: &'a [u8], end: &[u8]) -> Result<(Option<usize>, &'a [u8]), Failure> {
        let known = self.line.len();
        self.line.extend_from_slice(bytes);
        let from = known.saturating_sub(end.len() - 1);
        let found = self.line[from..].windows(end.len()).position(|window| window == end);
        match found {
            Some(at) => {
                let length = from + at + end.len();
                self.line.truncate(length);
                Ok((Some(length), &bytes[length - known..]))
            }
            None if self.line.len() > LINE_BYTES_MAX => Err(Failure::new("the head does not end")),
            None => Ok((None, &[])),
        }
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Failure> {
        let (length, rest) = self.until(bytes, b"\r\n\r\n")?;
        if length.is_none() {
            return Ok(rest);
        }
        let head = std::str::from_utf8(&self.line).map_err(|_| Failure::new("the head is no text"))?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        self.status = status.ok_or_else(|| Failure::new("the response is not HTTP/1.1"))?;
        let mut state = None;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                state = value
                    .parse()
                    .ok()
                    .map(|length| if length == 0 { State::Done } else { State::Body(length) });
            } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked")
            {
                state = Some(State::ChunkSize);
            }
        }
        self.state = state.ok_or_else(|| Failure::new("the response does not say where its body ends"))?;
        self.line.clear();
        Ok(rest)
    }

    fn chunk_size<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Failure> {
        let (length, rest) = self.until(bytes, b"\r\n")?;
        if length.is_some() {
            let text = std::str::from_utf8(&self.line).ok();
            let digits = text.and_then(|text| text.split([';', '\r']).next()).map(str::trim);
            let size = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok());
            let size = size.ok_or_else(|| Failure::new("the size of a chunk is no number"))?;
            self.state = if size == 0 { State::Trailer } else { State::Chunk(size) };
            self.line.clear();
        }
        Ok(rest)
    }
}
