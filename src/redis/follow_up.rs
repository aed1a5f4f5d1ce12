//! Answers that one command does not give: a nil lag, a group that is missing, a string that is
//! empty, a type that must be named.
//!
//! It is apart from the link because these are the rare cases, each with its own few commands.

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Answer, Group, Name, Read, Waiting},
    limits,
    sampling::Fault,
};

use super::{
    decode,
    encode::{self, KeyType, StreamId},
    error::{Refusal, fault, refusal},
    link::{RedisLink, Response},
};

/// What is still to be asked for one read.
#[derive(Debug)]
enum Question {
    /// A string was read as empty, which it also is when there is none: is there one?
    Exists { read_again: bool },
    /// There is one; is it still empty? (It may have come only after it was read.)
    Text,
    /// The key is none of the types that the read is for: what is it?
    TypeName(&'static [&'static str]),
    /// The stream has no such group: how many entries has it?
    Length,
    /// The lag is nil: the entries that follow the last delivered one are counted in pages.
    Count { pending: u64, from: StreamId, counted: Counted },
    /// They are too many to count: the length of the stream is the bound.
    Bound { pending: u64 },
}

/// The types of which a size is known, and the one that has groups.
const SIZED: &[&str] = &["list", "set", "zset", "hash", "stream", "string"];
const GROUPED: &[&str] = &["stream"];

/// How far the entries of a stream are counted.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    entries: u64,
    bytes: u64,
}

impl Counted {
    /// How many entries to ask for next: one at first, since entries come with their bodies, then
    /// as many as are likely to stay within the bytes. Never more than decide the question.
    fn next_page(self) -> u64 {
        let Some(average) = self.bytes.checked_div(self.entries) else { return 1 };
        let left = limits::COUNTED_BYTES.saturating_sub(self.bytes);
        let fitting = (left / average.max(1)).clamp(1, limits::COUNTED_PAGE);
        fitting.min((limits::COUNTED_ENTRIES + 1).saturating_sub(self.entries).max(1))
    }

    /// Whether counting on would cost too much.
    fn is_enough(self) -> bool {
        self.entries > limits::COUNTED_ENTRIES || self.bytes >= limits::COUNTED_BYTES
    }
}

/// One read on its way to its answer.
#[derive(Debug)]
enum Progress {
    Done(Result<Answer, Fault>),
    Open(Name, Question),
}

/// The reads of one batch, each answered or with a question open.
#[derive(Debug, Default)]
pub(super) struct FollowUps(Vec<Progress>);

impl FollowUps {
    /// Takes in the first reply to a read. Replies come in the order of the reads.
    pub(super) fn first(
        &mut self,
        index: usize,
        (read, guess): (&Read, KeyType),
        reply: &Response,
    ) {
        debug_assert_eq!(index, self.0.len(), "replies come in the order of the reads");
        let progress = match read {
            Read::Size { key, .. } => size(key, guess, reply),
            Read::Group { key, group } => of_group(key, group, reply),
        };
        self.0.push(progress.unwrap_or_else(|fault| Progress::Done(Err(fault))));
    }

    /// Asks what is open until every read has its answer.
    pub(super) async fn finish(
        mut self,
        link: &mut RedisLink,
    ) -> Result<Vec<Result<Answer, Fault>>, Fault> {
        loop {
            let replies = link.round(self.open_commands()).await?;
            if replies.is_empty() {
                break;
            }
            let mut replies = replies.into_iter();
            for progress in &mut self.0 {
                if let Progress::Open(key, question) = progress {
                    let reply = replies.next();
                    let reply =
                        reply.ok_or_else(|| Fault::Unexpected("too few replies".to_owned()))?;
                    let next = proceed(key, question, &reply);
                    *progress = next.unwrap_or_else(|fault| Progress::Done(Err(fault)));
                }
            }
        }
        let done = |progress| match progress {
            Progress::Done(answer) => answer,
            Progress::Open(..) => Err(Fault::Unexpected("a question stayed open".to_owned())),
        };
        Ok(self.0.into_iter().map(done).collect())
    }

