//! `fathom import`: a configuration of supervisord becomes one of fathom, and starts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../rig/mod.rs"]
mod rig;

mod hostile;
mod options;
mod start;

use std::path::Path;

use assert_cmd::Command;

/// What a run of the program gave.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// The environment of the example: nothing else is seen of ours.
const VARIABLES: [(&str, &str); 2] = [("DETECTOR_ID", "43"), ("LIGIER", "127.0.0.1:5553")];

fn import(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fathom"));
    let command = command.current_dir(folder).env_clear().envs(VARIABLES);
    let output = command.arg("import").args(arguments).output().unwrap();
    let folder = folder.canonicalize().unwrap();
    // What `%(here)s` stands for depends on where the test runs.
    let text = |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        text.replace(folder.to_str().unwrap(), "/HERE")
    };
    Ran {
        code: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// A folder with one configuration in it.
fn folder_with(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("supervisord.conf"), text).unwrap();
    folder
}

/// Converts a text; the result must load.
fn converted(text: &str) -> Ran {
    let folder = folder_with(text);
    let ran = import(folder.path(), &[]);
    std::fs::write(folder.path().join("supervisor.toml"), &ran.out).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_fathom"));
    let check = check.current_dir(folder.path()).env_clear().envs(VARIABLES);
    let checked = check.arg("check").output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{}\n{said}", ran.out);
    ran
}

#[test]
fn a_configuration_of_the_shape_of_km3mon_converts() {
    let folder = Path::new("tests/import/km3mon");
    let ran = import(folder, &[]);
    assert_eq!(ran.code, 0);
    insta::assert_snapshot!("km3mon_toml", ran.out);
    insta::assert_snapshot!("km3mon_report", ran.err);
}

#[test]
fn the_report_for_programs_says_the_same() {
    let folder = Path::new("tests/import/km3mon");
    let (plain, json) = (import(folder, &[]), import(folder, &["--json"]));
    let answer: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, json.err.as_str()), (0, ""));
    assert_eq!(answer["toml"], plain.out);
    assert_eq!(answer["services"][2], "monitoring_process:ligier_mirror");
    let notes = answer["notes"].as_array().unwrap();
    assert_eq!(notes.len() + 1, plain.err.lines().count());
    assert_eq!(notes[2]["option"], "pidfile");
    assert_eq!(notes[2]["line"], 18);
    assert_eq!(notes[2]["gravity"], "dropped");
}

#[test]
fn a_file_is_replaced_only_when_told_so() {
    let folder = folder_with("[program:a]\ncommand=sleep 9\n");
    let ran = import(folder.path(), &["-o", "new.toml"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(
        ran.err.contains("next: fathom check new.toml"),
        "{}",
        ran.err
    );
    let ran = import(folder.path(), &["-o", "new.toml"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.err, "fathom: new.toml exists; --force replaces it\n");
    assert_eq!(
        import(folder.path(), &["-o", "new.toml", "--force"]).code,
        0
    );
}

#[test]
fn a_file_for_another_folder_finds_its_programs() {
    let folder = folder_with("[program:a]\ncommand=./a\n[program:b]\ncommand=b\ndirectory=data\n");
    std::fs::create_dir(folder.path().join("new")).unwrap();
    import(folder.path(), &["-o", "new/supervisor.toml"]);
    let text = std::fs::read_to_string(folder.path().join("new/supervisor.toml")).unwrap();
    let here = folder.path().canonicalize().unwrap();
    let cwd = |path: &Path| format!("cwd = \"{}\"\n", path.display());
    assert!(text.contains(&cwd(&here)), "{text}");
    assert!(text.contains(&cwd(&here.join("data"))), "{text}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let ran = import(Path::new("tests"), &["no.conf"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.starts_with("fathom: cannot read no.conf: "),
        "{}",
        ran.err
    );
}
