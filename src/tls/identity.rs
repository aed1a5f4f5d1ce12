//! A certificate with its key, and the authorities that others' certificates are held against.
//!
//! It shows here whether what was read belongs together.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use rustls::{RootCertStore, sign::CertifiedKey};

use super::{certificate, pem, pem::PemError, provider};

/// What is wrong with the files of one side. It says in which of them; who asked knows the names of
/// its settings.
#[derive(Debug, thiserror::Error)]
pub enum TlsProblem {
    /// The file of the certificate.
    #[error("certificate: {0}")]
    Certificate(String),
    /// The file of the key.
    #[error("key: {0}")]
    Key(String),
    /// The file of the authorities.
    #[error("authorities: {0}")]
    Authorities(String),
}

/// Who we say we are: a chain of certificates and the key of its first. Its `Debug` shows no key.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    not_after: Duration,
}

impl Identity {
    /// Reads a chain, the own certificate first, and its key. Dates are not looked at, since only a
    /// peer can say whether a certificate is good.
    ///
    /// # Errors
    /// [`TlsProblem`] with the file that cannot be used, or when the key is not the certificate's.
    pub fn read(cert: &Path, key: &Path) -> Result<Self, TlsProblem> {
        let in_cert = |error: &dyn fmt::Display| TlsProblem::Certificate(of(cert, error));
        let in_key = |error: &dyn fmt::Display| TlsProblem::Key(of(key, error));
        let chain = pem::bytes(cert).and_then(|bytes| pem::certificates(&bytes));
        let chain = chain.map_err(|error| in_cert(&error))?;
        let secret = pem::bytes(key).and_then(|bytes| pem::key(&bytes));
        let secret = secret.map_err(|error| in_key(&error))?;
        let own = chain.first().ok_or_else(|| in_cert(&PemError::NoCertificate))?;
        let not_after = certificate::not_after(own).map_err(|error| in_cert(&error))?;
        let certified = CertifiedKey::from_der(chain, secret, &provider());
        let certified = certified.map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                in_key(&format!("is not the key of the certificate in {}", cert.display()))
            } else if matches!(error, rustls::Error::InvalidCertificate(_)) {
                in_cert(&certificate::Unreadable)
            } else {
                in_key(&"holds a key that cannot be used; wanted is RSA, ECDSA or Ed25519")
            }
        })?;
        Ok(Self { key: Arc::new(certified), not_after })
    }

    /// The chain and the key, for a TLS configuration.
    #[must_use]
    pub fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }

    /// When our own certificate ends, since the Unix epoch.
    #[must_use]
    pub fn not_after(&self) -> Duration {
        self.not_after
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// The authorities of one file.
#[derive(Debug, Clone)]
pub struct Authorities {
    roots: Arc<RootCertStore>,
    not_after: Duration,
}

impl Authorities {
    /// Reads every certificate of a file.
    ///
    /// # Errors
    /// [`TlsProblem::Authorities`] when it has none, or one that cannot be an authority.
    pub fn read(path: &Path) -> Result<Self, TlsProblem> {
        let wrong = |error: &dyn fmt::Display| TlsProblem::Authorities(of(path, error));
        let all = pem::bytes(path).and_then(|bytes| pem::certificates(&bytes));
        let mut roots = RootCertStore::empty();
        let mut first_end: Option<Duration> = None;
        for certificate in all.map_err(|error| wrong(&error))? {
            let end = certificate::not_after(&certificate).map_err(|error| wrong(&error))?;
            first_end = Some(first_end.map_or(end, |other| other.min(end)));
            let added = roots.add(certificate);
            added.map_err(|_| wrong(&"holds a certificate that cannot be an authority"))?;
        }
        let not_after = first_end.ok_or_else(|| wrong(&PemError::NoCertificate))?;
        Ok(Self { roots: Arc::new(roots), not_after })
    }

    /// The certificates, for a verifier.
    #[must_use]
    pub fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }

    /// When the first of them ends, since the Unix epoch.
    #[must_use]
    pub fn not_after(&self) -> Duration {
        self.not_after
    }
}

fn of(path: &Path, error: &dyn fmt::Display) -> String {
    format!("{} {error}", path.display())
}
