//! TLS beneath the connections: the engine's certificate, and whom it lets in.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::socket::Socket;
use crate::options::TlsOptions;

/// See the module.
#[derive(Clone)]
pub(crate) struct Acceptor {
    with_http2: TlsAcceptor,
    without: TlsAcceptor,
}

impl Acceptor {
    /// Reads the certificates; an error says which of them is unusable.
    pub(crate) fn new(options: &TlsOptions) -> io::Result<Self> {
        let configured =
            |http2: bool| configure(options, http2).map(|config| TlsAcceptor::from(Arc::new(config)));
        let usable = |error: String| io::Error::new(io::ErrorKind::InvalidInput, format!("tls: {error}"));
        Ok(Self {
            with_http2: configured(true).map_err(usable)?,
            without: configured(false).map_err(usable)?,
        })
    }

    /// The handshake, and whether it agreed on HTTP/2.
    pub(crate) async fn accept(&self, stream: TcpStream, http2: bool) -> io::Result<(Socket, bool)> {
        let acceptor = if http2 { &self.with_http2 } else { &self.without };
        let stream = acceptor.accept(stream).await?;
        let agreed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Socket::tls(stream), agreed))
    }
}

fn configure(options: &TlsOptions, http2: bool) -> Result<ServerConfig, String> {
    let chain = certificates("cert_pem", &options.cert_pem)?;
    let key = PrivateKeyDer::from_pem_slice(options.key_pem.as_bytes())
        .map_err(|error| format!("key_pem: {error}"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &options.client_ca_pem {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("client_ca_pem", pem)? {
                roots.add(certificate).map_err(|error| format!("client_ca_pem: {error}"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| format!("client_ca_pem: {error}"))?)
        }
    };
    let mut config =
        builder.with_single_cert(chain, key).map_err(|error| format!("cert_pem, key_pem: {error}"))?;
    let offered: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
    config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

fn certificates(name: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|error| format!("{name}: {error}"))?;
    if found.is_empty() { Err(format!("{name}: no certificate in it")) } else { Ok(found) }
}
