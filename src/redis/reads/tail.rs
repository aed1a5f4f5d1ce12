//! The entries of a stream behind a consumer group's last delivered id, its tail, counted in further round
//! trips. What the stream grew by since the group was asked for is taken off again: otherwise an entry that
//! was given to a worker meanwhile and one that was added would both count.
//!
//! Redis's own `lag` is no answer: after XTRIM, MAXLEN and XDEL it is a wrong number and not only nil (a stream
//! that was trimmed to nothing has a lag of 4 for ever; measured on Redis 7.0.15 and Valkey 9.1.2; redis/redis
//! issues 13338 and 13957), and `XGROUP SETID … ENTRIESREAD` sets it to anything, also to 0 while entries wait.
//! Ids are the truth. The lag is one bound among two where more follow than are counted.

use deadpool_redis::redis::Cmd;

use crate::{
    layouts::{Name, Waiting},
    sampling::Fault,
};

use super::{
    super::{
        error::{fault, few},
        wire::Response,
    },
    counted::CountedEntries,
    decode, encode,
    group_row::GroupRow,
    known_tails::{KnownTails, SeenEntries},
    stream_id::StreamId,
};

/// A tail on its way to its number of entries. The last delivered id stays that of the first reply, so that
/// an entry which is delivered meanwhile counts twice and never not at all.
#[derive(Debug)]
pub(in crate::redis) struct Tail {
    group: Name,
    delivered: StreamId,
    /// The entries of the stream when the group was asked for.
    length: u64,
    lag: Option<u64>,
    step: TailStep,
}

/// What is asked next.
#[derive(Debug)]
enum TailStep {
    /// Does any entry follow? In most groups none does, and nothing more is asked.
    Follows,
    /// Is any entry kept that was delivered? Otherwise the length of the stream is that of the tail.
    Kept(SeenEntries),
    /// The entries that follow these.
    Count(SeenEntries),
    /// There are more than are counted: how many are there at most?
    Bound(SeenEntries),
}

/// What the replies made of a tail.
#[derive(Debug)]
pub(in crate::redis) enum TailOutcome {
    /// Something more is to be asked.
    Open(Tail),
    /// How many entries it has.
    Known(Waiting),
}

impl Tail {
    /// The tail of a group as XINFO GROUPS describes it, in a stream of so many entries.
    pub(in crate::redis) fn of(group: Name, row: &GroupRow, length: u64) -> TailOutcome {
        // Nothing can follow the last id that there can be.
        if length == 0 || row.last_delivered.next().is_none() {
            return TailOutcome::Known(Waiting::Exact(0));
        }
        let (delivered, lag) = (row.last_delivered, row.lag);
        TailOutcome::Open(Self { group, delivered, length, lag, step: TailStep::Follows })
    }

    /// The commands that are to be sent together.
    pub(in crate::redis) fn commands(&self, key: &Name) -> Vec<Cmd> {
        let after = |id: StreamId, count| {
            let from = id.next().unwrap_or(id);
            encode::entries_from(key, from, count)
        };
        match &self.step {
            TailStep::Follows => vec![after(self.delivered, 1)],
            TailStep::Kept(_) => {
                vec![encode::first_entry_until(key, self.delivered), encode::length(key)]
            }
            // The length first: what is added after it counts, and is not taken off.
            TailStep::Count(seen) => vec![
                encode::length(key),
                after(seen.last().unwrap_or(self.delivered), seen.counted().next_page()),
            ],
            TailStep::Bound(_) => vec![encode::length(key)],
        }
    }

