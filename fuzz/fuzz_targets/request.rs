//! Requests on one connection: read the same however they are cut, and passed on as what they are.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| forebay_http::fuzzing::request(data));
