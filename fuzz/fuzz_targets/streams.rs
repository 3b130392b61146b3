//! Streams of providers', cut into pieces. What must hold: `tollkeeper_properties::streams`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollkeeper_properties::streams(data));
