//! Bodies and targets of requests to the registry: read or refused, never a panic, and nothing beyond its bounds.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| forebay_registry::fuzzing::registration(data));
