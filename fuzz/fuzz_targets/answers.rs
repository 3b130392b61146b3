//! Whole answers of providers'. What must hold: `tollkeeper_properties::answers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollkeeper_properties::answers(data));
