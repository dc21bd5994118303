//! TLS towards one engine: whom it trusts, as whom it shows itself, and files that are read again when they
//! change.

mod material;

use std::cell::RefCell;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::handshake_words;
use crate::settings::{Http2, TlsSettings};
use material::{Material, Stamp};

/// See the module.
pub(super) struct Tls {
    settings: TlsSettings,
    http2: Http2,
    name: ServerName<'static>,
    current: RefCell<Current>,
}

struct Current {
    config: Arc<ClientConfig>,
    /// The files as they were when they were last read, well or not.
    stamps: Vec<Stamp>,
    /// As they were at the latest look, if that found a change.
    changing: Option<Vec<Stamp>>,
}

/// What became of files that had changed.
pub(super) enum Reread {
    /// They hold for every connection from now on.
    Done,
    /// They cannot be used, for this reason; what they held before stays in force.
    Failed(String),
}

impl Tls {
    /// Reads certificates and keys; an error is one sentence that names the setting.
    pub(super) fn new(settings: &TlsSettings, host: &str, http2: Http2) -> Result<Self, String> {
        let name = settings.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("engine.tls.server_name: {name:?} is no host name and no IP address"))?;
        let stamps = material::stamps(settings);
        let config = configure(settings, http2)?;
        let current = RefCell::new(Current { config, stamps, changing: None });
        Ok(Self { settings: settings.clone(), http2, name, current })
    }

    /// Reads files again that have changed and then stayed as they are from one look to the next: certificate and key
    /// are not replaced in one step. None when there is nothing to read.
    pub(super) fn look(&self) -> Option<Reread> {
        let mut current = self.current.borrow_mut();
        let stamps = material::stamps(&self.settings);
        let changed = current.stamps != stamps;
        let settled = current.changing.as_ref() == Some(&stamps);
        current.changing = (changed && !settled).then_some(stamps);
        drop(current);
        if changed && settled { self.reread() } else { None }
    }

    /// Reads files again that have changed; None when none has.
    pub(super) fn reread(&self) -> Option<Reread> {
        let stamps = material::stamps(&self.settings);
        let mut current = self.current.borrow_mut();
        if current.stamps == stamps {
            return None;
        }
        // The stamps are older than what is read: a file that changes in between is read once more.
        current.stamps = stamps;
        Some(match configure(&self.settings, self.http2) {
            Ok(config) => {
                current.config = config;
                Reread::Done
            }
            Err(fault) => Reread::Failed(fault),
        })
    }

    /// The handshake over a connection; an error is one sentence.
    pub(super) async fn connect(
        &self,
        socket: TcpStream,
        authority: &str,
    ) -> Result<TlsStream<TcpStream>, String> {
        let connector = TlsConnector::from(Arc::clone(&self.current.borrow().config));
        let handshake = connector.connect(self.name.clone(), socket);
        handshake.await.map_err(|error| handshake_words(&error, authority))
    }
}

fn configure(settings: &TlsSettings, http2: Http2) -> Result<Arc<ClientConfig>, String> {
    let Material { roots, identity } = material::read(settings)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trusting = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("engine.tls: {error}"))?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => trusting.with_no_client_auth(),
        Some((chain, key)) => trusting
            .with_client_auth_cert(chain, key)
            .map_err(|error| material::mismatch(settings, &error))?,
    };
    let offered: &[&[u8]] = match http2 {
        Http2::Auto => &[b"h2", b"http/1.1"],
        Http2::Never => &[b"http/1.1"],
        Http2::Always => &[b"h2"],
    };
    config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}
