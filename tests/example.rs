//! The example file: it loads, holds every kind, and says every option with its true default.
// The files name the kind `local_db`.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};

use fathom::config::plan::Body;
use fathom::config::{KindOption, Loaded, Origin, json_schema, kind_options, load};
use fathom::registry;
use fathom_formats::detx::{Detector, DetxVersion, Layout};

/// Sections of km3mon's own file.
const PIPELINE: &str = r#"
[WebServer]
username = "km3net"
password = "pyrosoma"

[DOMRates]
lowest_rate = 150
highest_rate = 350

[PMTRates]
lowest_rate = 1000
highest_rate = 20000
hrv_ratio_threshold = 0.85

[TriggerRate]
interval = 300
with_minor_ticks = true

[TriggerMap]
max_events = 5000

[ZTPlot]
min_dus = 3
min_doms = 24
ytick_distance = 25

[CalibrateAHRS]
time_range = 72

[LocalDBService]
filename = "/data/monitoring.sqlite3"

[ELOGService]
password = "secret"
url = "https://elog.example.org"

[Alerts]
enabled = false
botname = "monitoring"
password = "secret"
channel = "operations"
operators = ["anna"]
"#;

const FILE: &str = "supervisor.toml.example";

fn loaded() -> Loaded {
    let origin = Origin {
        file: FILE.into(),
        ..Origin::default()
    };
    load(&origin).unwrap_or_else(|report| panic!("{}", report.render(false)))
}

/// The lines below each header of the example, comments included.
fn sections() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(FILE).unwrap();
    let mut sections = BTreeMap::<String, Vec<String>>::new();
    let mut header = String::new();
    for line in text.lines() {
        match line.trim_start_matches('#').strip_prefix('[') {
            Some(name) if !line.starts_with("#]") => {
                name.trim_end_matches(']').clone_into(&mut header)
            }
            _ => sections
                .entry(header.clone())
                .or_default()
                .push(line.to_owned()),
        }
    }
    sections
}

/// A key of a section: whether it stands in a comment, and its value.
fn entry(lines: &[String], key: &str) -> Option<(bool, toml::Value)> {
    let start = lines.iter().position(|line| {
        let line = line.trim_start_matches('#');
        line.strip_prefix(key)
            .is_some_and(|rest| rest.starts_with(" ="))
    })?;
    let commented = lines[start].starts_with('#');
    let mut text = String::new();
    // A value may take several lines.
    for line in &lines[start..] {
        text.push_str(line.strip_prefix('#').unwrap_or(line));
        text.push('\n');
        if let Ok(table) = text.parse::<toml::Table>() {
            let mut value = toml::Value::Table(table);
            for part in key.split('.') {
                value = value.get(part)?.clone();
            }
            return Some((commented, value));
        }
    }
    None
}

fn check(kind: &str, lines: &[String], option: &KindOption) -> Option<String> {
    let Some((commented, value)) = entry(lines, &option.name) else {
        return Some(format!("{kind}: `{}` is not mentioned", option.name));
    };
    let text = option.default.as_ref().filter(|_| commented)?;
    let default = format!("x = {text}")
        .parse::<toml::Table>()
        .unwrap()
        .remove("x")
        .unwrap();
    (default != value).then(|| format!("{kind}: the default of `{}` is {text}", option.name))
}

#[test]
fn the_example_loads_without_a_warning() {
    let loaded = loaded();
    assert!(
        loaded.warnings.findings().is_empty(),
        "{}",
        loaded.warnings.render(false)
    );
}

#[test]
fn every_kind_stands_in_the_example_with_all_options_and_their_defaults() {
    let (plan, sections) = (loaded().plan, sections());
    let mut wrong = Vec::new();
    for kind in registry::kinds() {
        let service = plan.services.iter().find(|service| {
            matches!(&service.body, Body::Kind(body) if body.kind.name == kind.name)
                && service.name.ends_with(kind.name)
        });
        let Some(service) = service else {
            wrong.push(format!("no service `{}`", kind.name));
            continue;
        };
        let short = service.name.rsplit(':').next().unwrap();
        let lines = &sections[&format!("service.{short}")];
        let options = kind_options(kind)
            .into_iter()
            .filter(|o| !o.name.contains('['));
        wrong.extend(options.filter_map(|option| check(kind.name, lines, &option)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_key_of_the_sections_is_mentioned() {
    let (schema, sections) = (json_schema(), sections());
    let keys = |pointer: &str| -> BTreeSet<String> {
        let keys = schema.pointer(pointer).unwrap().as_object().unwrap();
        keys.keys().cloned().collect()
    };
    for (section, pointer) in [
        ("stack", "/properties/stack/properties"),
        ("detector", "/properties/detector/properties"),
        ("control", "/properties/control/properties"),
        ("log", "/properties/log/properties"),
        ("health", "/properties/health/properties"),
        (
            "group.NAME",
            "/properties/group/additionalProperties/properties",
        ),
        (
            "service.NAME",
            "/properties/service/additionalProperties/properties",
        ),
    ] {
        for key in keys(pointer) {
            assert!(
                entry(&sections[section], &key).is_some(),
                "[{section}] {key}"
            );
        }
    }
}

#[test]
fn the_stack_for_users_of_km3mon_loads_with_the_names_of_its_environment() {
    let text = std::fs::read_to_string("docs/km3mon.md").unwrap();
    let (_, rest) = text.split_once("```toml\n").unwrap();
    let (stack, _) = rest.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let data = format!("{}/", folder.path().display());
    std::fs::write(path("supervisor.toml"), stack.replace("/data/", &data)).unwrap();
    std::fs::write(path("pipeline.toml"), PIPELINE).unwrap();
    let detector = Detector::generated(&Layout::orca(2)).to_detx(DetxVersion::V3);
    std::fs::write(path("latest.detx"), detector).unwrap();
    let mut origin = Origin {
        file: path("supervisor.toml"),
        ..Origin::default()
    };
    let environment = [
        ("DAQ_LIGIER_IP", "10.0.0.1"),
        ("LOG_LIGIER_IP", "10.0.0.2"),
        ("DETECTOR_MANAGER_IP", "10.0.0.3"),
        ("TAGS_TO_MIRROR", "IO_EVT, IO_SUM, IO_TSSN, IO_MONIT"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    origin.environment = environment.into_iter().collect();
    let loaded = load(&origin).unwrap_or_else(|report| panic!("{}", report.render(false)));
    let warnings = loaded.warnings.render(false);
    assert!(loaded.warnings.findings().is_empty(), "{warnings}");
    assert_eq!(loaded.plan.services.len(), 24);
}

#[test]
fn the_demonstration_loads_without_a_warning() {
    let origin = Origin {
        file: "src/cli/demo.toml".into(),
        ..Origin::default()
    };
    let loaded = load(&origin).unwrap_or_else(|report| panic!("{}", report.render(false)));
    assert!(loaded.warnings.findings().is_empty());
    assert_eq!(loaded.plan.levels.len(), 2);
}
