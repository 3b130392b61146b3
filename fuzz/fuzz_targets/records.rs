//! What is read from a disk. What must hold: `tollkeeper_properties::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollkeeper_properties::records(data));
