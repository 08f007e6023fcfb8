//! The example file: it loads, holds every kind, and says every option with its true default.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};

use fathom::config::plan::Body;
use fathom::config::{KindOption, Loaded, Origin, json_schema, kind_options, load};
use fathom::registry;

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
fn the_demonstration_loads_without_a_warning() {
    let origin = Origin {
        file: "src/cli/demo.toml".into(),
        ..Origin::default()
    };
    let loaded = load(&origin).unwrap_or_else(|report| panic!("{}", report.render(false)));
    assert!(loaded.warnings.findings().is_empty());
    assert_eq!(loaded.plan.levels.len(), 2);
}
