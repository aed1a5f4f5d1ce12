//! A peer that speaks Redis's protocol and answers as a test says, for answers that a real server
//! gives too rarely to wait for.

use std::sync::Arc;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    pin, select,
    sync::Notify,
    task::JoinSet,
};

/// What is answered to the words of a command (the first in upper case): bytes as they go out.
type Answer = dyn Fn(&[String]) -> Vec<u8> + Send + Sync;

/// The peer. It ends when it is dropped.
pub struct Scripted {
    port: u16,
    hang_up: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    /// Answers HELLO, CLIENT and SELECT as Redis does, and everything else by `answer`, which is given the
    /// first word of a command in upper case.
    pub async fn answering(answer: impl Fn(&str) -> &'static [u8] + Send + Sync + 'static) -> Self {
        Self::speaking(move |_, words| answer(&words[0]).to_vec()).await
    }

    /// The same with all words of a command and the peer's own port.
    pub async fn speaking(
        answer: impl Fn(u16, &[String]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        let answer: Arc<Answer> = Arc::new(move |words| answer(port, words));
        let hang_up = Arc::<Notify>::default();
        let ends = Arc::clone(&hang_up);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, Arc::clone(&answer), Arc::clone(&ends)));
            }
        });
        Self { port, hang_up, _tasks: tasks }
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

async fn serve(stream: TcpStream, answer: Arc<Answer>, ends: Arc<Notify>) {
    let ends = ends.notified();
    pin!(ends);
    ends.as_mut().enable();
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let words = select! {
            words = command(&mut read) => words,
            () = &mut ends => None,
        };
        let Some(words) = words else { return };
        let reply = match words[0].as_str() {
            "HELLO" => b"%1\r\n$5\r\nproto\r\n:3\r\n".to_vec(),
            "CLIENT" | "SELECT" => b"+OK\r\n".to_vec(),
            _ => answer(&words),
        };
        if write.write_all(&reply).await.is_err() {
            return;
        }
    }
}

/// The words of the next command.
pub(crate) async fn command(read: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Vec<String>> {
    let count = number(read).await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let length = number(read).await?;
        let mut word = vec![0; length + 2];
        read.read_exact(&mut word).await.ok()?;
        words.push(String::from_utf8_lossy(&word[..length]).into_owned());
    }
    let first = words.first_mut()?;
    *first = first.to_uppercase();
    Some(words)
}

/// The number in a line such as `*3` or `$5`.
async fn number(read: &mut (impl AsyncBufReadExt + Unpin)) -> Option<usize> {
    let mut line = String::new();
    read.read_line(&mut line).await.ok()?;
    line.trim_end().get(1..)?.parse().ok()
}
