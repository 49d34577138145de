//! TLS by rustls: whom to trust, as whom to come, and what a failed handshake means.

use std::io;
use std::sync::{Arc, OnceLock};

use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use redial_client::{
    BoxError, Identity, Origin, Protocol, Roots, SettingsError, Tls, TransportError,
};
use redial_engine::{Delivery, Failure, FailureKind};
use rustls::client::WantsClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

use crate::connect::Offer;
use crate::runtime::Socket;
use crate::tap::Tap;

/// The names of the versions in the handshake (RFC 9113 3.1, RFC 7301 6).
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// Makes TLS connections under one set of settings.
///
/// The platform's authorities are read when the first `https` origin is called: programs that call
/// none pay nothing for them. Of the crates that read them, rustls-native-certs is used because it
/// leaves the verification to rustls, whose verdicts are then the same on every platform.
pub(crate) struct Connector {
    tls: Tls,
    protocol: Protocol,
    config: OnceLock<Result<Arc<ClientConfig>, Arc<str>>>,
}

impl Connector {
    /// # Errors
    ///
    /// [`SettingsError`] where given roots or a given identity are not what they should be.
    pub(crate) fn new(tls: Tls, protocol: Protocol) -> Result<Self, SettingsError> {
        let connector = Self { tls, protocol, config: OnceLock::new() };
        if let Roots::Pem(pem) = &connector.tls.roots {
            let config = connector.config_with(given_roots(pem)?)?;
            let _ = connector.config.set(Ok(config));
        } else if connector.tls.identity.is_some() {
            // Whether certificate and key belong together is known without any roots.
            connector.config_with(RootCertStore::empty())?;
        }
        Ok(connector)
    }

    /// Shakes hands with the server of this origin. Answers whether HTTP/2 was agreed on.
    pub(crate) async fn connect<S: Socket>(
        &self,
        origin: &Origin,
        offer: Offer,
        socket: Tap<S>,
    ) -> Result<(TlsStream<Tap<S>>, bool), TransportError> {
        let mut config = self.config().map_err(|why| failed(FailureKind::Tls, &*why))?;
        if offer == Offer::Http1 {
            Arc::make_mut(&mut config).alpn_protocols = vec![HTTP1.to_vec()];
        }
        let name = ServerName::try_from(origin.host().to_owned())
            .map_err(|error| failed(FailureKind::InvalidRequest, error))?;
        let stream = TlsConnector::from(config).connect(name, socket).await;
        let stream = stream.map_err(|error| failed(kind_of(&error), error))?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        Ok((stream, http2))
    }

    fn config(&self) -> Result<Arc<ClientConfig>, Arc<str>> {
        let make = || {
            let config = platform_roots()
                .and_then(|roots| Ok(self.config_with(roots)?))
                .map_err(|error| Arc::from(error.to_string()))?;
            Ok(config)
        };
        self.config.get_or_init(make).clone()
    }

    fn config_with(&self, roots: RootCertStore) -> Result<Arc<ClientConfig>, SettingsError> {
        // Named, because a default that is not unique panics: curl brings another provider.
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| SettingsError::Roots(error.into()))?
            .with_root_certificates(roots);
        let mut config = match &self.tls.identity {
            Some(identity) => with_identity(builder, identity).map_err(SettingsError::Identity)?,
            None => builder.with_no_client_auth(),
        };
        let offered: &[&[u8]] = match self.protocol {
            Protocol::Http1 => &[HTTP1],
            Protocol::Http2PriorKnowledge => &[HTTP2],
            Protocol::Negotiated | _ => &[HTTP2, HTTP1],
        };
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

fn given_roots(pem: &[u8]) -> Result<RootCertStore, SettingsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| SettingsError::Roots(error.into()))?;
        roots.add(certificate).map_err(|error| SettingsError::Roots(error.into()))?;
    }
    if roots.is_empty() {
        return Err(SettingsError::Roots("there is no certificate in it".into()));
    }
    Ok(roots)
}

fn platform_roots() -> Result<RootCertStore, BoxError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A platform may hold certificates that rustls does not take; the others count.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
        return Err(format!("the platform trusts no authority, give roots instead{why}").into());
    }
    Ok(roots)
}

fn with_identity(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    identity: &Identity,
) -> Result<ClientConfig, BoxError> {
    let chain = CertificateDer::pem_slice_iter(identity.certificates());
    let chain = chain.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(identity.key())?;
    Ok(builder.with_client_auth_cert(chain, key)?)
}

/// A handshake that the network cut is a connection that could not be made, and may go better next
/// time; one that either side refused will be refused again (R-X-5).
fn kind_of(error: &io::Error) -> FailureKind {
    let refusal = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    match refusal {
        // What came was no TLS.
        Some(rustls::Error::InvalidMessage(_)) | None => FailureKind::Connect,
        Some(_) => FailureKind::Tls,
    }
}

fn failed(kind: FailureKind, source: impl Into<BoxError>) -> TransportError {
    TransportError::with_source(Failure::new(kind, Delivery::Unsent), source)
}
