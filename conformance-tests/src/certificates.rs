//! The certificates of one server, made when it starts.

use core::error::Error;
use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::{Certificate, Handshake, Tls};

/// The names by which clients call the server.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate and its key, as PEM text: what a client shows to a server that asks for one.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientIdentity {
    /// The certificate.
    pub certificates: String,
    /// Its private key.
    pub key: String,
}

impl core::fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ClientIdentity").finish_non_exhaustive()
    }
}

/// What the connections of one server are secured with.
#[derive(Debug)]
pub(crate) struct Security {
    /// The certificate of the authority that clients are to trust, as PEM text.
    pub(crate) roots: String,
    /// A client's certificate that the server takes.
    pub(crate) identity: ClientIdentity,
    configs: Vec<(Certificate, Arc<ServerConfig>)>,
}

impl Security {
    /// Makes every certificate that these settings name.
    pub(crate) fn new(tls: &Tls) -> io::Result<Self> {
        Self::make(tls).map_err(io::Error::other)
    }

    fn make(tls: &Tls) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let authority = Authority::new("The trusted authority")?;
        let mut configs: Vec<(Certificate, Arc<ServerConfig>)> = Vec::new();
        // One handshake beyond those that are planned is what all later ones are.
        for connection in 0..=tls.planned() {
            let Handshake::Complete(kind) = tls.handshake(connection) else { continue };
            if configs.iter().all(|(known, _)| known != kind) {
                let chain = Chain::new(*kind, &authority)?;
                configs.push((*kind, Arc::new(server_config(tls, &authority, chain)?)));
            }
        }
        let identity = authority.identify_client()?;
        Ok(Self { roots: authority.pem, identity, configs })
    }

    /// What a handshake with this certificate is made with.
    pub(crate) fn config(&self, kind: Certificate) -> Option<Arc<ServerConfig>> {
        let mut configs = self.configs.iter();
        configs.find(|(known, _)| *known == kind).map(|(_, config)| Arc::clone(config))
    }
}

/// Who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Result<Self, rcgen::Error> {
        let (params, key) = (authority_params(name)?, KeyPair::generate()?);
        let certificate = params.self_signed(&key)?;
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Ok(Self { issuer: Issuer::new(params, key), der, pem })
    }

    /// An authority for which this one vouches.
    fn intermediate(&self) -> Result<Self, rcgen::Error> {
        let (params, key) = (authority_params("An intermediate authority")?, KeyPair::generate()?);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Ok(Self { issuer: Issuer::new(params, key), der, pem })
    }

    fn identify_client(&self) -> Result<ClientIdentity, rcgen::Error> {
        let mut params = CertificateParams::new(vec!["client.test".to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(ClientIdentity { certificates: certificate.pem(), key: key.serialize_pem() })
    }
}

fn authority_params(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// What a server shows, its own certificate first, and the key to that.
struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Chain {
    fn new(kind: Certificate, authority: &Authority) -> Result<Self, rcgen::Error> {
        let stranger = || Authority::new("An authority that nobody knows");
        match kind {
            Certificate::Good => Self::signed(server_params(&NAMES)?, authority),
            Certificate::GoodByIntermediate => {
                Self::with_issuer(server_params(&NAMES)?, &authority.intermediate()?)
            }
            Certificate::Expired => {
                let mut params = server_params(&NAMES)?;
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2002, 1, 1);
                Self::signed(params, authority)
            }
            Certificate::NotYetValid => {
                let mut params = server_params(&NAMES)?;
                params.not_before = date_time_ymd(4000, 1, 1);
                params.not_after = date_time_ymd(4001, 1, 1);
                Self::signed(params, authority)
            }
            Certificate::WrongHost => Self::signed(server_params(&["elsewhere.test"])?, authority),
            Certificate::WrongAddress => Self::signed(server_params(&["127.0.0.2"])?, authority),
            Certificate::SelfSigned => {
                let (params, key) = (server_params(&NAMES)?, KeyPair::generate()?);
                let certificates = vec![params.self_signed(&key)?.der().clone()];
                Ok(Self { certificates, key })
            }
            Certificate::UnknownAuthority => Self::signed(server_params(&NAMES)?, &stranger()?),
            Certificate::UntrustedIntermediate => {
                Self::with_issuer(server_params(&NAMES)?, &stranger()?.intermediate()?)
            }
        }
    }

    fn signed(params: CertificateParams, authority: &Authority) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificates = vec![params.signed_by(&key, &authority.issuer)?.der().clone()];
        Ok(Self { certificates, key })
    }

    /// The same, with the certificate of whoever signed it.
    fn with_issuer(params: CertificateParams, authority: &Authority) -> Result<Self, rcgen::Error> {
        let mut chain = Self::signed(params, authority)?;
        chain.certificates.push(authority.der.clone());
        Ok(chain)
    }
}

fn server_params(names: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let mut params =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, "The fault server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn server_config(
    tls: &Tls,
    authority: &Authority,
    chain: Chain,
) -> Result<ServerConfig, Box<dyn Error + Send + Sync>> {
    // Named, because a default that is not unique panics: a client may bring another provider.
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = if tls.requires_client_certificate() {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der.clone())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build()?)
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(chain.key.serialize_der()));
    let mut config = builder.with_single_cert(chain.certificates, key)?;
    config.alpn_protocols = tls.protocols().iter().map(|name| name.clone().into_bytes()).collect();
    Ok(config)
}
