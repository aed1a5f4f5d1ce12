//! What the listener shows its peers and asks of them, and how that changes when the files do.
//!
//! A handshake takes the terms of its moment, and a stream that is open keeps those it began with: nothing
//! here can end one. KEDA dials as `credentials.NewTLS` of grpc-go does (`pkg/scalers/external_scaler.go`):
//! TLS 1.2 or 1.3, ALPN `h2`, and the host part of `scalerAddress` as the name that our certificate has to
//! have.

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        NoServerSessionStorage, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::SingleCertAndKey,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    config::{ClientName, ServerTls},
    limits,
    telemetry::{Certificate, Edge, Reload},
    time,
    tls::{self, Authorities, Ending, Expiry, FileWatch, Identity, TlsProblem},
};

/// The terms of a handshake that begins now.
#[derive(Debug, Clone)]
pub(super) struct Terms(Arc<RwLock<Arc<ServerConfig>>>);

/// The certificates of the listener, which follow their files.
#[derive(Debug)]
pub struct Tls {
    settings: ServerTls,
    watch: FileWatch,
    terms: Terms,
    expiry: Expiry,
    edge: Arc<Edge>,
}

/// Terms that were made of the files, and how long they are good for.
struct Made {
    config: ServerConfig,
    identity: Identity,
    authorities: Option<Authorities>,
}

impl Terms {
    pub(super) fn now(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read())
    }

    fn replace(&self, config: ServerConfig) {
        *self.0.write() = Arc::new(config);
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsProblem`] with the file that cannot be used.
    pub fn load(settings: ServerTls, edge: Arc<Edge>) -> Result<Self, TlsProblem> {
        let files = [Some(&settings.cert), Some(&settings.key), settings.client_ca.as_ref()];
        let mut watch = FileWatch::new(files.into_iter().flatten().cloned());
        let of_files = || Made::of(&settings);
        let made = watch.look(of_files).unwrap_or_else(of_files)?;
        made.note(&edge);
        let expiry = Expiry::of(made.identity.not_after());
        let terms = Terms(Arc::new(RwLock::new(Arc::new(made.config))));
        Ok(Self { settings, watch, terms, expiry, edge })
    }

    pub(super) fn terms(&self) -> Terms {
        self.terms.clone()
    }

    /// Looks at the files every [`limits::TLS_LOOK`] until `stop` is cancelled.
    pub async fn follow(mut self, stop: CancellationToken) {
        loop {
            self.tell_of_end();
            tokio::select! {
                () = sleep(limits::TLS_LOOK) => self.look(),
                () = stop.cancelled() => return,
            }
        }
    }

    /// Says once that the certificate is about to end, and once that it has.
    fn tell_of_end(&mut self) {
        let not_after = self.expiry.not_after().as_secs();
        match self.expiry.look(time::wall_now()) {
            Some(Ending::Soon) => warn!(not_after, "our TLS certificate ends within seven days"),
            Some(Ending::Over) => warn!(not_after, "our TLS certificate has ended"),
            None => {}
        }
    }

    /// Puts changed files to use if they can be.
    fn look(&mut self) {
        match self.watch.look(|| Made::of(&self.settings)) {
            None => {}
            Some(Ok(made)) => {
                made.note(&self.edge);
                self.expiry.renew(made.identity.not_after());
                let not_after = self.expiry.not_after().as_secs();
                self.terms.replace(made.config);
                self.edge.reload(Reload::Ok);
                info!(not_after, "new TLS files are in use for new connections");
            }
            Some(Err(reason)) => {
                self.edge.reload(Reload::Failed);
                warn!(%reason, "changed TLS files cannot be used; the ones before stay in use");
            }
        }
    }
}

impl Made {
    fn of(settings: &ServerTls) -> Result<Self, TlsProblem> {
        let identity = Identity::read(&settings.cert, &settings.key)?;
        let authorities = settings.client_ca.as_deref().map(Authorities::read).transpose()?;
        let provider = tls::provider();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsProblem::Certificate(error.to_string()))?;
        let builder = if let Some(authorities) = &authorities {
            let by_authority =
                WebPkiClientVerifier::builder_with_provider(authorities.roots(), provider)
                    .build()
                    .map_err(|error| TlsProblem::Authorities(error.to_string()))?;
            let names = settings.client_names.clone();
            builder.with_client_cert_verifier(Arc::new(NamedClients { by_authority, names }))
        } else {
            builder.with_no_client_auth()
        };
        let key = identity.certified();
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A session that is taken up again skips the look at the client's certificate, and KEDA's
        // few connections have nothing to save.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config, identity, authorities })
    }

    fn note(&self, edge: &Edge) {
        edge.not_after(Certificate::Own, self.identity.not_after());
        if let Some(authorities) = &self.authorities {
            edge.not_after(Certificate::ClientCa, authorities.not_after());
        }
    }
}

/// Lets in clients whose certificate an authority has signed, and of those only the allowed names.
#[derive(Debug)]
struct NamedClients {
    by_authority: Arc<dyn ClientCertVerifier>,
    names: Vec<ClientName>,
}

impl ClientCertVerifier for NamedClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.by_authority.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.by_authority.verify_client_cert(end_entity, intermediates, now)?;
        if self.names.is_empty() {
            return Ok(verified);
        }
        let names = tls::names(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if self.names.iter().any(|rule| rule.admits(&names)) {
            Ok(verified)
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}
