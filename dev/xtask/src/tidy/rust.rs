//! Just enough Rust to tell code from comments and text, and to measure functions.

/// A source file, split so that every line keeps its number.
#[derive(Debug)]
pub(super) struct Source {
    /// The code, with comments and the insides of literals blanked.
    pub(super) code: Vec<String>,
    /// The comments, with all else blanked.
    pub(super) comments: Vec<String>,
    /// How many of the lines ship: those before the first test module.
    pub(super) production: usize,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Of its `fn`, from 1.
    pub(super) line: usize,
    /// From its `fn` to its closing brace.
    pub(super) length: usize,
}

impl Source {
    /// Splits a file. `is_test` says that none of it ships.
    pub(super) fn parse(text: &str, is_test: bool) -> Self {
        let (code, comments) = Blanker::split(text);
        let code: Vec<String> = code.lines().map(str::to_owned).collect();
        let comments = comments.lines().map(str::to_owned).collect();
        let production = if is_test { 0 } else { test_module(&code).unwrap_or(code.len()) };
        Self { code, comments, production }
    }

    /// The functions that ship.
    pub(super) fn functions(&self) -> Vec<Function> {
        let text = self.code[..self.production].join("\n");
        words(&text, "fn").filter_map(|at| function(&text, at)).collect()
    }
}

/// The line at which `#[cfg(test)] mod … {` begins. A module in a file of its own hides nothing here.
fn test_module(code: &[String]) -> Option<usize> {
    (0..code.len()).find(|&at| {
        let attribute = code[at].trim();
        if !(attribute.starts_with("#[cfg(test)]") || attribute.starts_with("#[cfg(all(test")) {
            return false;
        }
        let mut after = code[at..].iter().map(|line| line.trim());
        let item = after.find(|line| !line.is_empty() && !line.starts_with("#[")).unwrap_or("");
        words(item, "mod").next().is_some() && item.ends_with('{')
    })
}

fn function(text: &str, at: usize) -> Option<Function> {
    let rest = text[at + 2..].trim_start();
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return None; // A type such as `fn(u8)`.
    }
    let bytes = text.as_bytes();
    let mut depth = 0;
    let open = (at..bytes.len()).find(|&i| {
        match bytes[i] {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            _ => {}
        }
        depth == 0 && matches!(bytes[i], b'{' | b';')
    })?;
    if bytes[open] == b';' {
        return None;
    }
    let mut braces = 0;
    let close = (open..bytes.len()).find(|&i| {
        match bytes[i] {
            b'{' => braces += 1,
            b'}' => braces -= 1,
            _ => {}
        }
        braces == 0
    })?;
    let line = text[..at].matches('\n').count() + 1;
    Some(Function { name, line, length: text[at..close].matches('\n').count() + 1 })
}

/// Where `word` stands in `text`, not as a part of a longer word.
pub(super) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_word =
        |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 128);
    let bytes = text.as_bytes();
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = at.checked_sub(1).and_then(|i| bytes.get(i));
        !is_word(before) && !is_word(bytes.get(at + word.len()))
    })
}

/// Copies a source twice: code without comments and text, comments without code.
struct Blanker<'a> {
    rest: &'a str,
    before: char,
    code: String,
    comments: String,
}

impl<'a> Blanker<'a> {
    fn split(text: &'a str) -> (String, String) {
        let size = text.len();
        let mut blanker = Self {
            rest: text,
            before: '\n',
            code: String::with_capacity(size),
            comments: String::with_capacity(size),
        };
        while !blanker.rest.is_empty() {
            blanker.step();
        }
        (blanker.code, blanker.comments)
    }

    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.comment(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.comment(block_comment(rest));
        } else if let Some((head, length)) = self.raw_string() {
            self.literal(head, length);
        } else if rest.starts_with('"') {
            self.literal(1, string(rest));
        } else if let Some(length) = character(rest) {
            self.literal(1, length);
        } else {
            let c = rest.chars().next().unwrap_or('\n');
            self.copy(c.len_utf8(), true, false);
            self.before = c;
        }
    }

    fn comment(&mut self, length: usize) {
        self.copy(length, false, true);
        self.before = ' ';
    }

    /// Keeps a literal's delimiters, as code, and blanks what is between.
    fn literal(&mut self, head: usize, length: usize) {
        self.copy(head.min(length), true, false);
        let inside = length.saturating_sub(head + 1);
        self.copy(inside, false, false);
        self.copy(length - (head + inside).min(length), true, false);
        self.before = '"';
    }

    fn copy(&mut self, length: usize, code: bool, comments: bool) {
        let (taken, rest) = self.rest.split_at(length);
        for c in taken.chars() {
            let blank = if c == '\n' { '\n' } else { ' ' };
            self.code.push(if code { c } else { blank });
            self.comments.push(if comments { c } else { blank });
        }
        self.rest = rest;
    }

    /// `r"…"`, `r#"…"#` and their byte and C kinds: the length up to the opening quote, and the whole length.
    fn raw_string(&self) -> Option<(usize, usize)> {
        if self.before.is_alphanumeric() || self.before == '_' {
            return None;
        }
        let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
            let after = self.rest.strip_prefix(prefix);
            after.is_some_and(|after| after.trim_start_matches('#').starts_with('"'))
        })?;
        let hashes = self.rest[prefix.len()..].bytes().take_while(|&b| b == b'#').count();
        let head = prefix.len() + hashes + 1;
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = self.rest[head..].find(&end).map_or(self.rest.len() - head, |at| at + end.len());
        Some((head, head + inside))
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal; nothing for a lifetime.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    if let Some(escape) = inside.strip_prefix('\\') {
        // The character after the backslash may be the quote itself.
        let first = escape.chars().next()?.len_utf8();
        return escape[first..].find('\'').map(|end| 2 + first + end + 1);
    }
    let c = inside.chars().next()?;
    inside[c.len_utf8()..].starts_with('\'').then_some(c.len_utf8() + 2)
}
