//! A connection to Redis with nothing between the bench and the socket: commands as RESP arrays,
//! replies as RESP2.
//!
//! The floor that activations are compared with has no library in it, and no cost of the thing measured.

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The name that the bench gives its own connections.
pub const CLIENT_NAME: &str = "penstock-bench";

/// A command and its arguments.
pub type Command = Vec<String>;

/// The words of a command.
pub fn words<const N: usize>(words: [&str; N]) -> Command {
    words.map(str::to_owned).to_vec()
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status or a bulk string.
    Text(String),
    /// A number.
    Integer(i64),
    /// Nothing.
    Nil,
    /// Several replies.
    Array(Vec<Reply>),
    /// The command was refused.
    Error(String),
}

/// A connection, which may be used by one task.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects to `host:port` and says who it is.
    pub async fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("cannot connect to Redis")?;
        stream.set_nodelay(true)?;
        let mut connection = Self { stream, received: Vec::with_capacity(64 * 1024) };
        connection.command(["CLIENT", "SETNAME", CLIENT_NAME]).await?;
        Ok(connection)
    }

    /// Sends one command and waits for its reply.
    pub async fn command<const N: usize>(&mut self, command: [&str; N]) -> anyhow::Result<Reply> {
        self.send(&[words(command)]).await?;
        self.reply().await
    }

    /// Sends commands in one write and waits for all replies.
    pub async fn pipeline(&mut self, commands: &[Command]) -> anyhow::Result<Vec<Reply>> {
        self.send(commands).await?;
        let mut replies = Vec::with_capacity(commands.len());
        for _ in commands {
            replies.push(self.reply().await?);
        }
        Ok(replies)
    }

    /// Sends commands in one write, without waiting.
    pub async fn send(&mut self, commands: &[Command]) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        for command in commands {
            bytes.extend(format!("*{}\r\n", command.len()).bytes());
            for word in command {
                bytes.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
            }
        }
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// The next reply or message. An error reply is an error.
    pub async fn reply(&mut self) -> anyhow::Result<Reply> {
        loop {
            if let Some((reply, length)) = parse(&self.received)? {
                self.received.drain(..length);
                if let Reply::Error(error) = reply {
                    bail!("Redis says {error}");
                }
                return Ok(reply);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                bail!("Redis closed the connection");
            }
        }
    }
}

/// The first reply in the bytes and its length; `None` while it is incomplete.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<(Reply, usize)>> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let line = std::str::from_utf8(&bytes[1..end])?;
    let mut length = end + 2;
    let reply = match bytes[0] {
        b'+' => Reply::Text(line.to_owned()),
        b'-' => Reply::Error(line.to_owned()),
        b':' => Reply::Integer(line.parse()?),
        b'$' | b'*' if line == "-1" => Reply::Nil,
        b'$' => {
            let size: usize = line.parse()?;
            let Some(body) = bytes.get(length..length + size + 2) else { return Ok(None) };
            length += size + 2;
            Reply::Text(String::from_utf8_lossy(&body[..size]).into_owned())
        }
        b'*' => {
            let mut items = Vec::new();
            for _ in 0..line.parse::<usize>()? {
                let Some((item, size)) = parse_at(bytes, length)? else { return Ok(None) };
                items.push(item);
                length += size;
            }
            Reply::Array(items)
        }
        other => bail!("a reply that begins with {other}"),
    };
    Ok(Some((reply, length)))
}

fn parse_at(bytes: &[u8], at: usize) -> anyhow::Result<Option<(Reply, usize)>> {
    match bytes.get(at..) {
        Some(rest) => parse(rest),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_when_it_is_whole_and_not_before() {
        let bytes = b"*3\r\n$7\r\nmessage\r\n:-4\r\n$-1\r\n+OK\r\n";
        let whole = bytes.len() - b"+OK\r\n".len();
        for length in 0..whole {
            assert_eq!(parse(&bytes[..length]).unwrap(), None, "{length} bytes");
        }
        let items = vec![Reply::Text("message".to_owned()), Reply::Integer(-4), Reply::Nil];
        assert_eq!(parse(bytes).unwrap(), Some((Reply::Array(items), whole)));
    }
}
