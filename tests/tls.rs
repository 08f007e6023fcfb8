//! Readiness and health checks over https, against a server whose certificate the machine trusts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// Answers over TLS; writes its certificate to a file.
fn serve(certificate: &Path) -> SocketAddr {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let der = own.cert.der().to_vec();
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    std::fs::write(certificate, pem).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(der)], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let session = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(session, stream.unwrap());
            let mut asked = [0; 4096];
            // A client that does not trust us hangs up.
            if stream.read(&mut asked).is_ok_and(|count| count > 0) {
                stream.write_all(ANSWER).ok();
                stream.conn.send_close_notify();
                stream.flush().ok();
            }
        }
    });
    address
}

#[test]
fn a_service_is_ready_and_checked_over_https() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("own.pem");
    let url = format!("https://localhost:{}/", serve(&certificate).port());
    let config = folder.path().join("supervisor.toml");
    let data_dir = folder.path().join("data");
    let text = format!(
        "[stack]\ndata_dir = {data_dir:?}\n[service.a]\ncommand = \"sleep 1000\"\nready = \"{url}\"\n\
         check = [{{ http = \"{url}\", every = \"1s\", fails = 1 }}]\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fathom"))
        .args(["up", "-c"])
        .arg(&config)
        .env("SSL_CERT_FILE", &certificate)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = told.find(|line| line.as_ref().unwrap().contains("to=RUNNING reason=ready"));
    assert!(ready.is_some());
    let rules = || {
        let ran = Command::new(env!("CARGO_BIN_EXE_fathom"))
            .args(["ctl", "-s"])
            .arg(data_dir.join("fathom.sock"))
            .args(["--json", "status"])
            .output()
            .unwrap();
        let status: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
        status["services"][0]["watch"]["rules"].clone()
    };
    let rule = loop {
        let rules = rules();
        if rules[0]["health"] != "unknown" {
            break rules[0].clone();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(
        (&rule["health"], &rule["trouble"]),
        (&"ok".into(), &serde_json::Value::Null)
    );
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    for _rest in told {}
    assert!(child.wait().unwrap().success());
}
