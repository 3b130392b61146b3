//! Streams in Amazon's framing, with checksums that are right. What must hold: `tollkeeper_properties::frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollkeeper_properties::frames(data));
