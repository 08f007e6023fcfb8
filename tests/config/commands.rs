//! `fathom check`, `kinds` and `schema` as people call them.

use assert_cmd::Command;

fn fathom(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fathom"));
    let output = command.args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn check_prints_the_start_order_and_exits_with_0() {
    let (code, out, err) = fathom(&["check", "supervisor.toml.example", "--data", "/tmp/x"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("data folder: /tmp/x\n"), "{out}");
    assert!(out.contains("  1. ligiers:ligier "), "{out}");
    assert!(out.contains("listen = 127.0.0.1:8081"), "{out}");
}

#[test]
fn check_prints_all_problems_and_exits_with_2() {
    let file = "tests/config/bad/unknown_key.toml";
    let (code, out, err) = fathom(&["check", file]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.ends_with("unknown_key.toml: 3 problems\n"), "{err}");

    let (code, out, _) = fathom(&["check", "--json", file]);
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &answer["ok"]), (2, &false.into()));
    assert_eq!(answer["problems"][0]["at"]["line"], 2);
}

#[test]
fn check_without_a_file_says_which_one_it_wanted() {
    let (code, _, err) = fathom(&["check", "no/such/file.toml"]);
    assert_eq!(code, 2);
    assert!(err.contains("cannot read no/such/file.toml"), "{err}");
}

#[test]
fn addresses_can_be_given_on_the_command_line() {
    let listen = [
        "--listen",
        "ligiers:ligier=127.0.0.1:0",
        "--listen",
        "webserver=[::1]:0",
    ];
    let (code, out, err) = fathom(&[&["check", "supervisor.toml.example"], &listen[..]].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("listen = 127.0.0.1:0"), "{out}");
    assert!(out.contains("listen = [::1]:0"), "{out}");
}

#[test]
fn kinds_tells_the_options_of_a_kind() {
    let (code, out, _) = fathom(&["kinds", "dom_rates"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("lowest_rate              number [kHz], default 200.0"),
        "{out}"
    );
    let (code, _, err) = fathom(&["kinds", "dom_rate"]);
    assert_eq!(code, 1);
    assert!(err.contains("did you mean `dom_rates`?"), "{err}");
}

#[test]
fn schema_prints_json() {
    let (code, out, _) = fathom(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &schema["title"]), (0, &"supervisor.toml".into()));
}

#[test]
fn a_named_pipe_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.toml");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    let file = folder.path().join("supervisor.toml");
    std::fs::write(&file, "include = \"pipe.toml\"\n").unwrap();
    let (code, _, err) = fathom(&["check", file.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(err.contains("it is not a regular file"), "{err}");
}
