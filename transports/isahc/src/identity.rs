//! The client's certificate, as curl's rustls backend takes it: by the name of a file.

use isahc::tls;
use redial_client::{Identity, SettingsError};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::file::MemoryFile;

/// A certificate and its key, in files of memory alone: the key is on no disk.
#[derive(Debug)]
pub(crate) struct Lent {
    certificates: MemoryFile,
    key: MemoryFile,
}

impl Lent {
    /// Looks them over and lends them. Whether they belong together is seen in a handshake.
    pub(crate) fn new(identity: &Identity) -> Result<Self, SettingsError> {
        let wrong =
            |error: rustls_pki_types::pem::Error| SettingsError::Identity(error.to_string().into());
        let mut certificates = CertificateDer::pem_slice_iter(identity.certificates()).peekable();
        if certificates.peek().is_none() {
            return Err(SettingsError::Identity("there is no certificate in it".into()));
        }
        for certificate in certificates {
            certificate.map_err(wrong)?;
        }
        PrivateKeyDer::from_pem_slice(identity.key()).map_err(wrong)?;
        let lend = |text| MemoryFile::with(text).map_err(|e| SettingsError::Identity(e.into()));
        Ok(Self { certificates: lend(identity.certificates())?, key: lend(identity.key())? })
    }

    pub(crate) fn for_isahc(&self) -> tls::Identity {
        let key = tls::PrivateKey::from_pem_file(self.key.path(), None);
        tls::Identity::from_pem_file(self.certificates.path(), Some(key))
    }
}
