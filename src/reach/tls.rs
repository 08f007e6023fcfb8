//! TLS of all our web clients: `rustls` with the `ring` provider, and whom it trusts.

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use tracing::warn;

/// Names the provider that clients use which choose none themselves. To be called before the first of
/// them is made; calling it again is no error.
pub fn install() {
    if CryptoProvider::get_default().is_none() {
        // Only another thread that installs at this moment can be first, and it installs the same.
        ring::default_provider().install_default().ok();
    }
}

/// Returns how our clients speak TLS: they trust what the machine trusts; a machine without any
/// certificates, such as a bare container, trusts Mozilla's list. Reads files at the first call.
pub(crate) fn config() -> ClientConfig {
    static CONFIG: OnceLock<ClientConfig> = OnceLock::new();
    CONFIG.get_or_init(|| trusting(machine_roots())).clone()
}

/// Returns how a client speaks TLS that trusts nobody: one that needs none.
pub(crate) fn nobody() -> ClientConfig {
    trusting(RootCertStore::empty())
}

/// Returns how a client speaks TLS that trusts these.
pub(super) fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn machine_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        warn!(%error, "certificates of this machine cannot be read");
    }
    // Old and odd certificates are common in such stores; the others count.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
