//! Web clients of this crate: whom they trust, how long they wait, how they tell what went wrong.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::chain;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::own_certificate::{Trust, explained};

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Makes a client. It trusts what the machine trusts (a machine without any certificates, such as a
/// bare container, trusts Mozilla's list) and the certificates of a file, be they those of authorities or
/// of servers. It follows no redirects: a
/// log-in must not be sent to a place that nobody named. Blocks on the disk.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<Client, String> {
    let mut roots = machine_roots();
    let mut own = Vec::new();
    if let Some(path) = ca_file {
        let named = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", path.display());
        let certs = CertificateDer::pem_file_iter(path).map_err(|error| named(&error))?;
        for cert in certs {
            let cert = cert.map_err(|error| named(&error))?;
            roots.add(cert.clone()).map_err(|error| named(&error))?;
            own.push(cert);
        }
    }
    let provider = Arc::new(ring::default_provider());
    let usual = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
    let usual = usual.build().map_err(|error| chain(&error))?;
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trust::new(usual, own)))
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
    explained(
        chain(&error.without_url()),
        "name this very certificate as `ca_file`, or make one for the server that the authority signs",
    )
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;

    /// Answers one request over TLS with a certificate as `openssl req -x509` makes it; returns the port
    /// and the certificate.
    fn serve() -> (u16, String) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = StreamOwned::new(connection, socket);
            // One who does not trust us hangs up.
            if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                stream.write_all(answer).ok();
            }
        });
        let text = STANDARD.encode(own.der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        (port, pem)
    }

    #[tokio::test]
    async fn a_self_signed_server_is_believed_when_ca_file_has_its_certificate_and_no_other() {
        let (port, pem) = serve();
        let (_, of_another) = serve();
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, format!("{of_another}{pem}")).unwrap();
        let ask = |port: u16, ca_file: Option<&Path>| {
            let client = client(ca_file).unwrap();
            client.get(format!("https://localhost:{port}/")).send()
        };
        let answer = ask(port, Some(&ca_file)).await.unwrap();
        assert_eq!(body(answer).await.unwrap(), b"ok");
        let (port, _) = serve();
        let why = failed(ask(port, Some(&ca_file)).await.unwrap_err());
        assert!(
            why.contains("name this very certificate as `ca_file`"),
            "{why}"
        );
    }
}
