//! Commands that need no supervisor: completion, manual pages, password hashes.

use std::io::Write as _;
use std::process::{Command, Stdio};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier as _};

use crate::fake::fathom;

#[tokio::test]
async fn every_shell_gets_a_completion_that_knows_the_verbs() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = fathom(&["completions", shell]).await;
        assert_eq!(ran.code, 0, "{ran}");
        for word in ["restart", "shutdown", "healthcheck"] {
            assert!(ran.out.contains(word), "{shell}: {word}");
        }
    }
}

#[tokio::test]
async fn there_is_a_manual_page_for_every_verb() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("man").display().to_string();
    assert_eq!(fathom(&["man", &path]).await.code, 0);
    for page in [
        "fathom.1",
        "fathom-ctl.1",
        "fathom-ctl-status.1",
        "fathom-check.1",
    ] {
        let text = std::fs::read_to_string(folder.path().join("man").join(page)).expect(page);
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
}

#[test]
fn a_password_is_hashed_for_the_configuration() {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("fathom"))
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"correct horse\n").expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text");
    let hash = PasswordHash::new(text.trim()).expect("a PHC text");
    let verify = |password: &[u8]| Argon2::default().verify_password(password, &hash).is_ok();
    assert!(verify(b"correct horse"));
    assert!(!verify(b"wrong horse"));
}

#[tokio::test]
async fn an_empty_password_is_refused() {
    assert_eq!(fathom(&["hash-password"]).await.code, 1);
}
