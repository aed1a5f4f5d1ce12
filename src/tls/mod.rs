//! Certificates and keys from files: what is in them, whether they fit, and when they change.
//!
//! Both sides of the service need the same: the listener that KEDA calls, and the links to Redis. It knows
//! neither of them, and makes no connection.

mod certificate;
mod expiry;
mod identity;
mod pem;
mod system;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::{Arc, LazyLock};

pub use certificate::{Names, names};
pub use expiry::{Ending, Expiry};
pub use identity::{Authorities, Identity, TlsProblem};
use rustls::crypto::CryptoProvider;
pub use system::system_roots;
pub use watch::FileWatch;

/// The cryptography of every TLS connection: ring, and no other.
///
/// The first call also makes it the default of the process, for a library that looks for that. So
/// it is to be called before any such library is used.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        // An error here means that there is a default already; nothing but this line sets one.
        drop(rustls::crypto::ring::default_provider().install_default());
        Arc::new(rustls::crypto::ring::default_provider())
    });
    Arc::clone(&PROVIDER)
}
