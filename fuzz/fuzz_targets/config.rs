//! Configurations, and the texts of operators, administrators and headers. What must hold: `tollkeeper_properties::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollkeeper_properties::config(data));
