//! Forms of callers. What must hold: `tollkeeper_properties::forms`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollkeeper_properties::forms(data));
