//! The answer that given messages lead to, without a connection. The service never uses it; fuzzing does.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::{PushInfo, PushKind, Value};

use crate::{
    layouts::Heartbeats,
    sampling::{Fault, Reply},
    time::Instant,
};

use super::HeartbeatTracker;

/// What is told of workers on database 0 so long after the listening began, when these messages came on
/// these channels before: time since the beginning, channel, message; in order of time.
///
/// # Errors
/// [`Fault`] when that is not known.
pub fn heartbeats(
    heartbeats: &Heartbeats,
    messages: &[(Duration, &[u8], &[u8])],
    asked: Duration,
) -> Result<Reply, Fault> {
    let (tracker, start) = (HeartbeatTracker::new(0), Instant::now());
    tracker.listen(&Arc::clone(&heartbeats.format), start);
    for (at, channel, message) in messages.iter().filter(|(at, ..)| *at <= asked) {
        let data = [channel, message].map(|bytes| Value::BulkString(bytes.to_vec()));
        let push = PushInfo { kind: PushKind::Message, data: data.into() };
        drop(tracker.take(&push, start + *at));
    }
    tracker.answer(heartbeats, start + asked)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::format, *};
    use crate::layouts::{Answer, Glob, HeartbeatsAnswer, WorkerFilter};

    #[test]
    fn what_came_later_is_not_heard_yet() {
        let workers = WorkerFilter::Pool(Glob::parse("*").unwrap());
        let all = Heartbeats { format: Arc::new(format()), workers };
        let message = br#"{"body": "eyJob3N0bmFtZSI6ImEiLCJhY3RpdmUiOjIsImZyZXEiOjJ9"}"#;
        let channel = &b"/0.celeryev/worker.heartbeat"[..];
        let seconds = Duration::from_secs;
        let told = |asked| heartbeats(&all, &[(seconds(6), channel, message)], asked);
        assert_eq!(
            told(seconds(5)).unwrap().answer,
            Answer::Heartbeats(HeartbeatsAnswer {
                jobs: 0,
                busy: 0,
                finished: 0,
                nameless: 0,
                silent: 0
            })
        );
        assert_eq!(
            told(seconds(6)).unwrap().answer,
            Answer::Heartbeats(HeartbeatsAnswer {
                jobs: 2,
                busy: 1,
                finished: 0,
                nameless: 0,
                silent: 0
            })
        );
        assert!(told(seconds(4)).is_err());
    }
}
