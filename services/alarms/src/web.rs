//! Web clients of this crate: whom they trust, how long they wait, how they tell what went wrong.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::chain;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Makes a client. It trusts what the machine trusts (a machine without any certificates, such as a
/// bare container, trusts Mozilla's list) and the certificates of a file. It follows no redirects: a
/// log-in must not be sent to a place that nobody named. Blocks on the disk.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<Client, String> {
    let mut roots = machine_roots();
    if let Some(path) = ca_file {
        let named = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", path.display());
        let certs = CertificateDer::pem_file_iter(path).map_err(|error| named(&error))?;
        for cert in certs {
            let cert = cert.map_err(|error| named(&error))?;
            roots.add(cert).map_err(|error| named(&error))?;
        }
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_MAX)
        .timeout(ANSWER_MAX)
        .user_agent(concat!("fathom/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| chain(&error))
}

fn machine_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // Old and odd certificates are common in such stores; the others count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// Tells whether this machine trusts anybody.
pub(crate) fn machine_has_certificates() -> bool {
    !rustls_native_certs::load_native_certs().certs.is_empty()
}

/// Reads an answer, up to a limit.
pub(crate) async fn body(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(format!("answer exceeds limit {ANSWER_BYTES_MAX} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Tells what went wrong, without the address: it may hold a secret.
pub(crate) fn failed(error: reqwest::Error) -> String {
    chain(&error.without_url())
}

/// Says whether a text is an address of a web server.
pub(crate) fn checked_url(name: &str, text: &str) -> Result<(), String> {
    let url = reqwest::Url::parse(text);
    let is_web = url.is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    match is_web {
        true => Ok(()),
        false => Err(format!(
            "{name} is {text:?}, expected `https://...` or `http://...`"
        )),
    }
}
