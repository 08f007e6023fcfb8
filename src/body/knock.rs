//! Asks from outside, once, whether a service is there: a port, a page.

use fathom_kernel::chain;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::reach::tls_config;

/// Most bytes of a document.
const DOCUMENT_MAX: usize = 4 << 20;

/// Tells whether somebody accepts connections.
pub(crate) async fn tcp(address: &str) -> Result<(), String> {
    let connected = TcpStream::connect(address).await;
    connected.map(drop).map_err(|error| error.to_string())
}

/// Tells whether a GET answers 2xx.
pub(crate) async fn http(url: &str) -> Result<(), String> {
    let answer = client().await?.get(url).send().await;
    let status = answer.map_err(told)?.status();
    match status.is_success() {
        true => Ok(()),
        false => Err(format!("it answers {status}")),
    }
}

/// Returns a document.
pub(crate) async fn document(url: &str) -> Result<String, String> {
    let answer = client().await?.get(url).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status);
    let mut answer = answer.map_err(told)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(told)? {
        if bytes.len() + chunk.len() > DOCUMENT_MAX {
            return Err(format!("it is longer than {DOCUMENT_MAX} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

/// Tells what went wrong, without the address: it may hold a password.
fn told(error: reqwest::Error) -> String {
    chain(&error.without_url())
}

/// Returns the client of all questions. Services are asked directly, whatever proxy is set.
async fn client() -> Result<&'static reqwest::Client, String> {
    static CLIENT: OnceCell<reqwest::Client> = OnceCell::const_new();
    let make = || {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_config())
            .no_proxy()
            // Whether it can still be reached is what is asked.
            .pool_max_idle_per_host(0)
            .build();
        client.map_err(|error| chain(&error))
    };
    // Certificates are read from the disk.
    let made = CLIENT.get_or_try_init(async || {
        let made = tokio::task::spawn_blocking(make).await;
        made.map_err(|error| error.to_string())?
    });
    made.await
}
