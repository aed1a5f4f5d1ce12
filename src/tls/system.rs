//! The authorities that the system trusts, read each time they are asked for, so that a bundle that
//! was renewed is used soon.
//!
//! One that is odd is told to nobody, unlike one in a file that a setting names: of a bundle of all public
//! authorities those that can be read are enough.

use std::sync::Arc;

use rustls::RootCertStore;

/// The system's authorities: `SSL_CERT_FILE` and `SSL_CERT_DIR`, or where they usually are.
///
/// # Errors
/// The first reason why there are none.
pub fn system_roots() -> Result<Arc<RootCertStore>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(Arc::new(roots));
    }
    let first = found.errors.first().map(|error| format!(": {error}"));
    Err(format!("the system has no authorities{}", first.unwrap_or_default()))
}
