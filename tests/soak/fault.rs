//! What happens to Redis and to the network before it.

use std::{fmt, time::Duration};

use fastrand::Rng;
use tokio::time::sleep;

use crate::harness::{Mode, Proxy, Server, millis};

/// How many kinds of fault there are; so many rounds bring each once.
pub const KINDS: usize = 12;

/// One fault.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Nothing happens.
    Peace(Duration),
    /// The network does this for so long.
    Network(Mode, Duration),
    /// The server's process is killed and comes back with its data after a while.
    Restart(Duration),
    /// It comes back without.
    Loss(Duration),
    /// The server's process gets no time.
    Hang(Duration),
    /// Every connection is killed, so many times.
    Kill(u32),
    /// Clients are paused (`ALL`, or those that `WRITE`).
    Pause(&'static str, Duration),
}

impl Fault {
    /// The fault of a round: in turn, so that each comes, and as long as the generator says.
    pub fn of(round: usize, rng: &mut Rng) -> Self {
        let lasting = millis(rng.u64(100..3_000));
        match round % KINDS {
            0 => Self::Restart(lasting),
            1 => Self::Network(Mode::Cut, lasting),
            2 => Self::Kill(rng.u32(1..12)),
            3 => Self::Network(Mode::Stall, lasting),
            4 => Self::Loss(lasting),
            5 => Self::Network(Mode::StallReplies, lasting),
            6 => Self::Hang(lasting),
            7 => Self::Network(Mode::LoseReplies, lasting),
            8 => Self::Pause(rng.choice(["ALL", "WRITE"]).unwrap(), lasting),
            9 => Self::Network(Mode::LoseCommands, lasting),
            10 => Self::Peace(lasting),
            _ => Self::Network(Mode::Vanish, lasting),
        }
    }

    /// Whether the server forgets what it knew.
    pub fn loses_data(self) -> bool {
        matches!(self, Self::Loss(_))
    }

    /// Does it, and comes when it is over and Redis answers again.
    pub async fn strike(self, server: &mut Server, proxy: &Proxy) {
        match self {
            Self::Peace(lasting) => sleep(lasting).await,
            Self::Network(mode, lasting) => {
                proxy.set(mode);
                sleep(lasting).await;
                proxy.set(Mode::Pass);
            }
            Self::Restart(lasting) => restart(server, lasting).await,
            Self::Loss(lasting) => {
                server.kill();
                server.forget();
                restart(server, lasting).await;
            }
            Self::Hang(lasting) => {
                server.signal("STOP");
                sleep(lasting).await;
                server.signal("CONT");
            }
            Self::Kill(times) => {
                for _ in 0..times {
                    server.run("CLIENT KILL TYPE normal");
                    sleep(millis(70)).await;
                }
            }
            Self::Pause(whom, lasting) => {
                server.run(&format!("CLIENT PAUSE {} {whom}", lasting.as_millis()));
                sleep(lasting).await;
            }
        }
    }
}

async fn restart(server: &mut Server, lasting: Duration) {
    server.kill();
    sleep(lasting).await;
    server.run_again();
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
