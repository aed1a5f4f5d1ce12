//! A TCP proxy that can cut or stall what goes through it: an outage between penstock and a Redis
//! that is well.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They go through.
    Pass,
    /// Every connection is closed, old and new.
    Cut,
    /// Connections stay open and nothing goes through, as when packets are dropped.
    Stall,
}

/// A proxy to one server. It ends when it is dropped.
pub struct Proxy {
    mode: watch::Sender<Mode>,
    port: u16,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, seen) = watch::channel(Mode::Pass);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, SocketAddr::from(([127, 0, 0, 1], server)), seen));
        Self { mode, port, _tasks: tasks }
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, mode: watch::Receiver<Mode>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        connections.spawn(carry(client, server, mode.clone()));
    }
}

/// Carries one connection until either side closes or it is cut.
async fn carry(client: TcpStream, server: SocketAddr, mut mode: watch::Receiver<Mode>) {
    let (there, back) = (mode.clone(), mode.clone());
    let both = async {
        let Ok(server) = TcpStream::connect(server).await else { return };
        let (client_read, client_write) = client.into_split();
        let (server_read, server_write) = server.into_split();
        tokio::select! {
            () = pump(client_read, server_write, there) => {}
            () = pump(server_read, client_write, back) => {}
        }
    };
    tokio::select! {
        () = both => {}
        _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(length) = from.read(&mut bytes).await {
        // What was read before a stall waits with the rest, so that no order is changed.
        let passing = mode.wait_for(|mode| *mode == Mode::Pass).await.is_ok();
        if length == 0 || !passing || to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
