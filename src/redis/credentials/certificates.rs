//! The certificates of a connection and the TLS settings made of them, read anew when their files change.
//!
//! A new connection takes what the files hold, and one that is up stays as it is. Files that cannot be used
//! leave the last usable ones in use.

use std::{path::PathBuf, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    sign::{CertifiedKey, SingleCertAndKey},
};

use crate::{
    config::RedisTls,
    limits,
    time::Instant,
    tls::{self, Authorities, Ending, Expiry, FileWatch, TlsProblem},
};

/// Those of one connection.
pub(in crate::redis) struct Certificates {
    files: RedisTls,
    known: Mutex<KnownCertificates>,
}

#[derive(Default)]
struct KnownCertificates {
    watch: FileWatch,
    /// The last that could be used.
    usable: Option<Usable>,
    /// The terms that were made of it, and when.
    terms: Option<(Instant, Arc<ClientConfig>)>,
    /// Why those of the files cannot be.
    trouble: Option<String>,
    /// When the one ends that we show, if we show one.
    expiry: Option<Expiry>,
    /// When the first of the authorities ends that are given, if any are.
    authorities_end: Option<Duration>,
}

/// What the files hold.
struct CertificateFiles {
    usable: Usable,
    own_ends: Option<Duration>,
    authorities_end: Option<Duration>,
}

/// What the files of a connection gave.
struct Usable {
    /// The trusted authorities; the system's where no file is named.
    roots: Option<Arc<RootCertStore>>,
    own: Option<Arc<CertifiedKey>>,
}

impl Usable {
    fn terms(&self) -> Result<Arc<ClientConfig>, String> {
        let roots = self.roots.clone().map_or_else(tls::system_roots, Ok)?;
        let builder = ClientConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let mut terms = match self.own.clone() {
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
            None => builder.with_no_client_auth(),
        };
        // It would skip the look at the server's certificate.
        terms.resumption = Resumption::disabled();
        Ok(Arc::new(terms))
    }
}

/// What a look at the files showed.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::redis) enum CertificateNews {
    /// Nothing that was not known.
    None,
    /// Other certificates are in use from now on.
    Renewed,
    /// They cannot be used, for this reason.
    Unusable(String),
}

impl Certificates {
    /// Nothing is read yet.
    pub(in crate::redis) fn new(files: RedisTls) -> Self {
        let pair = files.pair.iter().flat_map(|(cert, key)| [cert, key]);
        let paths: Vec<PathBuf> = files.ca.iter().chain(pair).cloned().collect();
        let known =
            KnownCertificates { watch: FileWatch::new(paths), ..KnownCertificates::default() };
        Self { files, known: Mutex::new(known) }
    }

    /// The name that must be in the server's certificate, where it is not the host's.
    pub(in crate::redis) fn server_name(&self) -> Option<&str> {
        self.files.server_name.as_deref()
    }

    /// Reads the files if they changed.
    pub(in crate::redis) fn look(&self) -> CertificateNews {
        let mut known = self.known();
        let Some(read) = known.watch.look(|| self.read()) else { return CertificateNews::None };
        let reason = match read {
            Ok(CertificateFiles { usable, own_ends, authorities_end }) => {
                known.authorities_end = authorities_end;
                match (&mut known.expiry, own_ends) {
                    (Some(expiry), Some(end)) => expiry.renew(end),
                    (expiry, end) => *expiry = end.map(Expiry::of),
                }
                let is_first = known.usable.replace(usable).is_none();
                known.terms = None;
                known.trouble = None;
                return if is_first { CertificateNews::None } else { CertificateNews::Renewed };
            }
            Err(problem) => problem.to_string(),
        };
        let is_told = known.trouble.replace(reason.clone()).as_ref() == Some(&reason);
        if is_told { CertificateNews::None } else { CertificateNews::Unusable(reason) }
    }

    /// Whether any could be used.
    pub(in crate::redis) fn is_usable(&self) -> bool {
        self.known().usable.is_some()
    }

