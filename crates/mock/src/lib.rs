//! A simulated provider: it speaks OpenAI's chat completions, responses, embeddings and models, Anthropic's messages,
//! Gemini's content and Amazon's Converse, with its event stream and its signatures, over HTTP/1.1 and HTTP/2 (prior knowledge), misbehaves as told, and keeps a truth log of what a real provider would
//! have billed.
//!
//! It stands where a provider stands, so it shares nothing with the code that meters and charges: it counts tokens
//! itself and owns its threads, its clock and its sockets. Tests, the demo and the benchmark use it in process
//! ([`Mock::start`]), the command line runs it alone ([`run`]).
//!
//! # Steering
//! A [`Behaviour`] is written as `key=value` pairs separated by `;`. Three places give one, each overriding the one
//! before: [`Options::defaults`], the asked model's name after its first `?` (`sim-small?fault=hang;tps=50`, which
//! also reaches the mock through a gateway), and the request header `x-mock`.
//!
//! | key | default | meaning |
//! |---|---|---|
//! | `latency_ms` | 0 | wait before the response's head |
//! | `ttft_ms` | 0 | wait between the head and the first event of a stream |
//! | `tps` | 0 | tokens per second of a stream; 0 is as fast as possible |
//! | `in` | counted | prompt tokens to report instead of the exact count, which `auto` brings back |
//! | `out` | 16 | completion tokens of each choice, unless the request's own cap is lower |
//! | `cached` | 0 | share of the prompt reported as read from the cache, in percent |
//! | `cache_write` | 0 | share of the prompt reported as written to the cache for five minutes, in percent |
//! | `cache_write_1h` | 0 | the same for an hour |
//! | `reasoning` | 0 | tokens inside `out` that are reasoning; shown in messages, as thoughts, and never in chats |
//! | `calls` | 0 | tools that are called at once, of those that are offered; 0 is one where it is demanded, else none |
//! | `chunk` | 1 | tokens in one event of a stream |
//! | `split` | 0 | bytes of the body in one write, to cut events anywhere; 0 leaves them whole |
//! | `fault` | none | what goes wrong: see [`Fault`]; `none` for nothing |
//! | `fail` | 100 | percent of the requests that meet the fault |
//! | `after` | half | tokens delivered before a fault in mid-stream; `half` of those to be shown |
//! | `retry_after` | 1 | seconds in `retry-after` of a 429; when given, of every refusal |
//! | `auth` | on | `off` accepts requests without a key |
//!
//! An answer says a text, or calls tools: where `tool_choice` demands it, or `calls` says so, tools are offered and the
//! request does not end with what tools said. Several calls take the offered tools in turn and share the tokens. The
//! arguments of a call, and the text where JSON is asked for, are an object with the text in its member `text`; that
//! frame counts no tokens.
//!
//! Converse takes any bearer token, or a signature (service `bedrock`, any region) by the access key `SIMULATED` with the
//! secret `simulated`, which is checked. Its answers do not name their model.
//!
//! Speech has `out` tokens of 48 milliseconds each, as MP3, WAV or bare samples. A recording is as long as the head of a WAV
//! says, or as an MP3 of 128 kbit/s; a transcript of it has `out` tokens, and tells a time in place of tokens where the
//! model's name has `whisper` in it.
//!
//! Vertex AI is there for Gemini's content and Anthropic's messages, below `/v1/projects/P/locations/L/publishers`. It takes
//! the access tokens that `POST /token?key=K` gives for what a service account has signed whose public key (base 64 for
//! addresses, of its X.509 form) is K, which is checked; `expires_in=S` beside it is how long they live. The metadata server
//! of Google's machines gives them, too. Content is also to be had for any API key.
//!
//! # Truth log
//! One JSON line for each call of chat, responses, embeddings, messages, content or Converse: `at_us` (arrival, microseconds since 1970), `id` (as in the
//! answer), `request_id` (the request's `x-client-request-id`, or null), `model` (the one that answered), `stream`,
//! `prompt_tokens` (the whole input, the cached and the written included), `cached_tokens`, `cache_write_tokens`,
//! `cache_write_1h_tokens`, `completion_tokens`, `reasoning_tokens`, `images`, `audio_prompt_tokens` and
//! `image_prompt_tokens` (parts of `prompt_tokens`), `characters`, `audio_ms`, `finished`, `fault`, `status` (0 when
//! no answer began). The line stands in the file before the last byte of the answer is handed to the socket. An
//! answer that its client abandoned, or that a fault cut, has `finished` false and the tokens delivered until then.
//! Faults that deliver nothing usable (the refusals, `hang`, `close`, `garbage`, `empty`) bill nothing; an answer in
//! one piece bills whole, because all of it was generated before its first byte left.

mod access_token;
mod answer;
mod behaviour;
mod body;
mod call;
mod content;
mod content_request;
mod converse;
mod decode;
mod decode_response;
mod embedding;
mod form;
mod image;
mod messages;
mod moderation;
mod output;
mod problem;
mod request;
mod request_converse;
mod response;
mod server;
mod service;
mod signature;
mod speech;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod transcript;
mod truth;
mod vertex;
mod wire;

pub use behaviour::{Behaviour, BehaviourError, Fault};
pub use server::{Mock, Options, run};
