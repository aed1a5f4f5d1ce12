//! The files that certificates are in, as Kubernetes mounts them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::harness::{Authority, Pair};

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
    pub fn of(issued: &Pair) -> Self {
        Self::new(&[("tls.crt", &issued.cert), ("tls.key", &issued.key)])
    }

    /// With the clients' authority too.
    pub fn mutual(issued: &Pair, authority: &Authority) -> Self {
        Self::new(&[
            ("tls.crt", &issued.cert),
            ("tls.key", &issued.key),
            ("ca.crt", authority.pem()),
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
