//! TLS settings from certificate files, for listeners and for upstreams. Speaks TLS 1.2 and 1.3 by rustls.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;

/// Why certificates cannot be used. Says nothing of their contents.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The PEM text cannot be read.
    #[error("the PEM text has no readable certificate")]
    Certificate,
    /// The PEM text has no private key.
    #[error("the PEM text has no readable private key")]
    Key,
    /// Certificate and key do not belong together, or rustls refuses them.
    #[error("certificate and key cannot be used together")]
    Rejected(#[source] rustls::Error),
    /// Not one usable root.
    #[error("no trusted root certificate was found")]
    NoRoots,
}

/// Settings of a listener: a certificate chain, leaf first, and its key, both PEM.
pub fn server_config(chain: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(|_| TlsError::Certificate)?;
    if chain.is_empty() {
        return Err(TlsError::Certificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(TlsError::Rejected)?.with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Rejected)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Settings for upstreams that trusts these roots (PEM), or the system's.
pub fn client_config(roots: Option<&[u8]>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(pem) => {
            for root in CertificateDer::pem_slice_iter(pem) {
                store.add(root.map_err(|_| TlsError::Certificate)?).map_err(TlsError::Rejected)?;
            }
        }
        None => {
            // The system's store often has a certificate or two that cannot be read; the others still count.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(TlsError::Rejected)?.with_root_certificates(store);
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Why a server's certificate was not taken, in words of those who make certificates, where rustls has those of its code.
pub(crate) fn in_words(error: io::Error) -> io::Error {
    let rustls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(flaw)) = rustls else { return error };
    let words = match flaw {
        // A bad signature is that of an authority which was made anew under the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is signed by nobody who is trusted here; add who signed it to the trusted roots"
        }
        // Of webpki's own flaws only their names are to be had.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the server's certificate is one for signing others, which no server may show; make it with basicConstraints=CA:FALSE"
        }
        _ => return error,
    };
    io::Error::new(error.kind(), words)
}
