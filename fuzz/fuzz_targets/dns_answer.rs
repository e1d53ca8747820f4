//! A message from a name server: whatever it holds, it is understood or refused, and gives nothing that cannot be used.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| forebay_discovery::fuzzing::hostile_answer(data));
