//! The way to one engine as the settings describe it, checked.

use std::time::Duration;

use super::address::Address;
use super::proxy::Proxy;
use super::tls::Tls;
use crate::settings::{EngineSettings, Http2};

/// See the module.
pub(crate) struct Route {
    pub(super) address: Address,
    /// For `https`.
    pub(super) tls: Option<Tls>,
    pub(super) http2: Http2,
    pub(super) proxy: Option<Proxy>,
    pub(super) max_age: Duration,
    pub(super) connect_limit: Duration,
}

impl Route {
    /// Reads addresses and certificates; an error is one sentence that names the setting.
    pub(crate) fn new(settings: &EngineSettings) -> Result<Self, String> {
        let address = Address::parse(&settings.url).map_err(|error| error.to_string())?;
        let tls = match address.https {
            true => Some(Tls::new(&settings.tls, &address.host, settings.http2)?),
            false => None,
        };
        let proxy = settings.proxy.as_deref().map(Proxy::parse).transpose()?;
        let max_age = Duration::from_millis(settings.connection_max_age_ms.max(1_000));
        let connect_limit = Duration::from_millis(settings.connect_limit_ms.max(1));
        Ok(Self { address, tls, http2: settings.http2, proxy, max_age, connect_limit })
    }

    /// Whether HTTP/2 is spoken over cleartext.
    pub(super) fn prior_knowledge(&self) -> bool {
        self.tls.is_none() && self.http2 == Http2::Always
    }
}
