//! Whole dump files: every message is found, and those with reference values are the right ones.

use std::collections::HashMap;

use fathom_formats::km3net::{Dump, Payload, Versioning, sha256_hex};

use super::super::{cases, file_tag, golden, testdata};

const SECTIONS: [&str; 5] = ["io_evt", "io_evt_legacy", "io_sum", "io_ts", "io_monit"];

#[test]
fn golden_files_have_so_many_messages() {
    let digests: HashMap<String, Option<String>> = SECTIONS
        .iter()
        .flat_map(|section| cases(section))
        .map(|case| (case.name, case.expect["digest"].as_str().map(str::to_owned)))
        .collect();
    for (file, expected) in golden()["files"].as_object().unwrap() {
        let Some(bytes) = testdata(file) else {
            continue;
        };
        assert_eq!(expected["size"], bytes.len(), "{file}");
        assert_eq!(expected["sha256"], sha256_hex(&bytes), "{file}");
        let items: Vec<_> = Dump::new(file_tag(file), &bytes).collect();
        assert_eq!(expected["n_messages"], items.len(), "{file}");
        for (at, item) in items.iter().enumerate() {
            let body = item.body.as_ref().unwrap();
            let payload = Payload::decode_with(file_tag(file), body, Versioning::AcceptLegacy);
            if file == "IO_SUM_legacy.dat" {
                assert!(payload.is_err(), "39-byte frames have to be refused");
                continue;
            }
            let payload = payload.unwrap_or_else(|e| panic!("{file}[{at}]: {e}"));
            if let Some(digest) = digests.get(&format!("{file}[{at}]")) {
                assert_eq!(&payload.digest(), digest, "{file}[{at}]");
            }
            assert!(serde_json::to_string(&payload).unwrap().len() > 100);
        }
    }
}
