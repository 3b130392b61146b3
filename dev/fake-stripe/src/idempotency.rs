//! Idempotency keys: the first answer to a key is the answer to that key.

use std::collections::BTreeMap;

use crate::reply::Reply;

/// The keys seen so far.
#[derive(Debug, Default)]
pub(crate) struct Keys(BTreeMap<String, Entry>);

#[derive(Debug)]
struct Entry {
    path: String,
    body: String,
    reply: Reply,
}

impl Keys {
    /// The answer of an earlier request with this key, or the refusal of a key that is used for something else.
    pub(crate) fn earlier(&self, key: &str, path: &str, body: &str) -> Option<Reply> {
        let entry = self.0.get(key)?;
        if entry.path == path && entry.body == body {
            return Some(Reply { replayed: true, ..entry.reply.clone() });
        }
        let message =
            format!("The idempotency key '{key}' was first used with another path or other parameters.");
        Some(Reply::refused(400, "idempotency_error", None, &message))
    }

    /// Remembers an answer, if its request was carried out.
    pub(crate) fn remember(&mut self, key: &str, path: &str, body: &str, reply: &Reply) {
        if reply.carried_out {
            let (path, body, reply) = (path.to_owned(), body.to_owned(), reply.clone());
            self.0.insert(key.to_owned(), Entry { path, body, reply });
        }
    }
}
