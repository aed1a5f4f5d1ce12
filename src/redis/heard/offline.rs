//! What messages that are already there are taken for, without a connection.
//!
//! It is apart because the service never does it: fuzzing asks what messages of any kind would have
//! been taken for.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::{PushInfo, PushKind, Value};

use crate::{
    layouts::Heard,
    sampling::{Fault, Reply},
    time::Instant,
};

use super::Ears;

/// What is told of workers on database 0 so long after the listening began, when these messages came on
/// these channels before: time since the beginning, channel, message; in order of time.
///
/// # Errors
/// [`Fault`] when that is not known.
pub fn heard(
    heard: &Heard,
    messages: &[(Duration, &[u8], &[u8])],
    asked: Duration,
) -> Result<Reply, Fault> {
    let (ears, start) = (Ears::new(0), Instant::now());
    ears.listen(&Arc::clone(&heard.station), start);
    for (at, channel, message) in messages.iter().filter(|(at, ..)| *at <= asked) {
        let data = [channel, message].map(|bytes| Value::BulkString(bytes.to_vec()));
        let push = PushInfo { kind: PushKind::Message, data: data.into() };
        drop(ears.take(&push, start + *at));
    }
    ears.answer(heard, start + asked)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::station, *};
    use crate::layouts::{Answer, Glob, Whose};

    #[test]
    fn what_came_later_is_not_heard_yet() {
        let whose = Whose::Pool(Glob::parse("*").unwrap());
        let all = Heard { station: Arc::new(station()), whose };
        let message = br#"{"body": "eyJob3N0bmFtZSI6ImEiLCJhY3RpdmUiOjIsImZyZXEiOjJ9"}"#;
        let channel = &b"/0.celeryev/worker.heartbeat"[..];
        let seconds = Duration::from_secs;
        let told = |asked| heard(&all, &[(seconds(6), channel, message)], asked);
        assert_eq!(
            told(seconds(5)).unwrap().answer,
            Answer::Heard { jobs: 0, nameless: 0, silent: 0 }
        );
        assert_eq!(
            told(seconds(6)).unwrap().answer,
            Answer::Heard { jobs: 2, nameless: 0, silent: 0 }
        );
        assert!(told(seconds(4)).is_err());
    }
}
