//! Bodies of callers. What must hold: `tollkeeper_properties::requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollkeeper_properties::requests(data));
