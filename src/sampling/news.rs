//! How open streams learn what is new about their subject: the latest news and which streams to wake, nothing
//! queued.
//!
//! Every open stream costs what this costs. A stream that does not look sees the latest news when it does, and
//! holds nothing up until then.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::{Mutex, MutexGuard};

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
pub struct Board(Mutex<Posted>);

#[derive(Debug)]
struct Posted {
    news: News,
    /// How often there was something new.
    edition: u64,
    /// Readers that wait for the next edition, by their number.
    waiting: Vec<(u64, Waker)>,
    readers: u64,
}

impl Board {
    /// A board with its first news.
    pub fn new(observation: Observation) -> Arc<Self> {
        let news = News { observation, announced_at: None };
        Arc::new(Self(Mutex::new(Posted { news, edition: 0, waiting: Vec::new(), readers: 0 })))
    }

    /// Puts up what is new and wakes who waits; what says the same as before is not new.
    pub fn put_up(&self, news: News) {
        let woken = {
            let mut posted = self.posted();
            if posted.news.observation.is_same_news(&news.observation) {
                return;
            }
            posted.news = news;
            posted.edition += 1;
            std::mem::take(&mut posted.waiting)
        };
        woken.into_iter().for_each(|(_, reader)| reader.wake());
    }

    fn posted(&self) -> MutexGuard<'_, Posted> {
        // What is put up is put up whole, so that a panic elsewhere leaves nothing half done.
        self.0.lock()
    }
}

/// One stream's eye on a board.
#[derive(Debug)]
pub struct Reader {
    board: Arc<Board>,
    number: u64,
    seen: u64,
}

impl Reader {
    /// A reader to whom what is up already is nothing new.
    pub fn of(board: &Arc<Board>) -> Self {
        let (number, seen) = {
            let mut posted = board.posted();
            posted.readers += 1;
            (posted.readers, posted.edition)
        };
        Self { board: Arc::clone(board), number, seen }
    }

    /// The latest news, which are seen from now on.
    pub fn look(&mut self) -> News {
        let posted = self.board.posted();
        self.seen = posted.edition;
        posted.news.clone()
    }

    /// Ready when there is something that was not seen.
    pub fn poll_changed(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut posted = self.board.posted();
        if posted.edition != self.seen {
            return Poll::Ready(());
        }
        match posted.waiting.iter_mut().find(|(number, _)| *number == self.number) {
            Some((_, waker)) => waker.clone_from(context.waker()),
            None => {
                // Most boards have one reader.
                posted.waiting.reserve_exact(1);
                posted.waiting.push((self.number, context.waker().clone()));
            }
        }
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // A reader that left must not be kept by its waker until there is something new.
        self.board.posted().waiting.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sampling::Why;

    fn news(why: Why) -> News {
        News { observation: Observation::Unavailable(why), announced_at: None }
    }

    fn is_new(reader: &Reader) -> bool {
        reader.poll_changed(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_reader_sees_the_latest_and_each_edition_once() {
        let board = Board::new(Observation::Unavailable(Why::NotYetRead));
        let mut reader = Reader::of(&board);
        assert!(!is_new(&reader));
        board.put_up(news(Why::Slow));
        board.put_up(news(Why::NotYetRead));
        assert!(is_new(&reader), "also if it says what the first one said");
        assert_eq!(reader.look(), news(Why::NotYetRead));
        assert!(!is_new(&reader));
        board.put_up(news(Why::NotYetRead));
        assert!(!is_new(&reader), "the same is not new");
    }

    #[test]
    fn readers_that_left_leave_nothing_behind() {
        let board = Board::new(Observation::Unavailable(Why::NotYetRead));
        let stays = Reader::of(&board);
        for _ in 0..100 {
            assert!(!is_new(&Reader::of(&board)) && !is_new(&stays));
        }
        assert_eq!(board.posted().waiting.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn every_waiting_reader_is_woken() {
        let board = Board::new(Observation::Unavailable(Why::NotYetRead));
        let readers: Vec<_> = (0..3).map(|_| Reader::of(&board)).collect();
        let wait = |reader: Reader| async move {
            std::future::poll_fn(|context| reader.poll_changed(context)).await;
        };
        let mut waiting = tokio::task::JoinSet::new();
        for reader in readers {
            waiting.spawn(wait(reader));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        board.put_up(news(Why::Slow));
        assert_eq!(waiting.join_all().await.len(), 3);
    }
}