    fn open_commands(&self) -> Vec<Cmd> {
        let open = self.0.iter().filter_map(|progress| match progress {
            Progress::Open(key, question) => Some((key, question)),
            Progress::Done(_) => None,
        });
        let command = |(key, question): (&Name, &Question)| match question {
            Question::Exists { .. } => encode::exists(key),
            Question::Text => encode::text(key),
            Question::TypeName(_) => encode::type_of(key),
            Question::Length | Question::Bound { .. } => encode::length(key),
            Question::Count { from, counted, .. } => {
                encode::entries_from(key, *from, counted.next_page())
            }
        };
        open.map(command).collect()
    }
}

fn size(key: &Name, guess: KeyType, reply: &Response) -> Result<Progress, Fault> {
    let value = match reply {
        Ok(value) => value,
        Err(error) => {
            return match refusal(error) {
                Refusal::WrongType => Ok(Progress::Open(key.clone(), Question::TypeName(SIZED))),
                Refusal::NoSuchKey => Err(fault(error)),
                Refusal::Fault(fault) => Err(fault),
            };
        }
    };
    match guess {
        KeyType::Text => match decode::number(value)? {
            Some(answer) => Ok(done(answer)),
            None => Ok(Progress::Open(key.clone(), Question::Exists { read_again: false })),
        },
        KeyType::Other => match decode::type_name(value)?.as_str() {
            "none" => Ok(done(Answer::Missing)),
            name => Ok(done(Answer::WrongType(name.to_owned()))),
        },
        KeyType::List | KeyType::Set | KeyType::SortedSet | KeyType::Hash | KeyType::Stream => {
            decode::count(value).map(|members| done(Answer::Size(members)))
        }
    }
}

fn of_group(key: &Name, name: &Name, reply: &Response) -> Result<Progress, Fault> {
    let value = match reply {
        Ok(value) => value,
        Err(error) => {
            return match refusal(error) {
                Refusal::WrongType => Ok(Progress::Open(key.clone(), Question::TypeName(GROUPED))),
                Refusal::NoSuchKey => Ok(done(Answer::Missing)),
                Refusal::Fault(fault) => Err(fault),
            };
        }
    };
    let Some(row) = decode::group(value, name.as_bytes())? else {
        return Ok(Progress::Open(key.clone(), Question::Length));
    };
    let pending = row.pending;
    let group = |entries| done(Answer::Group(Group { waiting: Waiting::Exact(entries), pending }));
    Ok(match (row.lag, row.last_delivered.next()) {
        (Some(lag), _) => group(lag),
        (None, Some(from)) => Progress::Open(
            key.clone(),
            Question::Count { pending, from, counted: Counted::default() },
        ),
        (None, None) => group(0),
    })
}

fn proceed(key: &Name, question: &Question, reply: &Response) -> Result<Progress, Fault> {
    let value = reply.as_ref().map_err(fault)?;
    let open = |question| Ok(Progress::Open(key.clone(), question));
    match *question {
        Question::Exists { read_again } => match decode::count(value)? {
            0 => Ok(done(Answer::Missing)),
            _ if read_again => Ok(done(Answer::NotANumber)),
            _ => open(Question::Text),
        },
        Question::Text => match decode::number(value)? {
            Some(answer) => Ok(done(answer)),
            None => open(Question::Exists { read_again: true }),
        },
        Question::TypeName(types) => match decode::type_name(value)?.as_str() {
            "none" => Ok(done(Answer::Missing)),
            // It was another a moment ago, and nothing is wrong with this one.
            name if types.contains(&name) => {
                Err(Fault::Unexpected("the type of the key keeps changing".to_owned()))
            }
            name => Ok(done(Answer::WrongType(name.to_owned()))),
        },
        Question::Length => Ok(done(Answer::MissingGroup { entries: decode::count(value)? })),
        Question::Bound { pending } => {
            let waiting = Waiting::AtMost(decode::count(value)?);
            Ok(done(Answer::Group(Group { waiting, pending })))
        }
        Question::Count { pending, counted, .. } => {
            let page = decode::page(value)?;
            let asked_for = counted.next_page();
            let counted = Counted {
                entries: counted.entries + page.entries,
                bytes: counted.bytes.saturating_add(page.bytes),
            };
            match page.last.and_then(StreamId::next) {
                Some(from) if page.entries >= asked_for => open(if counted.is_enough() {
                    Question::Bound { pending }
                } else {
                    Question::Count { pending, from, counted }
                }),
                _ => {
                    let waiting = Waiting::Exact(counted.entries);
                    Ok(done(Answer::Group(Group { waiting, pending })))
                }
            }
        }
    }
}

