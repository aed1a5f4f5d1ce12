//! What one certificate says: until when it holds, and whose it is.
//!
//! It does not judge: whether a certificate is signed by the right authority and in its time is rustls's to
//! say.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// Why a certificate says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("holds a certificate that cannot be read")]
pub struct Unreadable;

/// The subject alternative names of a certificate that can be held against a rule. The common name
/// is none of them (RFC 9525, section 2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// DNS names, in lower case.
    pub dns: Vec<String>,
    /// URIs, such as SPIFFE IDs, as they are.
    pub uris: Vec<String>,
}

/// When it ends, since the Unix epoch.
///
/// # Errors
/// [`Unreadable`] when it is no X.509 certificate.
pub fn not_after(certificate: &CertificateDer<'_>) -> Result<Duration, Unreadable> {
    let certificate = Certificate::from_der(certificate).map_err(|_| Unreadable)?;
    Ok(certificate.tbs_certificate().validity().not_after.to_unix_duration())
}

/// Whose it is.
///
/// # Errors
/// [`Unreadable`] when it is no X.509 certificate or its extensions are none.
pub fn names(certificate: &CertificateDer<'_>) -> Result<Names, Unreadable> {
    let certificate = Certificate::from_der(certificate).map_err(|_| Unreadable)?;
    let found = certificate.tbs_certificate().get_extension::<SubjectAltName>();
    let mut names = Names::default();
    for name in found.map_err(|_| Unreadable)?.into_iter().flat_map(|(_, found)| found.0) {
        if let GeneralName::DnsName(name) = name {
            names.dns.push(name.as_str().to_ascii_lowercase());
        } else if let GeneralName::UniformResourceIdentifier(uri) = name {
            names.uris.push(uri.as_str().to_owned());
        }
    }
    Ok(names)
}
