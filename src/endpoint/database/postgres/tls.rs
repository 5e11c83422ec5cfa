//! TLS for PostgreSQL: which certificates are good enough for which `sslmode`.

use std::fs;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, Kind, OTHER_FILE, Result};

/// What `sslmode` asks for, as libpq understands it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server can; nobody is verified.
    #[default]
    Prefer,
    /// Encrypted or not at all; nobody is verified.
    Require,
    /// The certificate must be of a known authority, whatever host it names.
    VerifyCa,
    /// … and name this host.
    VerifyFull,
}

impl Mode {
    /// From the URL's `sslmode`.
    pub(super) fn parse(text: &str) -> Result<Mode> {
        Ok(match text {
            "disable" => Mode::Disable,
            "prefer" | "allow" => Mode::Prefer,
            "require" => Mode::Require,
            "verify-ca" => Mode::VerifyCa,
            "verify-full" => Mode::VerifyFull,
            other => {
                return Err(Error::new(Kind::Config, format!("sslmode {other} is not known"))
                    .hint("use disable, prefer, require, verify-ca or verify-full"));
            }
        })
    }

    /// What the driver negotiates.
    pub(super) fn negotiated(self) -> SslMode {
        match self {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }
}

/// A connector for `mode`; `ca`: a file of authorities in PEM, in place of the system's.
pub(super) fn connector(mode: Mode, ca: Option<&str>) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(Kind::Internal, "TLS can't be set up").source(error))?;
    let config = match mode {
        Mode::VerifyFull => builder.with_root_certificates(authorities(ca)?),
        Mode::VerifyCa => {
            let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(authorities(ca)?), provider.clone())
                .build()
                .map_err(|error| Error::new(Kind::Config, format!("the authorities can't be used: {error}")))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Trust { provider, chain: Some(chain) }))
        }
        Mode::Disable | Mode::Prefer | Mode::Require => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Trust { provider, chain: None }))
        }
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

fn authorities(ca: Option<&str>) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match ca {
        Some(file) => {
            let unusable =
                |why: String| Error::new(Kind::Config, format!("sslrootcert {file} can't be used: {why}")).hint(OTHER_FILE);
            let pem = fs::read(file).map_err(|error| unusable(error.to_string()))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                store.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
            if store.is_empty() {
                return Err(unusable("it holds no certificate".into()));
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                return Err(Error::new(Kind::Config, "this machine has no certificate authorities")
                    .hint("name a file of them: sslrootcert=FILE in the URL"));
            }
        }
    }
    Ok(store)
}

/// Weaker than rustls's own verification, where `sslmode` asks for that: `chain` without the host's
/// name, or nothing but an encrypted connection.
#[derive(Debug)]
struct Trust {
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        // The chain is verified before the name: an error about the name means that the rest is good.
        match chain.verify_server_cert(certificate, intermediates, host, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