    /// The terms of a handshake that begins now, by the last that could be used. The authorities of the
    /// system are a hundred files or more, which the nodes of a cluster do not have read once each.
    ///
    /// # Errors
    /// Why there are none.
    pub(in crate::redis) fn terms(&self) -> Result<Arc<ClientConfig>, String> {
        let mut known = self.known();
        if let Some((made_at, terms)) = &known.terms
            && (self.files.ca.is_some() || made_at.elapsed() < limits::SYSTEM_ROOTS_AGE)
        {
            return Ok(Arc::clone(terms));
        }
        let unread = || known.trouble.clone().unwrap_or_else(|| "they were not read".to_owned());
        let made = known.usable.as_ref().ok_or_else(unread)?.terms();
        match (made, &known.terms) {
            (Ok(terms), _) => {
                known.terms = Some((Instant::now(), Arc::clone(&terms)));
                Ok(terms)
            }
            // The authorities of the system are being written, or are gone: those that were known stay.
            (Err(_), Some((_, terms))) => Ok(Arc::clone(terms)),
            (Err(reason), None) => Err(reason),
        }
    }

    /// When the certificate in use ends that we show, and the first of the given authorities; since the
    /// Unix epoch.
    pub(in crate::redis) fn ends(&self) -> (Option<Duration>, Option<Duration>) {
        let known = self.known();
        (known.expiry.as_ref().map(Expiry::not_after), known.authorities_end)
    }

    /// What there is to say now of the end of the certificate that we show, and was not said before.
    pub(in crate::redis) fn ending(&self, now: Duration) -> Option<Ending> {
        self.known().expiry.as_mut()?.look(now)
    }

    /// What the files hold, if all of it can be used.
    fn read(&self) -> Result<CertificateFiles, TlsProblem> {
        let authorities = self.files.ca.as_deref().map(Authorities::read).transpose()?;
        let own = match &self.files.pair {
            Some((cert, key)) => Some(tls::Identity::read(cert, key)?),
            None => None,
        };
        Ok(CertificateFiles {
            own_ends: own.as_ref().map(tls::Identity::not_after),
            authorities_end: authorities.as_ref().map(Authorities::not_after),
            usable: Usable {
                roots: authorities.map(|authorities| authorities.roots()),
                own: own.map(|own| own.certified()),
            },
        })
    }

    fn known(&self) -> MutexGuard<'_, KnownCertificates> {
        self.known.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    use tempfile::TempDir;

    use super::*;

    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["penstock".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    #[test]
    fn a_pair_that_does_not_fit_leaves_the_last_in_use_and_is_told_once() {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (first, second) = (pair(), pair());
        fs::write(path("ca"), &first.0).unwrap();
        fs::write(path("cert"), &first.0).unwrap();
        fs::write(path("key"), &first.1).unwrap();
        let (ca, pair) = (Some(path("ca")), Some((path("cert"), path("key"))));
        let certificates = Certificates::new(RedisTls { ca, pair, server_name: None });
        assert!(!certificates.is_usable() && certificates.terms().is_err());
        assert_eq!(certificates.look(), CertificateNews::None);
        let shown = || {
            let known = certificates.known();
            known.usable.as_ref().unwrap().own.as_ref().unwrap().cert[0].clone()
        };
        assert_eq!(shown(), der(&first.0));
        fs::write(path("cert"), &second.0).unwrap();
        let CertificateNews::Unusable(reason) = certificates.look() else {
            panic!("it does not fit")
        };
        assert!(reason.contains("is not the key of the certificate"), "{reason}");
        assert_eq!(certificates.look(), CertificateNews::None, "it is told once");
        assert_eq!(shown(), der(&first.0));
        fs::write(path("key"), &second.1).unwrap();
        assert_eq!(certificates.look(), CertificateNews::Renewed);
        assert_eq!(shown(), der(&second.0));
        assert_eq!(certificates.look(), CertificateNews::None);
        fs::remove_file(path("ca")).unwrap();
        assert!(matches!(certificates.look(), CertificateNews::Unusable(_)));
        assert_eq!(shown(), der(&second.0));
    }
}
