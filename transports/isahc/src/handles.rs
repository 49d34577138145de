//! isahc's clients, made from settings.

use core::time::Duration;

use isahc::HttpClient;
use isahc::auth::Authentication;
use isahc::config::{Configurable, RedirectPolicy, VersionNegotiation};
use isahc::net::dns::DnsCache;
use isahc::tls::{TlsConfig, TrustStore};
use redial_client::{Protocol, Roots, Settings, SettingsError};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use webpki::anchor_from_trusted_cert;

use crate::identity::Lent;
use crate::ledger::Lane;
use crate::request::LONGEST;

/// The highest limit that curl can be given.
const MOST: usize = i32::MAX as usize;

/// What isahc's clients are made from, as often as one is needed.
#[derive(Debug)]
pub(crate) struct Maker {
    settings: Settings,
    tls: TlsConfig,
    /// Here as long as curl may read it: with every handshake.
    _lent: Option<Lent>,
}

impl Maker {
    /// Looks the settings over: isahc itself would find out with the first request.
    pub(crate) fn new(settings: Settings) -> Result<Self, SettingsError> {
        let mut tls = TlsConfig::builder();
        if let Roots::Pem(text) = &settings.tls.roots {
            check_roots(text)?;
            tls = tls.trust_store(TrustStore::builder().certificate_from_pem(text).build());
        }
        let lent = settings.tls.identity.as_ref().map(Lent::new).transpose()?;
        if let Some(lent) = &lent {
            tls = tls.identity(lent.for_isahc());
        }
        Ok(Self { settings, tls: tls.build(), _lent: lent })
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A client with a thread and a cache of its own.
    pub(crate) fn make(&self, lane: Lane) -> Result<HttpClient, isahc::Error> {
        let limits = self.settings.limits;
        let builder = HttpClient::builder()
            .tls_config(self.tls.clone())
            .version_negotiation(self.version(lane))
            .authentication(Authentication::none())
            .automatic_decompression(false)
            .expect_continue(false)
            .redirect_policy(RedirectPolicy::None)
            // curl would keep an answer for a minute, and one that there is no such name for half of
            // it: every attempt would fail as the first did (R-D-3). The system caches as it sees fit.
            .dns_cache(DnsCache::Disable)
            // They say how long it took to connect, and cost curl some calls for each request.
            .metrics(self.settings.observer.is_some())
            .proxy(None);
        let builder = if self.keeps(lane) {
            builder
                .max_connections(limits.max_connections.min(MOST))
                .connection_cache_size(limits.max_keepalive_connections.min(MOST))
                .connection_cache_ttl(idle_time(limits.keepalive_expiry))
        } else {
            builder.connection_cache_size(0)
        };
        builder.build()
    }

    fn keeps(&self, lane: Lane) -> bool {
        let limits = self.settings.limits;
        lane == Lane::Kept
            && limits.max_keepalive_connections > 0
            && limits.keepalive_expiry != Some(Duration::ZERO)
    }

    fn version(&self, lane: Lane) -> VersionNegotiation {
        match (self.settings.protocol, lane) {
            (Protocol::Http2PriorKnowledge, _) => VersionNegotiation::http2(),
            (Protocol::Negotiated, Lane::Kept) => VersionNegotiation::latest_compatible(),
            // A connection for one request gains nothing from HTTP/2, and curl would share it.
            (Protocol::Negotiated, Lane::Fresh) | (Protocol::Http1 | _, _) => {
                VersionNegotiation::http11()
            }
        }
    }
}

/// How long curl may find a connection idle and still use it, in its whole seconds, of which none
/// means "for ever".
fn idle_time(expiry: Option<Duration>) -> Duration {
    let counted = expiry.filter(|expiry| *expiry < LONGEST);
    counted.map_or(Duration::ZERO, |expiry| expiry.max(Duration::from_secs(1)))
}

fn check_roots(text: &[u8]) -> Result<(), SettingsError> {
    let mut certificates = CertificateDer::pem_slice_iter(text).peekable();
    if certificates.peek().is_none() {
        return Err(SettingsError::Roots("there is no certificate in it".into()));
    }
    for certificate in certificates {
        let certificate =
            certificate.map_err(|error| SettingsError::Roots(error.to_string().into()))?;
        // curl would find out in the first handshake, and blame the server.
        anchor_from_trusted_cert(&certificate)
            .map_err(|error| SettingsError::Roots(error.to_string().into()))?;
    }
    Ok(())
}
