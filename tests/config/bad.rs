//! Each `bad/*.toml` gives exactly the report beside it. `FATHOM_BLESS=1` writes the reports anew.
//!
//! First lines may say `# set: KEY=VALUE` and `# env: NAME=VALUE`.

use std::path::{Path, PathBuf};

use fathom::config::{Origin, load};

const FOLDER: &str = "tests/config/bad";

fn origin(file: PathBuf) -> Origin {
    let text = std::fs::read_to_string(&file).unwrap();
    let mut origin = Origin {
        file,
        ..Origin::default()
    };
    for line in text.lines().map_while(|line| line.strip_prefix("# ")) {
        match line.split_once(": ").unwrap() {
            ("set", pair) => origin.set.push(pair.to_owned()),
            ("env", pair) => {
                let (name, value) = pair.split_once('=').unwrap();
                origin.environment.insert(name.into(), value.into());
            }
            other => panic!("{other:?}"),
        }
    }
    origin
}

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(FOLDER).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|f| f.extension() == Some("toml".as_ref()))
        .collect();
    files.sort();
    files
}

fn expected(case: &Path, report: &str) -> String {
    let path = case.with_extension("txt");
    if std::env::var_os("FATHOM_BLESS").is_some() {
        std::fs::write(&path, report).unwrap();
    }
    std::fs::read_to_string(&path).unwrap_or_default()
}

#[test]
fn every_broken_file_gives_exactly_its_report() {
    let cases = cases();
    assert!(cases.len() > 25);
    let mut wrong = Vec::new();
    for case in cases {
        let report = match load(&origin(case.clone())) {
            Ok(_) => "no problem\n".to_owned(),
            Err(report) => report.render(false),
        };
        if report != expected(&case, &report) || report == "no problem\n" {
            wrong.push(format!("=== {}\n{report}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn problems_for_programs_have_the_same_places() {
    let report = load(&origin(Path::new(FOLDER).join("cycle.toml")))
        .err()
        .unwrap();
    let findings = report.findings();
    assert_eq!(findings.len(), 1);
    let at = findings[0].at.as_ref().unwrap();
    assert_eq!((at.line, at.column), (6, 10));
    let others: Vec<_> = findings[0]
        .also
        .iter()
        .map(|spot| (spot.line, spot.column))
        .collect();
    assert_eq!(others, [(11, 10), (15, 18)]);
}
