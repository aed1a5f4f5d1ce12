//! What certificate files are read as, and what is told of those that are not.

use std::{fs, path::PathBuf, time::Duration};

use rcgen::{CertificateParams, KeyPair, SanType};
use tempfile::TempDir;

use super::*;
use crate::limits;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

/// A certificate that ends in 2040, and its key, as PEM.
fn pair(names: &[&str]) -> (String, String) {
    let mut params = CertificateParams::new([]).unwrap();
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    params.subject_alt_names = (names.iter())
        .map(|name| {
            let text = (*name).try_into().unwrap();
            if name.contains("://") { SanType::URI(text) } else { SanType::DnsName(text) }
        })
        .collect();
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn a_chain_and_its_key_are_read_with_their_end() {
    let folder = Folder::new();
    let (cert, key) = pair(&["penstock"]);
    let (cert, key) = (folder.file("c", cert), folder.file("k", &key));
    let identity = Identity::read(&cert, &key).unwrap();
    assert_eq!(identity.not_after(), Duration::from_secs(2_208_988_800));
    assert_eq!(identity.certified().cert.len(), 1);
    assert!(!format!("{identity:?}").contains("key"), "{identity:?}");
    let authorities = Authorities::read(&cert).unwrap();
    assert_eq!((authorities.roots().len(), authorities.not_after()), (1, identity.not_after()));
}

#[test]
fn what_is_wrong_names_the_file_and_shows_nothing_of_it() {
    let folder = Folder::new();
    let (cert, key) = pair(&[]);
    let other = folder.file("other", pair(&[]).1);
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let encrypted = folder.file("encrypted", encrypted);
    let half = folder.file("half", &cert[..cert.len() / 2]);
    let both = folder.file("both", format!("{key}{cert}"));
    let text = folder.file("text", "hunter2");
    let base64 = "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n";
    let no_x509 = folder.file("no_x509", base64);
    let long = folder.file("long", "a".repeat(usize::try_from(limits::PEM_BYTES).unwrap() + 1));
    let many = folder.file("many", cert.repeat(1_001));
    let (cert, key) = (folder.file("cert", cert), folder.file("key", key));
    let nowhere = folder.0.path().join("nowhere");
    for (cert, key, told) in [
        (&nowhere, &key, "certificate: DIR/nowhere cannot be read: No such file"),
        (&cert, &nowhere, "key: DIR/nowhere cannot be read: No such file"),
        (&folder.0.path().to_owned(), &key, "certificate: DIR is no regular file"),
        (&text, &key, "certificate: DIR/text has no certificate"),
        (&key, &key, "certificate: DIR/key has no certificate"),
        (&half, &key, "certificate: DIR/half is broken PEM"),
        (&no_x509, &key, "certificate: DIR/no_x509 holds a certificate that cannot be read"),
        (&long, &key, "certificate: DIR/long is longer than 1048576 bytes"),
        (&many, &key, "certificate: DIR/many has more than 1000 certificates"),
        (&cert, &text, "key: DIR/text has no private key"),
        (&cert, &encrypted, "key: DIR/encrypted has no private key"),
        (&cert, &other, "key: DIR/other is not the key of the certificate in DIR/cert"),
    ] {
        let error = Identity::read(cert, key).unwrap_err().to_string();
        let error = error.replace(&folder.0.path().display().to_string(), "DIR");
        assert!(error.starts_with(told), "{error}\nexpected: {told}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert!(Identity::read(&both, &both).is_ok(), "one file may hold both");
    for wrong in [&nowhere, &text, &half, &no_x509] {
        let error = Authorities::read(wrong).unwrap_err().to_string();
        assert!(error.starts_with("authorities: "), "{error}");
    }
}

#[test]
fn a_certificate_says_whose_it_is() {
    let folder = Folder::new();
    let (cert, key) = pair(&["KEDA-operator.keda.svc", "spiffe://Cluster/ns/keda/sa/keda"]);
    let identity = Identity::read(&folder.file("c", cert), &folder.file("k", key)).unwrap();
    let names = names(&identity.certified().cert[0]).unwrap();
    assert_eq!(names.dns, ["keda-operator.keda.svc"]);
    assert_eq!(names.uris, ["spiffe://Cluster/ns/keda/sa/keda"]);
}

#[test]
fn a_version_changes_with_any_content_and_with_nothing_else() {
    let folder = Folder::new();
    let paths = [folder.file("a", "1"), folder.file("b", "2")];
    let watch = FileWatch::new(paths.clone());
    let first = watch.version();
    fs::write(&paths[0], "1").unwrap();
    assert_eq!(watch.version(), first);
    fs::write(&paths[1], "3").unwrap();
    assert_ne!(watch.version(), first);
    fs::remove_file(&paths[1]).unwrap();
    let gone = watch.version();
    assert_ne!(gone, first);
    assert_eq!(watch.version(), gone);
    fs::write(&paths[1], "2").unwrap();
    assert_eq!(watch.version(), first);
}

#[test]
fn each_state_of_the_files_is_judged_once_and_never_while_they_are_written() {
    let folder = Folder::new();
    let path = folder.file("a", "1");
    let mut watch = FileWatch::new([path.clone()]);
    let read = || fs::read_to_string(&path).unwrap();
    assert_eq!((watch.look(read), watch.look(read)), (Some("1".to_owned()), None));
    let half = || {
        fs::write(&path, "2").unwrap();
        "half of it"
    };
    fs::write(&path, "half").unwrap();
    assert_eq!(watch.look(half), None);
    assert_eq!((watch.look(read), watch.look(read)), (Some("2".to_owned()), None));
    fs::remove_file(&path).unwrap();
    assert_eq!((watch.look(|| "gone"), watch.look(|| "gone")), (Some("gone"), None));
}

#[test]
fn a_moved_symlink_of_a_folder_above_is_seen() {
    let folder = Folder::new();
    let root = folder.0.path();
    for version in ["v1", "v2"] {
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("tls.crt"), version).unwrap();
    }
    let link = |to: &str| {
        std::os::unix::fs::symlink(to, root.join("..next")).unwrap();
        fs::rename(root.join("..next"), root.join("..data")).unwrap();
    };
    link("v1");
    std::os::unix::fs::symlink("..data/tls.crt", root.join("tls.crt")).unwrap();
    let watch = FileWatch::new([root.join("tls.crt")]);
    let first = watch.version();
    link("v2");
    assert_ne!(watch.version(), first);
}

#[test]
fn there_is_one_provider_and_it_is_the_process_default() {
    let ours = provider();
    let default = CryptoProvider::get_default().unwrap();
    assert_eq!(ours.cipher_suites.len(), default.cipher_suites.len());
}
