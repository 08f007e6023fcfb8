//! Trust in servers whose own certificate stands in `ca_file`, as `openssl req -x509` makes them: such a
//! certificate says that it is one of an authority, which the usual rules do not let a server show.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// What is told beside a certificate of an authority that a server shows as its own.
pub(crate) const PLAIN_WORDS: &str = "the server shows the certificate of an authority as its own";
/// How the rules name that.
const RULE: &str = "CaUsedAsEndEntity";

/// The usual rules, and besides those the very certificates of a file.
#[derive(Debug)]
pub(crate) struct Trust {
    usual: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Trusts by the usual rules, and servers that show one of these certificates as their own.
    pub(crate) fn new(usual: Arc<WebPkiServerVerifier>, own: Vec<CertificateDer<'static>>) -> Self {
        Self { usual, own }
    }

    fn is_known(&self, certificate: &CertificateDer<'_>) -> bool {
        self.own
            .iter()
            .any(|own| own.as_ref() == certificate.as_ref())
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.usual.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match judged {
            // The rules look at the times of a certificate before they look at who has signed it.
            Err(error) if self.is_known(end_entity) && is_about_signers(&error) => {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                verify_server_name(&parsed, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Tells whether a certificate was refused only because of who has signed it.
fn is_about_signers(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        Error::InvalidCertificate(CertificateError::Other(other)) => matches!(
            other.0.downcast_ref(),
            Some(webpki::Error::CaUsedAsEndEntity)
        ),
        _ => false,
    }
}

/// Says in plain words what such a refusal means, and what helps.
pub(crate) fn explained(text: String, help: &str) -> String {
    match text.contains(RULE) {
        true => format!("{text}: {PLAIN_WORDS}; {help}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
    use rustls::RootCertStore;
    use rustls::crypto::ring;

    use super::*;

    /// Makes a certificate as `openssl req -x509` does, valid in 2026.
    fn of_an_authority(name: &str) -> CertificateDer<'static> {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    fn judged(
        own: &[&CertificateDer<'static>],
        shown: &CertificateDer<'static>,
        name: &str,
        year: u64,
    ) -> Result<(), String> {
        let mut roots = RootCertStore::empty();
        for certificate in own {
            roots.add((*certificate).clone()).unwrap();
        }
        let provider = Arc::new(ring::default_provider());
        let usual = WebPkiServerVerifier::builder_with_provider(roots.into(), provider);
        let own = own.iter().map(|own| (*own).clone()).collect();
        let trust = Trust::new(usual.build().unwrap(), own);
        let name = ServerName::try_from(name).unwrap();
        // The middle of the year.
        let since = Duration::from_secs((year - 1970) * 31_557_600 + 15_000_000);
        let now = UnixTime::since_unix_epoch(since);
        let judged = trust.verify_server_cert(shown, &[], &name, &[], now);
        judged.map(|_| ()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_server_with_the_very_certificate_of_ca_file_was_refused() {
        let (own, other) = (of_an_authority("elog.lan"), of_an_authority("elog.lan"));
        assert_eq!(judged(&[&other, &own], &own, "elog.lan", 2026), Ok(()));
        // One that looks alike is another one.
        let why = judged(&[&own], &other, "elog.lan", 2026).unwrap_err();
        assert!(why.contains(RULE), "{why}");
    }

    #[test]
    fn a_known_certificate_of_another_host_or_time_is_refused_all_the_same() {
        let own = of_an_authority("elog.lan");
        let why = judged(&[&own], &own, "mail.lan", 2026).unwrap_err();
        assert!(why.contains("not valid for name"), "{why}");
        let why = judged(&[&own], &own, "elog.lan", 2028).unwrap_err();
        assert!(why.contains("expired"), "{why}");
        let why = judged(&[&own], &own, "elog.lan", 2025).unwrap_err();
        assert!(why.contains("not valid yet"), "{why}");
    }

    #[test]
    fn a_refusal_is_told_in_plain_words() {
        let text = explained("invalid: Other(CaUsedAsEndEntity)".into(), "do this");
        assert!(text.ends_with("the certificate of an authority as its own; do this"));
        assert_eq!(explained("timed out".into(), "do this"), "timed out");
    }
}