fn done(answer: Answer) -> Progress {
    Progress::Done(Ok(answer))
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::{RedisError, Value, make_extension_error};

    use super::*;

    fn refused(code: &str, detail: &str) -> Response {
        let error: RedisError = make_extension_error(code.to_owned(), Some(detail.to_owned()));
        Err(error)
    }

    fn answer(progress: Result<Progress, Fault>) -> Option<Answer> {
        match progress {
            Ok(Progress::Done(answer)) => answer.ok(),
            Ok(Progress::Open(..)) | Err(_) => None,
        }
    }

    #[test]
    fn only_a_group_takes_no_such_key_for_an_answer() {
        let reply = refused("ERR", "no such key");
        assert_eq!(answer(of_group(&"s".into(), &"g".into(), &reply)), Some(Answer::Missing));
        assert_eq!(answer(size(&"k".into(), KeyType::List, &reply)), None);
    }

    #[test]
    fn a_string_is_missing_only_if_there_is_none_and_no_number_only_if_it_is_empty_twice() {
        let next = |question: &Question, value: Value| {
            proceed(&"k".into(), question, &Ok(value)).expect("an answer or a question")
        };
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let (first, again) =
            (Question::Exists { read_again: false }, Question::Exists { read_again: true });
        for exists in [&first, &again] {
            let missing = next(exists, Value::Int(0));
            assert_eq!(answer(Ok(missing)), Some(Answer::Missing));
        }
        assert!(matches!(next(&first, Value::Int(1)), Progress::Open(_, Question::Text)));
        assert_eq!(answer(Ok(next(&Question::Text, text("7")))), Some(Answer::Number(7.0)));
        let empty = next(&Question::Text, text(""));
        assert!(matches!(empty, Progress::Open(_, Question::Exists { read_again: true })));
        assert_eq!(answer(Ok(next(&again, Value::Int(1)))), Some(Answer::NotANumber));
    }

    #[test]
    fn no_reply_that_is_no_length_becomes_a_size() {
        for value in [Value::Nil, Value::Int(-1), Value::Okay, Value::Array(vec![])] {
            let progress = size(&"k".into(), KeyType::List, &Ok(value));
            assert!(matches!(progress, Err(Fault::Unexpected(_))));
        }
    }

    #[test]
    fn entries_are_counted_one_at_first_and_never_more_than_decide_the_question() {
        let page = |entries, bytes| Counted { entries, bytes }.next_page();
        assert_eq!(page(0, 0), 1);
        assert_eq!(page(1, 100), limits::COUNTED_PAGE);
        assert_eq!(page(1, limits::COUNTED_BYTES / 4), 3);
        assert_eq!(page(1, limits::COUNTED_BYTES), 1);
        assert_eq!(page(limits::COUNTED_ENTRIES - 1, 1000), 2);
        assert_eq!(page(limits::COUNTED_ENTRIES, 1000), 1);
    }

    #[test]
    fn counting_ends_with_the_entries_or_the_bytes() {
        let is_enough = |entries, bytes| Counted { entries, bytes }.is_enough();
        assert!(!is_enough(limits::COUNTED_ENTRIES, 1000));
        assert!(is_enough(limits::COUNTED_ENTRIES + 1, 1000));
        assert!(is_enough(2, limits::COUNTED_BYTES));
    }
}
