//! An authority of the tests' own, and the certificates that it signs.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};

use crate::server::Pair;

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // A name of its own, so that nobody takes it for another one whose signature is wrong.
        let name = format!("authority {:?}", key.public_key_raw());
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these names (of hosts, or URIs) and addresses that holds for a long time.
    pub fn sign(&self, names: &[&str]) -> Pair {
        self.sign_until(names, 2090)
    }

    /// One that ends with the first day of a year.
    pub fn sign_until(&self, names: &[&str], year: i32) -> Pair {
        self.signed(names, |params| params.not_after = date_time_ymd(year, 1, 1))
    }

    /// One that ends after this time from now.
    #[expect(clippy::disallowed_methods, reason = "a certificate ends by the wall clock")]
    pub fn sign_for(&self, names: &[&str], lasting: Duration) -> Pair {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let ends = now + lasting;
        self.signed(names, |params| params.not_after = date_time_ymd(1970, 1, 1) + ends)
    }

    fn signed(&self, names: &[&str], set_end: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new([]).unwrap();
        params.subject_alt_names = names.iter().map(|name| named(name)).collect();
        params.distinguished_name.push(DnType::CommonName, "penstock");
        params.not_before = date_time_ymd(2000, 1, 1);
        set_end(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { cert, key: key.serialize_pem() }
    }
}

fn named(name: &str) -> SanType {
    if let Ok(address) = name.parse::<IpAddr>() {
        return SanType::IpAddress(address);
    }
    let text = name.try_into().unwrap();
    if name.contains("://") { SanType::URI(text) } else { SanType::DnsName(text) }
}