    /// What the replies to them make of it.
    pub(in crate::redis) fn proceed(
        mut self,
        key: &Name,
        replies: &[Response],
        known: &KnownTails,
    ) -> Result<TailOutcome, Fault> {
        let value = |place: usize| replies.get(place).ok_or_else(few)?.as_ref().map_err(fault);
        let exactly = |entries| Ok(TailOutcome::Known(Waiting::Exact(entries)));
        self.step = match self.step {
            TailStep::Follows => {
                let page = decode::page(value(0)?)?;
                let Some(first) = page.ids.first() else { return exactly(0) };
                match known.recall(key, &self.group, *first).filter(|_| self.lag.is_some()) {
                    Some(seen) => Self::count_on(seen),
                    None => TailStep::Kept(SeenEntries::of(page)),
                }
            }
            TailStep::Kept(seen) => {
                let (kept, length) = (decode::page(value(0)?)?, decode::count(value(1)?)?);
                if kept.ids.is_empty() {
                    return exactly(length.min(self.length));
                }
                Self::count_on(seen)
            }
            TailStep::Count(mut seen) => {
                let (length, page) = (decode::count(value(0)?)?, decode::page(value(1)?)?);
                let is_last = page.entries() < seen.counted().next_page();
                seen.extend(page);
                if is_last || seen.last().and_then(StreamId::next).is_none() {
                    return exactly(without_growth(seen.counted().entries, self.length, length));
                }
                Self::count_on(seen)
            }
            TailStep::Bound(seen) => {
                let length = decode::count(value(0)?)?;
                let counted = seen.counted().entries;
                if seen.is_recalled() && length < counted {
                    // What is remembered is of another stream by that name.
                    known.forget(key, &self.group);
                    TailStep::Follows
                } else {
                    known.learn(key, &self.group, seen);
                    let waiting = Waiting::AtMost(bound(self.lag, length, counted));
                    return Ok(TailOutcome::Known(waiting));
                }
            }
        };
        Ok(TailOutcome::Open(self))
    }

    /// As long as it costs little.
    fn count_on(seen: SeenEntries) -> TailStep {
        if seen.counted().is_enough() { TailStep::Bound(seen) } else { TailStep::Count(seen) }
    }
}

impl SeenEntries {
    fn counted(&self) -> CountedEntries {
        CountedEntries { entries: self.entries(), bytes: self.bytes() }
    }
}

/// What a tail had of these entries before its stream grew from one length to another. What was removed
/// meanwhile hides as much of the growth, so that this is too many then, and never too few.
fn without_growth(counted: u64, before: u64, now: u64) -> u64 {
    counted.checked_sub(now.saturating_sub(before)).unwrap_or(counted)
}

