//! Certificates as an administrator would make them, and the files they are in.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;

/// The name that KEDA knows us by: the host of `scalerAddress`.
pub const HOST: &str = "penstock.penstock.svc";

/// Somebody who signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Issued {
    pub cert: String,
    pub key: String,
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

    /// A certificate for these names, DNS or URI, good until 2040.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_until(names, 2040)
    }

    /// One that is good from 2020 to the start of a year.
    pub fn issue_until(&self, names: &[&str], year: i32) -> Issued {
        let mut params = CertificateParams::new([]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.subject_alt_names = (names.iter())
            .map(|name| {
                let text = (*name).try_into().unwrap();
                if name.contains("://") { SanType::URI(text) } else { SanType::DnsName(text) }
            })
            .collect();
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { cert, key: key.serialize_pem() }
    }

    /// The certificate of the server.
    pub fn server(&self) -> Issued {
        self.issue(&[HOST])
    }
}

/// A folder as Kubernetes mounts a Secret: names that point through `..data` to the files.
pub struct Secret {
    folder: TempDir,
    versions: usize,
}

impl Secret {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let mut secret = Self { folder: TempDir::new().unwrap(), versions: 0 };
        secret.change(files);
        for (name, _) in files {
            symlink(format!("..data/{name}"), secret.path(name)).unwrap();
        }
        secret
    }

    /// `tls.crt` and `tls.key` of the server.
    pub fn of(issued: &Issued) -> Self {
        Self::new(&[("tls.crt", &issued.cert), ("tls.key", &issued.key)])
    }

    /// With the clients' authority too.
    pub fn mutual(issued: &Issued, authority: &Authority) -> Self {
        Self::new(&[
            ("tls.crt", &issued.cert),
            ("tls.key", &issued.key),
            ("ca.crt", &authority.pem),
        ])
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// All files at once, as the kubelet does it.
    pub fn change(&mut self, files: &[(&str, &str)]) {
        self.versions += 1;
        let version = format!("..v{}", self.versions);
        fs::create_dir(self.path(&version)).unwrap();
        for (name, text) in files {
            fs::write(self.path(&version).join(name), text).unwrap();
        }
        symlink(&version, self.path("..next")).unwrap();
        fs::rename(self.path("..next"), self.path("..data")).unwrap();
    }

    /// `[server.tls]` of these files, and more of it.
    pub fn config(&self, more: &str) -> String {
        let path = |name: &str| Path::display(&self.path(name)).to_string();
        let ca = self.path("ca.crt");
        let ca = if ca.exists() { format!("client_ca = '{}'\n", ca.display()) } else { "".into() };
        format!(
            "[server.tls]\ncert = '{}'\nkey = '{}'\n{ca}{more}\n",
            path("tls.crt"),
            path("tls.key")
        )
    }
}
