//! Bytes sent as a token, a key set, claims or an API key: read without a panic, and nobody let in.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| forebay_auth::fuzzing::hostile(data));
