//! Octets sent to the registry's DNS: no reply, or one that is a reply to them, can be read and fits.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| forebay_registry::dns::fuzzing::query(data));
