//! A peer that speaks HTTP/2 by hand, as far as it likes to.
//!
//! A client library would not send what is sent here.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{PATIENCE, Service};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame of HTTP/2 (RFC 9113, section 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The kinds of frames that are sent here.
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RESET: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const WINDOW: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Header fields of a call of `IsActive`.
pub fn fields() -> Vec<u8> {
    fields_of("IsActive")
}

/// Header fields of a call, without dynamic entries (RFC 7541, appendix A).
pub fn fields_of(method: &str) -> Vec<u8> {
    let path = format!("/externalscaler.ExternalScaler/{method}");
    let content = b"application/grpc";
    // POST, http, then :path and content-type by the index of their names.
    let mut block = vec![0x83, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.as_bytes());
    block.extend([0x0f, 0x10, u8::try_from(content.len()).unwrap()]);
    block.extend(content);
    block
}

/// A connection that speaks HTTP/2 as far as it likes to.
pub struct Peer(pub TcpStream);

impl Peer {
    pub async fn connect(service: &Service) -> Self {
        Self(TcpStream::connect(service.grpc()).await.unwrap())
    }

    /// One that has begun as it should.
    pub async fn greeted(service: &Service) -> Self {
        Self::connect(service).await.greet().await
    }

    /// Begins as it should.
    pub async fn greet(mut self) -> Self {
        self.send(PREFACE).await;
        self.send(&frame(kind::SETTINGS, 0, 0, &[])).await;
        self
    }

    /// Sends as much as is taken; the other side may have ended the connection.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = timeout(PATIENCE, self.0.write_all(bytes)).await;
        sent.is_ok_and(|sent| sent.is_ok())
    }

    /// Waits for the end, and gives how many bytes came before it.
    pub async fn ended(&mut self, within: Duration) -> Option<usize> {
        let mut heard = Vec::new();
        let end = timeout(within, self.0.read_to_end(&mut heard)).await;
        // A reset is an end too.
        end.ok().map(|_| heard.len())
    }

    /// Whether the connection answers a ping, past all that it has to say before.
    pub async fn answers(&mut self) -> bool {
        let mark = *b"penstock";
        if !self.send(&frame(kind::PING, 0, 0, &mark)).await {
            return false;
        }
        self.hears(&frame(kind::PING, 1, 0, &mark)).await
    }

    /// Whether these bytes come, past all that comes before them.
    pub async fn hears(&mut self, answer: &[u8]) -> bool {
        let (mut heard, mut part) = (Vec::new(), [0; 4096]);
        let heard_it = async {
            while let Ok(bytes) = self.0.read(&mut part).await {
                if bytes == 0 {
                    return false;
                }
                heard.extend_from_slice(&part[..bytes]);
                if heard.windows(answer.len()).any(|window| window == answer) {
                    return true;
                }
                let keep = heard.len().saturating_sub(answer.len());
                heard.drain(..keep);
            }
            false
        };
        timeout(PATIENCE, heard_it).await.unwrap_or(false)
    }
}
