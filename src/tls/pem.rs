//! What a PEM file holds.
//!
//! Every file of certificates or keys is read within the same bound and told of in the same words. Its errors
//! never show what is in a file.

use std::{fs, io, io::Read, path::Path};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error as Syntax, PemObject},
};

use crate::limits;

/// Why a file gives no certificate or no key.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// The system does not let us read it.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is a directory, a pipe or the like.
    #[error("is no regular file")]
    NoFile,
    /// It has more than [`limits::PEM_BYTES`].
    #[error("is longer than {} bytes", limits::PEM_BYTES)]
    TooLong,
    /// It has more than [`limits::CERTIFICATES`].
    #[error("has more than {} certificates", limits::CERTIFICATES)]
    TooMany,
    /// A section of it is cut off or has bytes that cannot be in it.
    #[error("is broken PEM: a section has no end, or is not base64")]
    Broken,
    /// It has no certificate.
    #[error("has no certificate; wanted is PEM: -----BEGIN CERTIFICATE----- …")]
    NoCertificate,
    /// It has no key that is not encrypted.
    #[error(
        "has no private key; wanted is PEM that is not encrypted: -----BEGIN PRIVATE KEY----- \
         (or RSA or EC PRIVATE KEY) …"
    )]
    NoKey,
}

/// The bytes of a regular file of at most [`limits::PEM_BYTES`].
///
/// # Errors
/// [`PemError`] when it is no such file.
pub fn bytes(path: &Path) -> Result<Vec<u8>, PemError> {
    // A pipe would hold whoever opens it.
    if !fs::metadata(path)?.is_file() {
        return Err(PemError::NoFile);
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limits::PEM_BYTES + 1).read_to_end(&mut bytes)?;
    let is_too_long = u64::try_from(bytes.len()).is_ok_and(|length| length > limits::PEM_BYTES);
    if is_too_long { Err(PemError::TooLong) } else { Ok(bytes) }
}

/// Every certificate, in order; at least one.
pub(super) fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let all = CertificateDer::pem_slice_iter(bytes).take(limits::CERTIFICATES + 1);
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(|_| PemError::Broken)?;
    match all.len() {
        0 => Err(PemError::NoCertificate),
        most if most > limits::CERTIFICATES => Err(PemError::TooMany),
        _ => Ok(all),
    }
}

/// The first private key.
pub(super) fn key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
        if matches!(error, Syntax::NoItemsFound) { PemError::NoKey } else { PemError::Broken }
    })
}
