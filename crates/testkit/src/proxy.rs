//! A TCP proxy that can cut, stall or lose what goes through it: an outage between penstock and a
//! Redis that is well.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
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
    /// Commands go through; replies and what is announced wait.
    StallReplies,
    /// Commands wait; replies and what is announced go through.
    StallCommands,
    /// Commands go through; replies and what is announced are lost. A connection that lost
    /// something says nothing any more, since nothing can follow a hole.
    LoseReplies,
    /// Commands are lost; replies and what is announced go through. A connection that lost
    /// something asks nothing any more.
    LoseCommands,
    /// The server's side is closed and the client is not told: its connection, old or new, takes
    /// everything and stays silent for ever.
    Vanish,
}

/// The way that bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passes,
    Waits,
    IsLost,
}

impl Mode {
    fn fate(self, way: Way) -> Fate {
        match (self, way) {
            (Self::Pass, _)
            | (Self::StallReplies | Self::LoseReplies, Way::There)
            | (Self::StallCommands | Self::LoseCommands, Way::Back) => Fate::Passes,
            (Self::Stall | Self::Cut | Self::Vanish, _)
            | (Self::StallReplies, Way::Back)
            | (Self::StallCommands, Way::There) => Fate::Waits,
            (Self::LoseReplies, Way::Back) | (Self::LoseCommands, Way::There) => Fate::IsLost,
        }
    }
}

/// A proxy to one server, or to several in turns. It ends when it is dropped.
pub struct Proxy {
    mode: watch::Sender<Mode>,
    servers: watch::Sender<Vec<u16>>,
    port: u16,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub async fn to(server: u16) -> Self {
        Self::among(&[server]).await
    }

    /// A new connection goes to the next of these servers that takes it.
    pub async fn among(servers: &[u16]) -> Self {
        assert!(!servers.is_empty(), "a connection goes somewhere");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, seen) = watch::channel(Mode::Pass);
        let mut tasks = JoinSet::new();
        let (servers, ports) = watch::channel(servers.to_vec());
        tasks.spawn(accept(listener, ports, seen));
        Self { mode, servers, port, _tasks: tasks }
    }

    /// Has new connections go to these; those that are there stay.
    pub fn use_servers(&self, servers: &[u16]) {
        assert!(!servers.is_empty(), "a connection goes somewhere");
        self.servers.send_replace(servers.to_vec());
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// `127.0.0.1:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }
}

async fn accept(
    listener: TcpListener,
    servers: watch::Receiver<Vec<u16>>,
    mode: watch::Receiver<Mode>,
) {
    let mut connections = JoinSet::new();
    for turn in 0.. {
        let (client, _) = listener.accept().await.unwrap();
        let mut servers = servers.borrow().clone();
        let first = turn % servers.len();
        servers.rotate_left(first);
        connections.spawn(carry(client, servers, mode.clone()));
    }
}

/// Carries one connection until either side closes, it is cut, or its server vanishes.
async fn carry(mut client: TcpStream, servers: Vec<u16>, mut mode: watch::Receiver<Mode>) {
    let carried = both(&mut client, servers, mode.clone());
    let ends = mode.wait_for(|mode| matches!(mode, Mode::Cut | Mode::Vanish));
    let has_vanished = tokio::select! {
        () = carried => false,
        mode = ends => mode.is_ok_and(|mode| *mode == Mode::Vanish),
    };
    let mut bytes = [0; 1024];
    while has_vanished && client.read(&mut bytes).await.is_ok_and(|length| length > 0) {}
}

async fn both(client: &mut TcpStream, servers: Vec<u16>, mode: watch::Receiver<Mode>) {
    let addresses: Vec<_> =
        servers.into_iter().map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
    let Ok(mut server) = TcpStream::connect(&addresses[..]).await else { return };
    let (client_read, client_write) = client.split();
    let (server_read, server_write) = server.split();
    tokio::select! {
        () = pump(Way::There, client_read, server_write, mode.clone()) => {}
        () = pump(Way::Back, server_read, client_write, mode) => {}
    }
}

async fn pump(
    way: Way,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut mode: watch::Receiver<Mode>,
) {
    let mut bytes = [0; 16 * 1024];
    let mut has_hole = false;
    while let Ok(length) = from.read(&mut bytes).await {
        // What was read before a stall waits with the rest, so that no order is changed.
        let moves = mode.wait_for(|mode| mode.fate(way) != Fate::Waits).await;
        let Ok(fate) = moves.map(|mode| mode.fate(way)) else { return };
        if length == 0 {
            return;
        }
        has_hole |= fate == Fate::IsLost;
        if !has_hole && to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
