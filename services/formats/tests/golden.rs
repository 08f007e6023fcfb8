//! Decodes every payload of the collaboration's reference values and compares all of them.
//!
//! `FATHOM_GOLDEN` names another file of the same shape. `FATHOM_TESTDATA` names a directory with
//! the original files (package km3net-testdata); without it the tests of whole files say that they
//! had nothing to read.

#![allow(
    clippy::unwrap_used,
    reason = "the helpers of these tests fail as tests do"
)]

mod golden {
    pub(crate) mod detx;
    pub(crate) mod event;
    pub(crate) mod file;
    pub(crate) mod framing;
    pub(crate) mod monitoring;
    pub(crate) mod online;
    pub(crate) mod rates;
    pub(crate) mod summary;
    pub(crate) mod timeslice;
}

use std::path::{Path, PathBuf};

use base64::Engine;
use fathom_formats::controlhost::Tag;
use fathom_formats::km3net::{Dump, Header, Versioning, sha256_hex};
use serde_json::Value;

/// Reads the reference values.
pub(crate) fn golden() -> Value {
    let path = std::env::var_os("FATHOM_GOLDEN")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden-public.json")
        });
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// A payload and what a decoder has to find in it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) body: Vec<u8>,
    pub(crate) expect: Value,
    pub(crate) versioning: Versioning,
}

/// Returns the cases of a section; checks that the bytes are the intended ones.
pub(crate) fn cases(section: &str) -> Vec<Case> {
    let golden = golden();
    let Some(cases) = golden[section].as_array() else {
        return Vec::new();
    };
    cases.iter().filter_map(Case::read).collect()
}

impl Case {
    /// Reads a case; `None` when its payload is left to the original files and these are not there.
    fn read(case: &Value) -> Option<Self> {
        let engine = base64::engine::general_purpose::STANDARD;
        let name = case["name"].as_str().unwrap().to_owned();
        let body = match case["payload_b64"].as_str() {
            Some(text) => engine.decode(text).unwrap(),
            None => body_of_file(&name)?,
        };
        let expect = case["expect"].clone();
        assert_eq!(expect["payload_len"], body.len(), "{name}");
        assert_eq!(expect["payload_sha256"], sha256_hex(&body), "{name}");
        let versioning = match case["legacy"].as_bool() {
            Some(true) => Versioning::AcceptLegacy,
            _ => Versioning::Current,
        };
        Some(Self {
            name,
            body,
            expect,
            versioning,
        })
    }

    /// Compares a field; both sides as JSON, so a missing field is not equal to anything but null.
    pub(crate) fn check(&self, field: &str, found: impl serde::Serialize) {
        let found = serde_json::to_value(found).unwrap();
        assert_eq!(self.expect[field], found, "{} {field}", self.name);
    }

    pub(crate) fn check_header(&self, header: &Header) {
        self.check("det_id", header.detector_id);
        self.check("run", header.run);
        self.check("frame_index", header.frame_index);
        self.check("wr_bit", u8::from(header.white_rabbit));
        self.check("utc_seconds", header.utc_seconds);
        self.check("ticks_16ns", header.ticks);
        self.check("nanoseconds", header.nanoseconds());
    }

    /// Holds what the JSON rendering of a payload shows against the expectation, field by field.
    ///
    /// Names that only one side has are skipped; returns how many were compared.
    pub(crate) fn check_json(&self, payload: &impl serde::Serialize) -> usize {
        let shown = serde_json::to_value(payload).unwrap();
        let fields = self.expect.as_object().unwrap();
        let common = fields
            .iter()
            .filter(|(field, _)| shown.get(field).is_some());
        common
            .map(|(field, value)| assert_same(value, &shown[field], field))
            .count()
    }
}

/// Compares JSON values; numbers within the tolerance that the reference states for rates.
pub(crate) fn assert_same(expected: &Value, found: &Value, what: &str) {
    match (expected, found) {
        (Value::Number(a), Value::Number(b)) => {
            assert!(
                close(a.as_f64().unwrap(), b.as_f64().unwrap()),
                "{what}: {a} {b}"
            );
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{what}");
            a.iter().zip(b).for_each(|(a, b)| assert_same(a, b, what));
        }
        (Value::Object(a), Value::Object(b)) => {
            for (field, value) in a {
                assert_same(value, b.get(field).unwrap_or(&Value::Null), field);
            }
        }
        _ => assert_eq!(expected, found, "{what}"),
    }
}

/// Compares within a relative tolerance of 1e-9.
pub(crate) fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// Returns the message that a name such as `IO_EVT.dat[1]` stands for.
fn body_of_file(name: &str) -> Option<Vec<u8>> {
    let (file, at) = name.trim_end_matches(']').split_once('[').unwrap();
    let bytes = testdata(file)?;
    let item = Dump::new(file_tag(file), &bytes)
        .nth(at.parse().unwrap())
        .unwrap();
    Some(item.body.unwrap().to_vec())
}

/// Returns the tag whose messages a dump holds: its name up to the second underscore or the dot.
pub(crate) fn file_tag(file: &str) -> Tag {
    let stem = file.split('.').next().unwrap();
    stem.split('_')
        .take(2)
        .collect::<Vec<_>>()
        .join("_")
        .parse()
        .unwrap()
}

/// Finds an original file by its name below `FATHOM_TESTDATA`; `None` without that variable.
pub(crate) fn testdata(name: &str) -> Option<Vec<u8>> {
    let Some(root) = std::env::var_os("FATHOM_TESTDATA") else {
        eprintln!("FATHOM_TESTDATA is not set, {name} not read");
        return None;
    };
    let path = find(Path::new(&root), name)
        .unwrap_or_else(|| panic!("no {name} below {}", Path::new(&root).display()));
    Some(std::fs::read(path).unwrap())
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let here = entries
        .iter()
        .find(|path| path.is_file() && path.ends_with(name))
        .cloned();
    here.or_else(|| {
        entries
            .iter()
            .filter(|path| path.is_dir())
            .find_map(|path| find(path, name))
    })
}
