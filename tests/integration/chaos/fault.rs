//! The faults, and how each is done to a server or to the network before it.
//!
//! While a fault lasts, or in the moment in which it ends, every idle queue gets its first job.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::Cmd;
use tokio::{sync::Mutex, time::sleep};

use crate::harness::{Mode, Proxy, Server, millis};

use super::{
    books::Books,
    direct::{Direct, jobs_for_the_idle, line, pipeline, take_stock},
};

/// What happens.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The network between penstock and Redis does this, so many times for so long.
    Network(Mode, u32, Duration),
    /// Somebody kills these connections, so many times.
    Kill(Victims, u32),
    /// The server's process gets no time.
    Hang(Duration),
    /// The server's process is killed and comes back after a while.
    Restart(Keeps, Duration),
    /// All data goes by this command.
    Flush(&'static str),
    /// Somebody pauses clients (`ALL`, or those that `WRITE`).
    Pause(&'static str, Duration),
    /// A script does not end until somebody kills it.
    Script(Duration),
    /// The server may remember no more than one key that somebody read.
    Forgetful(Duration),
}

/// Whose connections are killed.
#[derive(Debug, Clone, Copy)]
pub enum Victims {
    Everybody,
    Penstock,
}

/// What a server knows after a restart.
#[derive(Debug, Clone, Copy)]
pub enum Keeps {
    Everything,
    /// What it knew a while ago, and it takes its time to load that.
    ASnapshot,
    Nothing,
}

/// What a fault may be done to.
pub struct Site<'a> {
    pub server: &'a mut Server,
    pub proxy: &'a Proxy,
    pub books: &'a Arc<Mutex<Books>>,
    pub direct: &'a mut Direct,
}

impl Fault {
    /// Arguments that the server needs from its start.
    pub fn arguments(self) -> &'static [&'static str] {
        const SLOW_TO_LOAD: &[&str] = &[
            "--appendonly",
            "no",
            "--key-load-delay",
            "300",
            "--loading-process-events-interval-bytes",
            "1024",
        ];
        if matches!(self, Self::Restart(Keeps::ASnapshot, _)) { SLOW_TO_LOAD } else { &[] }
    }

    /// Whether the service is to reach the server through the proxy.
    pub fn is_of_the_network(self) -> bool {
        matches!(self, Self::Network(..))
    }

    /// How many links and complaints of failed reads the log must have in the end. Without them the
    /// fault did nothing.
    pub fn traces(self) -> usize {
        let breaks_links = match self {
            Self::Network(_, _, lasting) => lasting > millis(1000),
            Self::Kill(..) | Self::Hang(_) | Self::Restart(..) | Self::Script(_) => true,
            Self::Pause(whom, _) => whom == "ALL",
            Self::Flush(_) | Self::Forgetful(_) => false,
        };
        1 + usize::from(breaks_links)
    }

    /// Does it, and comes when it is over.
    pub async fn strike(self, mut site: Site<'_>) {
        match self {
            Self::Network(mode, times, lasting) => {
                for number in 0..times {
                    site.proxy.set(mode);
                    sleep(lasting / 2).await;
                    site.enqueue(number, []).await;
                    sleep(lasting / 2).await;
                    site.proxy.set(Mode::Pass);
                    sleep(millis(40)).await;
                }
            }
            Self::Kill(victims, times) => {
                for number in 0..times {
                    if number.is_multiple_of(2) {
                        site.enqueue(number, []).await;
                    }
                    site.kill(victims);
                    sleep(millis(70)).await;
                }
            }
            Self::Hang(lasting) => {
                site.server.signal("STOP");
                sleep(lasting).await;
                let server = &*site.server;
                let goes_on = async {
                    sleep(millis(50)).await;
                    server.signal("CONT");
                };
                tokio::join!(enqueue(site.direct, 0, []), goes_on);
            }
            Self::Restart(keeps, lasting) => site.restart(keeps, lasting).await,
            Self::Flush(command) => {
                let books = Arc::clone(site.books);
                let mut books = books.lock().await;
                site.enqueue(0, [line(command)]).await;
                // The writer may fill again what nobody saw empty.
                books.was_empty();
                take_stock(site.direct, &mut books).await;
            }
            Self::Pause(whom, lasting) => {
                site.server.run(&format!("CLIENT PAUSE {} {whom}", lasting.as_millis()));
                sleep(lasting / 2).await;
                site.enqueue(0, []).await;
            }
            Self::Script(lasting) => site.script(lasting).await,
            Self::Forgetful(lasting) => {
                site.server.run("CONFIG SET tracking-table-max-keys 1");
                sleep(lasting).await;
                site.enqueue(0, []).await;
                site.server.run("CONFIG SET tracking-table-max-keys 1000000");
            }
        }
    }
}

async fn enqueue(direct: &mut Direct, number: u32, first: impl IntoIterator<Item = Cmd>) {
    let jobs = jobs_for_the_idle(number);
    direct.insist(&pipeline(first.into_iter().chain(jobs))).await;
}

impl Site<'_> {
    async fn enqueue(&mut self, number: u32, first: impl IntoIterator<Item = Cmd>) {
        enqueue(self.direct, number, first).await;
    }

    fn kill(&self, victims: Victims) {
        match victims {
            Victims::Everybody => self.server.run("CLIENT KILL TYPE normal"),
            Victims::Penstock => {
                let list: String = self.server.ask("CLIENT LIST");
                let field = |line: &str, name: &str| {
                    let field = line.split(' ').find_map(|field| field.strip_prefix(name));
                    field.map(str::to_owned)
                };
                let tracks =
                    |line: &&str| field(line, "flags=").is_some_and(|all| all.contains('t'));
                for line in list.lines().filter(tracks) {
                    let id = field(line, "id=").unwrap();
                    // It may have gone by itself meanwhile.
                    self.server.ask::<u64>(&format!("CLIENT KILL ID {id}"));
                }
            }
        }
    }

    async fn restart(&mut self, keeps: Keeps, lasting: Duration) {
        if matches!(keeps, Keeps::ASnapshot) {
            const FILLER: &str = "for n=1,3000 do redis.call('SET','filler'..n,n) end";
            self.server.ask_words::<()>(&["EVAL", FILLER, "0"]);
            self.server.run("SAVE");
            sleep(millis(300)).await;
        }
        let books = Arc::clone(self.books);
        let mut books = books.lock().await;
        self.server.kill();
        if matches!(keeps, Keeps::Nothing) {
            self.server.forget();
            books.was_empty();
        }
        sleep(lasting).await;
        self.server.run_again();
        self.enqueue(0, []).await;
        take_stock(self.direct, &mut books).await;
    }

    async fn script(&mut self, lasting: Duration) {
        self.server.run("CONFIG SET lua-time-limit 50");
        let mut busy = Direct::to(self.server);
        let mut endless = Cmd::new();
        endless.arg("EVAL").arg("while true do end").arg(0);
        let endless = pipeline([endless]);
        let server = &*self.server;
        let ends = async {
            sleep(lasting).await;
            server.run("SCRIPT KILL");
        };
        let later = async {
            sleep(lasting / 2).await;
            enqueue(self.direct, 0, []).await;
        };
        tokio::join!(busy.try_once(&endless), ends, later);
    }
}