/// An upper bound of a tail of which so many entries were counted: no more than the stream has, and no more
/// than the lag, which removals only leave too high. A lag that what was counted reaches is none: entries came
/// since, or somebody set the group's counter.
fn bound(lag: Option<u64>, length: u64, counted: u64) -> u64 {
    match lag {
        Some(lag) if lag > counted => lag.min(length),
        Some(_) | None => length,
    }
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::Value;

    use super::*;
    use crate::limits;

    /// A stream of entries `1-0`, `2-0`… of which some are left, and how a group looks at it.
    struct Model {
        left: Vec<u64>,
        /// What the stream has, and how many entries, from the first further question on.
        later: Option<Vec<u64>>,
        delivered: u64,
        lag: Option<u64>,
        body: usize,
    }

    impl Model {
        fn new(left: impl IntoIterator<Item = u64>, delivered: u64, lag: Option<u64>) -> Self {
            Self { left: left.into_iter().collect(), later: None, delivered, lag, body: 10 }
        }

        fn id(number: u64) -> StreamId {
            StreamId::parse(&format!("{number}-0")).unwrap()
        }

        /// How many entries the tail has, how many commands were asked for it, and how many entries came.
        fn ask(&self, known: &KnownTails) -> (Waiting, usize, usize) {
            let (key, group) = ("s".into(), "g".into());
            let row =
                GroupRow { pending: 0, lag: self.lag, last_delivered: Self::id(self.delivered) };
            let length = u64::try_from(self.left.len()).unwrap();
            let (mut outcome, mut asked, mut moved) = (Tail::of(group, &row, length), 0, 0);
            loop {
                let tail = match outcome {
                    TailOutcome::Known(waiting) => return (waiting, asked, moved),
                    TailOutcome::Open(tail) => tail,
                };
                let commands = tail.commands(&key);
                asked += commands.len();
                let replies: Vec<Response> = commands.iter().map(|c| Ok(self.reply(c))).collect();
                let lists = replies.iter().map(|reply| match reply {
                    Ok(Value::Array(entries)) => entries.len(),
                    _ => 0,
                });
                moved += lists.sum::<usize>();
                outcome = tail.proceed(&key, &replies, known).unwrap();
            }
        }

        fn reply(&self, command: &Cmd) -> Value {
            let words: Vec<String> = command
                .args_iter()
                .map(|word| match word {
                    deadpool_redis::redis::Arg::Simple(bytes) => {
                        String::from_utf8(bytes.to_vec()).unwrap()
                    }
                    deadpool_redis::redis::Arg::Cursor | _ => panic!("a cursor"),
                })
                .collect();
            let entries = self.later.as_ref().unwrap_or(&self.left);
            if words[0] == "XLEN" {
                return Value::Int(i64::try_from(entries.len()).unwrap());
            }
            assert_eq!((&*words[0], &*words[4]), ("XRANGE", "COUNT"));
            let bound = |word: &str, open| match word {
                "-" | "+" => open,
                id => StreamId::parse(id).unwrap(),
            };
            let last = StreamId::parse("99999999-0").unwrap();
            let (from, to) = (bound(&words[2], StreamId::FIRST), bound(&words[3], last));
            let within = entries.iter().filter(|number| (from..=to).contains(&Self::id(**number)));
            let entry = |number: &u64| {
                let body = Value::Array(vec![Value::BulkString(vec![b'x'; self.body])]);
                Value::Array(vec![Value::SimpleString(format!("{number}-0")), body])
            };
            Value::Array(within.take(words[5].parse().unwrap()).map(entry).collect())
        }

        fn fresh(&self) -> (Waiting, usize, usize) {
            self.ask(&KnownTails::default())
        }
    }

    #[test]
    fn lag_is_not_believed_where_the_measurements_have_it_wrong() {
        // Six added, two delivered, and then what was measured: what is left, delivered, lag, and the truth.
        let [exact, wrong] = [Some(4), Some(2)];
        for (what, left, delivered, lag, truth) in [
            ("XTRIM MAXLEN 2", vec![5, 6], 2, exact, 2),
            ("and all read, on Redis 7.0", vec![5, 6], 6, wrong, 0),
            ("and one more added", vec![5, 6, 7], 6, Some(3), 1),
            ("XTRIM MAXLEN 0", vec![], 2, exact, 0),
            ("XDEL of the four oldest", vec![5, 6], 2, exact, 2),
            ("XDEL of the four oldest, on Valkey", vec![5, 6], 2, None, 2),
            ("XDEL of one in the middle", vec![1, 2, 3, 5, 6], 2, None, 3),
            ("20 XADD MAXLEN 5", (22..=26).collect(), 2, Some(24), 5),
            ("ENTRIESREAD 6 at 0", (1..=6).collect(), 0, Some(0), 6),
            ("ENTRIESREAD 6 at 1", (1..=6).collect(), 1, Some(0), 5),
            ("before Redis 7", (1..=6).collect(), 2, None, 4),
            ("an id that is still to come", (1..=6).collect(), 9, Some(4), 0),
        ] {
            let (waiting, ..) = Model::new(left, delivered, lag).fresh();
            assert_eq!(waiting, Waiting::Exact(truth), "{what}");
        }
    }

    #[test]
    fn a_tail_costs_one_command_if_there_is_none_and_no_more_than_its_first_entry_if_it_is_all() {
        let none = Model::new(1..=5000, 5000, Some(0)).fresh();
        assert_eq!(none, (Waiting::Exact(0), 1, 0));
        let all = Model::new(1..=5000, 0, Some(5000)).fresh();
        assert_eq!(all, (Waiting::Exact(5000), 3, 1));
        let few = Model::new(1..=5000, 4990, Some(10)).fresh();
        assert_eq!(few, (Waiting::Exact(10), 5, 1 + 1 + 9));
        assert_eq!(Model::new([], 0, Some(4)).fresh(), (Waiting::Exact(0), 0, 0));
    }

    #[test]
    fn what_is_added_while_a_tail_is_counted_does_not_count_yet_and_what_is_put_back_does() {
        let of = |left: Vec<u64>, later: Vec<u64>| {
            let mut model = Model::new(left, 3, Some(3));
            model.later = Some(later);
            model.fresh().0
        };
        let range = |from, to| (from..=to).collect::<Vec<u64>>();
        // With entries that were delivered, and without.
        for first in [1, 4] {
            let left = range(first, 6);
            assert_eq!(of(left.clone(), range(first, 9)), Waiting::Exact(3), "three were added");
            assert_eq!(of(left.clone(), range(first, 4)), Waiting::Exact(1), "two were deleted");
            // A worker was given one, adds it again at the end and deletes it.
            let put_back = left.iter().copied().filter(|entry| *entry != 4).chain([7]).collect();
            assert_eq!(of(left, put_back), Waiting::Exact(3), "one was put back");
        }
        // An addition that removes a delivered entry (MAXLEN) cannot be told from none.
        assert_eq!(of(range(1, 6), range(2, 7)), Waiting::Exact(4));
        assert_eq!(of(vec![6], vec![7]), Waiting::Exact(1), "the last one was put back");
    }

    #[test]
    fn a_thousand_entries_are_counted_and_of_more_the_smaller_bound_is_told_as_one() {
        let of = |tail: u64, lag| Model::new(1..=5000, 5000 - tail, lag).fresh().0;
        for lag in [None, Some(0), Some(1000), Some(7000)] {
            assert_eq!(of(1000, lag), Waiting::Exact(1000), "{lag:?}");
        }
        assert_eq!(of(1001, Some(1001)), Waiting::AtMost(5000), "what was counted reaches it");
        assert_eq!(of(1200, Some(1200)), Waiting::AtMost(1200));
        assert_eq!(of(1200, Some(4000)), Waiting::AtMost(4000));
        for lag in [None, Some(0), Some(900), Some(7000)] {
            assert_eq!(of(1200, lag), Waiting::AtMost(5000), "{lag:?}");
        }
    }

    #[test]
    fn large_entries_are_counted_as_far_as_their_bodies_may_go() {
        let mut large = Model::new(1..=50, 10, Some(40));
        large.body = usize::try_from(limits::COUNTED_BYTES / 4).unwrap();
        let (waiting, _, moved) = large.fresh();
        assert_eq!(waiting, Waiting::AtMost(40));
        assert!(moved <= 6, "{moved} entries");
    }

    #[test]
    fn what_was_counted_is_not_counted_again_and_what_was_delivered_since_is_replaced() {
        let known = KnownTails::default();
        let first = Model::new(1..=9000, 1000, Some(8000)).ask(&known);
        assert_eq!((first.0, first.2), (Waiting::AtMost(8000), 1 + 1 + 1000));
        let again = Model::new(1..=9001, 1000, Some(8001)).ask(&known);
        assert_eq!(
            again,
            (Waiting::AtMost(8001), 2, 1),
            "the first entry tells that they are there"
        );
        let later = Model::new(1..=9001, 1010, Some(7991)).ask(&known);
        assert_eq!(later, (Waiting::AtMost(7991), 4, 1 + 10));
        let trimmed = Model::new(1500..=9001, 1010, Some(7991)).ask(&known);
        assert_eq!(trimmed.0, Waiting::AtMost(7502), "the length is the smaller bound");
    }

    #[test]
    fn what_was_counted_is_forgotten_where_it_may_not_hold() {
        let counted = || {
            let known = KnownTails::default();
            Model::new(1..=9000, 1000, Some(8000)).ask(&known);
            known
        };
        let exactly = |model: &Model| model.ask(&counted()).0;
        // An undelivered entry that is deleted takes the lag away.
        let holes = (1..=1001).chain(8900..=9000);
        assert_eq!(exactly(&Model::new(holes.clone(), 1000, None)), Waiting::Exact(102));
        // Other entries by the same name.
        assert_eq!(exactly(&Model::new(1000..=1100, 1000, Some(100))), Waiting::Exact(100));
        assert_eq!(exactly(&Model::new(7..=9, 8, Some(1))), Waiting::Exact(1));
        assert_eq!(exactly(&Model::new(7..=9, 6, Some(3))), Waiting::Exact(3));
        // Trimmed to what was counted last, and beyond.
        assert_eq!(exactly(&Model::new(1990..=2010, 1989, Some(21))), Waiting::Exact(21));
        assert_eq!(exactly(&Model::new(8990..=9000, 1000, Some(8000))), Waiting::Exact(11));
        assert_eq!(exactly(&Model::new([], 1000, Some(8000))), Waiting::Exact(0));
    }

    #[test]
    fn no_reply_that_is_no_entry_or_length_becomes_a_number() {
        let row = GroupRow { pending: 0, lag: Some(3), last_delivered: Model::id(5) };
        for value in [Value::Nil, Value::Int(0), Value::Array(vec![Value::Nil])] {
            let outcome = Tail::of("g".into(), &row, 1);
            let TailOutcome::Open(tail) = outcome else { panic!("it is asked") };
            let known = KnownTails::default();
            assert!(tail.proceed(&"s".into(), &[Ok(value)], &known).is_err());
        }
    }
}
