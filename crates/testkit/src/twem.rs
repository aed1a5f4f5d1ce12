//! A proxy before a real server that ends a connection at a command which it does not know, as twemproxy
//! 0.5.0 was seen to do.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncWriteExt, BufReader, copy},
    net::{TcpListener, TcpStream},
    select,
    sync::Notify,
    task::JoinSet,
};

use crate::scripted::command;

/// Of the commands that penstock sends, those at which twemproxy ends the connection.
const UNKNOWN: &[&str] = &[
    "HELLO",
    "CLIENT",
    "SELECT",
    "TIME",
    "INFO",
    "SCAN",
    "MULTI",
    "EXEC",
    "ROLE",
    "SUBSCRIBE",
    "XLEN",
    "XINFO",
    "XPENDING",
    "XRANGE",
];

/// The proxy. It ends when it is dropped.
pub struct Twem {
    port: u16,
    /// How many connections more it ends at what it does not know.
    ends: Arc<AtomicUsize>,
    hang_up: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Twem {
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (ends, hang_up) = (Arc::new(AtomicUsize::new(usize::MAX)), Arc::<Notify>::default());
        let mut tasks = JoinSet::new();
        let (left, ended) = (Arc::clone(&ends), Arc::clone(&hang_up));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (left, ended) = (Arc::clone(&left), Arc::clone(&ended));
                connections.spawn(async move {
                    let hang_up = ended.notified();
                    select! {
                        () = carry(client, server, &left) => {}
                        () = hang_up => {}
                    }
                });
            }
        });
        Self { port, ends, hang_up, _tasks: tasks }
    }

    /// Ends so many connections more, and then passes everything on as if it were not there.
    pub fn passes_after(&self, ends: usize) {
        self.ends.store(ends, Ordering::SeqCst);
    }

    /// Ends every connection.
    pub fn hang_up(&self) {
        self.hang_up.notify_waiters();
    }

    /// `127.0.0.1:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }
}

/// Carries commands and replies until one end closes, or a command comes that is not known.
async fn carry(client: TcpStream, server: u16, ends: &AtomicUsize) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut from_client = BufReader::new(from_client);
    let commands = async {
        while let Some(words) = command(&mut from_client).await {
            let left = ends.load(Ordering::SeqCst);
            if left > 0 && UNKNOWN.contains(&words[0].as_str()) {
                ends.store(left - 1, Ordering::SeqCst);
                return;
            }
            let mut text = format!("*{}\r\n", words.len());
            for word in &words {
                text += &format!("${}\r\n{word}\r\n", word.len());
            }
            if to_server.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    };
    select! {
        () = commands => {}
        _ = copy(&mut from_server, &mut to_client) => {}
    }
}
