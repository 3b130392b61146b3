//! The mock as its callers meet it: over loopback, by HTTP/1.1 and HTTP/2, its truth log beside.

mod client;
mod content;
mod converse;
mod faults;
mod messages;
mod outputs;
mod pace;
mod refusals;
mod responses;
mod shapes;
mod tokens;
