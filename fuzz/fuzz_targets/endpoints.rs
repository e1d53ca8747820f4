//! A file of endpoints: whatever it holds, it is understood or refused with a place, and weights are never zero.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match forebay_discovery::file::targets(data) {
        Ok(targets) => assert!(targets.iter().all(|target| target.weight >= 1 && target.address.port() != 0)),
        Err(problem) => assert!(!problem.is_empty()),
    }
});
