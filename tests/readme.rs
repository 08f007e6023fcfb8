//! The README: its commands exist, its files are there, its table lists the kinds, its example loads.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use fathom::registry;

fn readme() -> String {
    std::fs::read_to_string("README.md").unwrap()
}

/// The words of each `fathom …` command shown, without what stands behind a verb.
fn commands(text: &str) -> BTreeSet<Vec<&str>> {
    let shown = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("$ fathom "));
    shown
        .map(|words| {
            let verbs = if words.starts_with("ctl ") { 2 } else { 1 };
            words.split_whitespace().take(verbs).collect()
        })
        .collect()
}

#[test]
fn every_command_shown_exists() {
    let text = readme();
    let commands = commands(&text);
    assert!(commands.len() > 5, "{commands:?}");
    for words in commands {
        let ran = Command::new(env!("CARGO_BIN_EXE_fathom"))
            .args(&words)
            .arg("--help")
            .output();
        assert!(ran.unwrap().status.success(), "fathom {}", words.join(" "));
    }
}

#[test]
fn every_verb_of_ctl_is_in_the_table() {
    let text = readme();
    let help = Command::new(env!("CARGO_BIN_EXE_fathom"))
        .args(["ctl", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    for verb in verbs
        .take_while(|line| !line.is_empty())
        .filter_map(|l| l.split_whitespace().next())
    {
        assert!(
            verb == "help" || text.contains(&format!("`{verb}")),
            "ctl {verb} is not in the README"
        );
    }
}

#[test]
fn every_kind_is_in_the_table() {
    let text = readme();
    for kind in registry::kinds() {
        assert!(
            text.contains(&format!("| `{}` |", kind.name)),
            "{} is not in the README",
            kind.name
        );
    }
}

#[test]
fn every_file_named_is_there() {
    let text = readme();
    for link in text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        assert!(Path::new(link).exists(), "{link}");
    }
}
