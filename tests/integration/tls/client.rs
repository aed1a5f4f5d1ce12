//! A client that dials as KEDA does: `pkg/util/tls_config.go` and `credentials.NewTLS` of grpc-go.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Status,
    codegen::Service,
    transport::{Endpoint, Uri},
};

use super::HOST;
use crate::{
    harness::Pair,
    wire::{Keda, queue},
};

/// KEDA's keys of a TriggerAuthentication.
#[derive(Clone, Default)]
pub struct KedaTls {
    pub ca_cert: String,
    pub client: Option<Pair>,
    pub versions: Option<&'static [&'static SupportedProtocolVersion]>,
    pub server_name: Option<&'static str>,
}

impl KedaTls {
    pub fn new(ca_cert: &str) -> Self {
        Self { ca_cert: ca_cert.to_owned(), ..Self::default() }
    }

    pub fn with_client(ca_cert: &str, client: &Pair) -> Self {
        Self { client: Some(client.clone()), ..Self::new(ca_cert) }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.ca_cert.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let versions = self.versions.unwrap_or(rustls::DEFAULT_VERSIONS);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.client {
            None => builder.with_no_client_auth(),
            Some(Pair { cert, key }) => {
                let chain = CertificateDer::pem_slice_iter(cert.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    /// The TLS connection alone, and the certificate that was shown.
    pub async fn handshake(&self, address: &str) -> Result<TlsStream<TcpStream>, String> {
        let tcp = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let name = ServerName::try_from(self.server_name.unwrap_or(HOST)).unwrap();
        let stream = TlsConnector::from(Arc::new(self.config())).connect(name, tcp).await;
        stream.map_err(|error| error.to_string())
    }

    /// A connection of its own, which has answered, and the certificate that the server showed on it.
    pub async fn connect(&self, address: &str) -> Result<(Keda, CertificateDer<'static>), Status> {
        let dial = Dial { tls: self.clone(), address: address.to_owned(), shown: Arc::default() };
        let shown = Arc::clone(&dial.shown);
        let endpoint = Endpoint::from_shared(format!("http://{HOST}")).unwrap();
        let channel = endpoint.connect_with_connector(dial).await;
        let channel = channel.map_err(|error| Status::unavailable(format!("{error:?}")))?;
        let keda = Keda::over(channel);
        keda.get_metric_spec(&queue("q")).await?;
        let shown = shown.lock().unwrap().clone();
        Ok((keda, shown.expect("a connection that answers was made")))
    }
}

#[derive(Clone)]
struct Dial {
    tls: KedaTls,
    address: String,
    shown: Arc<Mutex<Option<CertificateDer<'static>>>>,
}

type Dialled = Result<TokioIo<TlsStream<TcpStream>>, String>;

impl Service<Uri> for Dial {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = String;
    type Future = Pin<Box<dyn Future<Output = Dialled> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let dial = self.clone();
        Box::pin(async move {
            let stream = dial.tls.handshake(&dial.address).await?;
            let (_, session) = stream.get_ref();
            assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]), "grpc-go insists on it");
            let shown = session.peer_certificates().unwrap()[0].clone().into_owned();
            *dial.shown.lock().unwrap() = Some(shown);
            Ok(TokioIo::new(stream))
        })
    }
}
