//! Detector files: what is accepted survives writing and reading.
#![no_main]

use fathom_formats::detx::Detector;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(parsed) = Detector::parse(bytes) else {
        return;
    };
    parsed.detector.digest();
    let again = Detector::parse(parsed.detector.to_detx(parsed.version).as_bytes())
        .expect("our own files can be read");
    let modules = |detector: &Detector| detector.optical_modules().count();
    assert_eq!(modules(&again.detector), modules(&parsed.detector));
});
