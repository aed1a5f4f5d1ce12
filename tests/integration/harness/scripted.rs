//! A peer that speaks Redis's protocol and answers as a test says, for answers that a real server
//! gives too rarely to wait for.

use std::sync::Arc;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What is answered to a command (its first word in upper case): bytes as they go out.
type Answer = dyn Fn(&str) -> &'static [u8] + Send + Sync;

/// The peer. It ends when it is dropped.
pub struct Scripted {
    port: u16,
    _tasks: JoinSet<()>,
}

impl Scripted {
    /// Answers HELLO, CLIENT and SELECT as Redis does, and everything else by `answer`.
    pub async fn answering(answer: impl Fn(&str) -> &'static [u8] + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        let answer: Arc<Answer> = Arc::new(answer);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, Arc::clone(&answer)));
            }
        });
        Self { port, _tasks: tasks }
    }

    /// `127.0.0.1:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }
}

async fn serve(stream: TcpStream, answer: Arc<Answer>) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    while let Some(command) = command(&mut read).await {
        let reply: &[u8] = match command.as_str() {
            "HELLO" => b"%1\r\n$5\r\nproto\r\n:3\r\n",
            "CLIENT" | "SELECT" => b"+OK\r\n",
            other => answer(other),
        };
        if write.write_all(reply).await.is_err() {
            return;
        }
    }
}

/// The first word of the next command.
async fn command(read: &mut (impl AsyncBufReadExt + Unpin)) -> Option<String> {
    let words = number(read).await?;
    let mut first = None;
    for _ in 0..words {
        let length = number(read).await?;
        let mut word = vec![0; length + 2];
        read.read_exact(&mut word).await.ok()?;
        let text = String::from_utf8_lossy(&word[..length]).to_uppercase();
        first.get_or_insert(text);
    }
    first
}

/// The number in a line such as `*3` or `$5`.
async fn number(read: &mut (impl AsyncBufReadExt + Unpin)) -> Option<usize> {
    let mut line = String::new();
    read.read_line(&mut line).await.ok()?;
    line.trim_end().get(1..)?.parse().ok()
}
