//! Fields of requests that ask for permission: decided without a panic, the same each time, and nothing let through.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| forebay_cors::fuzzing::hostile(data));
