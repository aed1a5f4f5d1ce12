//! How open streams learn what is new about their subject: the latest news and a bell, nothing queued.
//!
//! It is apart because every open stream costs what this costs. A stream that does not look sees the
//! latest news when it does, and holds nothing up until then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::time::Instant;

use super::observation::Observation;

/// The latest about one subject.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// What may be said.
    pub observation: Observation,
    /// When the change was announced that made it so, if one was.
    pub announced_at: Option<Instant>,
}

/// Where the streams of one subject look.
#[derive(Debug)]
pub struct Board {
    latest: Mutex<(News, u64)>,
    bell: Notify,
}

impl Board {
    /// A board with its first news.
    pub fn new(observation: Observation) -> Arc<Self> {
        let news = News { observation, announced_at: None };
        Arc::new(Self { latest: Mutex::new((news, 0)), bell: Notify::new() })
    }

    /// Puts up what is new, and rings; what says the same as before is not new.
    pub fn put_up(&self, news: News) {
        {
            let mut latest = self.latest();
            if latest.0.observation.is_same_news(&news.observation) {
                return;
            }
            *latest = (news, latest.1 + 1);
        }
        self.bell.notify_waiters();
    }

    fn latest(&self) -> MutexGuard<'_, (News, u64)> {
        // What is put up is put up whole, so that a panic elsewhere leaves nothing half done.
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream's eye on a board.
#[derive(Debug)]
pub struct Reader {
    board: Arc<Board>,
    seen: u64,
}

impl Reader {
    /// A reader to whom what is up already is nothing new.
    pub fn of(board: &Arc<Board>) -> Self {
        let seen = board.latest().1;
        Self { board: Arc::clone(board), seen }
    }

    /// The latest news, which are seen from now on.
    pub fn look(&mut self) -> News {
        let latest = self.board.latest();
        self.seen = latest.1;
        latest.0.clone()
    }

    /// Comes when there is something that was not seen.
    pub async fn changed(&self) {
        loop {
            let rung = self.board.bell.notified();
            tokio::pin!(rung);
            // From here on no ring is missed, also one between the look and the wait.
            rung.as_mut().enable();
            if self.board.latest().1 != self.seen {
                return;
            }
            rung.await;
        }
    }
}
