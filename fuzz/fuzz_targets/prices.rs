//! Price files, price lists and amounts. What must hold: `tollkeeper_properties::prices`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollkeeper_properties::prices(data));
