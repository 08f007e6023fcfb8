//! What the server writes into the log says whose line it is.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::Instrument as _;

use crate::fixture::Server;

/// Log lines in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn log_lines_of_requests_were_nobodys() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // All tasks of this test run on its thread.
    let _guard = tracing::subscriber::set_default(subscriber);
    let hash = fathom_web::hash_password("pyrosoma").unwrap();
    let options = format!("username = \"km3net\"\npassword_hash = \"{hash}\"");
    let span = tracing::error_span!("service", service = "webserver");
    let server = Server::start(&options).instrument(span).await;
    let request = server.client.get(server.url("/api/outputs"));
    let answer = request.basic_auth("km3net", Some("wrong")).send().await;
    assert_eq!(answer.unwrap().status(), 401);
    server.stop().await.unwrap();
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let refused: Vec<_> = text
        .lines()
        .filter(|l| l.contains("login refused"))
        .collect();
    assert_eq!(refused.len(), 1, "{text}");
    assert!(
        refused[0].contains("service{service=\"webserver\"}"),
        "{text}"
    );
}
