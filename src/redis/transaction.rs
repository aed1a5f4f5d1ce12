//! Questions that are answered as of one moment: MULTI, the questions, EXEC, in the pipeline of a batch.
//!
//! A job that moves back while keys are read one after the other can be missed in all of them, in
//! whatever order they are read. What belongs together is therefore asked in one transaction where it
//! lies on one server. Where that cannot be had (a user without MULTI, a slot that moves, a proxy), the
//! same questions are asked by themselves, and the answers are of no one moment.

use std::{collections::BTreeMap, ops::Range};

use deadpool_redis::redis::{self, Cmd, RedisError, Value};

use crate::{layouts::Read, limits};

use super::{encode, wire::Response};

/// What a user of Redis needs for it. Without them reads are not of one moment.
pub(super) const COMMANDS: &[&str] = &["multi", "exec"];

/// Which of some reads are asked together: for each its set, by the place of the set's first read;
/// `None` for a read that is asked by itself. `flows` are the reads of each trigger, by their places.
pub(super) fn sets(
    reads: &[Read],
    flows: &[Vec<usize>],
    shares_server: impl Fn(usize, usize) -> bool,
) -> Vec<Option<usize>> {
    let mut roots: Vec<usize> = (0..reads.len()).collect();
    let mut is_apart = vec![false; reads.len()];
    for flow in flows {
        let mut questions = flow.iter().filter(|place| is_one_question(&reads[**place]));
        let Some(first) = questions.next() else { continue };
        for place in questions {
            let (one, other) = (root(&mut roots, *first), root(&mut roots, *place));
            roots[one.max(other)] = one.min(other);
            is_apart[*place] |= !shares_server(*first, *place);
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in (0..reads.len()).filter(|place| is_one_question(&reads[*place])) {
        members.entry(root(&mut roots, place)).or_default().push(place);
    }
    for (place, root) in of_one_trigger(reads, flows, |place| root(&mut roots, place)) {
        is_apart[place] |= !shares_server(root, place);
        members.entry(root).or_default().push(place);
    }
    let mut sets = vec![None; reads.len()];
    for places in members.into_values() {
        let fits = (2..=limits::TRANSACTION_READS).contains(&places.len());
        let first = places.iter().min().copied().filter(|_| fits);
        if let Some(first) = first
            && !places.iter().any(|place| is_apart[*place])
        {
            places.iter().for_each(|place| sets[*place] = Some(first));
        }
    }
    sets
}

/// The collections that the triggers of one set alone look at, each with the root of that set: their sizes
/// are asked with the rest of it, and one without members is an answer. Many sets may share others, such as
/// all workers of a framework, which would make one set of all of them.
fn of_one_trigger(
    reads: &[Read],
    flows: &[Vec<usize>],
    mut root: impl FnMut(usize) -> usize,
) -> Vec<(usize, usize)> {
    let mut found: BTreeMap<usize, Option<usize>> = BTreeMap::new();
    for flow in flows {
        let first = flow.iter().copied().find(|place| is_one_question(&reads[*place]));
        let of = first.map(&mut root);
        for place in flow.iter().filter(|place| matches!(reads[**place], Read::Each(_))) {
            found
                .entry(*place)
                .and_modify(|known| *known = known.filter(|_| *known == of))
                .or_insert(of);
        }
    }
    found.into_iter().filter_map(|(place, root)| Some((place, root?))).collect()
}

fn root(roots: &mut [usize], place: usize) -> usize {
    let mut at = place;
    while roots[at] != at {
        roots[at] = roots[roots[at]];
        at = roots[at];
    }
    at
}

/// Whether the first reply to a read is its answer, or the moment of its answer. No job moves through a flag,
/// and many triggers share one.
fn is_one_question(read: &Read) -> bool {
    match read {
        Read::Size { .. } | Read::Group { .. } => true,
        Read::Idle { .. } | Read::Flag { .. } | Read::Each(_) | Read::Heard(_) => false,
    }
}

/// The questions of a batch in the order in which they are sent, those of a set one after the other.
#[derive(Debug, Default)]
pub(super) struct Questions {
    commands: Vec<Cmd>,
    /// The places of the questions of each set among the commands; MULTI and EXEC stand around them.
    sets: Vec<Range<usize>>,
}

/// The replies to questions, by their places, and whether each was given with others of its set.
#[derive(Debug)]
pub(super) struct Replies {
    replies: Vec<Response>,
    /// For each the place of the first that was given at the same moment.
    moments: Vec<usize>,
    /// The questions that have no reply yet, since their transaction did not come about.
    pub(super) open: Vec<usize>,
    /// Whether this user may have no transactions, or the server has none.
    pub(super) refused: bool,
}

impl Questions {
    /// Adds a question that is asked by itself, and tells its place.
    pub(super) fn add(&mut self, command: Cmd) -> usize {
        self.commands.push(command);
        self.commands.len() - 1
    }

    /// Begins a set; what is added until [`Questions::close`] belongs to it.
    pub(super) fn open(&mut self) {
        self.add(redis::cmd("MULTI"));
        let place = self.commands.len();
        self.sets.push(place..place);
    }

    /// Ends the set that was begun last.
    pub(super) fn close(&mut self) {
        let end = self.commands.len();
        if let Some(set) = self.sets.last_mut() {
            set.end = end;
        }
        self.add(redis::cmd("EXEC"));
    }

    /// All commands, in their order.
    pub(super) fn commands(&self) -> &[Cmd] {
        &self.commands
    }

    /// The commands at these places.
    pub(super) fn at(&self, places: &[usize]) -> Vec<Cmd> {
        places.iter().map(|place| self.commands[*place].clone()).collect()
    }

    /// What the commands were replied, with the replies of each set taken out of its EXEC.
    pub(super) fn take(&self, mut replies: Vec<Response>) -> Replies {
        let moments = (0..replies.len()).collect();
        let mut taken = Replies { moments, open: vec![], refused: false, replies: vec![] };
        for set in &self.sets {
            taken.refused |= replies[set.start - 1].is_err();
            match given(&mut replies[set.end], set.len()) {
                Some(given) => {
                    for (place, reply) in set.clone().zip(given) {
                        (replies[place], taken.moments[place]) = (reply, set.start);
                    }
                }
                // Without a transaction each command was answered at once.
                None => taken.open.extend(set.clone().filter(|place| is_queued(&replies[*place]))),
            }
        }
        taken.replies = replies;
        taken
    }
}

/// The questions of these reads and the place of each read's own. Those of a set stand where its first
/// one does: no trigger has reads in a set and others that have to come in between. Reads that follow one
/// another and begin with the same question share it, so that the groups of a stream with hundreds do not
/// come hundreds of times.
pub(super) fn compose(
    reads: &[Read],
    sets: &[Option<usize>],
    question: impl Fn(usize) -> Cmd,
) -> (Questions, Vec<usize>) {
    let (mut questions, mut places) = (Questions::default(), vec![0; reads.len()]);
    let mut add = |questions: &mut Questions, before: Option<usize>, at: usize| {
        let shared = before.filter(|before| encode::is_same(&reads[*before], &reads[at]));
        places[at] = match shared {
            Some(before) => places[before],
            None => questions.add(question(at)),
        };
    };
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, set) in sets.iter().enumerate() {
        set.iter().for_each(|set| members.entry(*set).or_default().push(at));
    }
    for (at, set) in sets.iter().enumerate() {
        match set {
            None => add(&mut questions, at.checked_sub(1).filter(|at| sets[*at].is_none()), at),
            Some(set) if *set == at => {
                questions.open();
                let mut before = None;
                for at in &members[set] {
                    add(&mut questions, before, *at);
                    before = Some(*at);
                }
                questions.close();
            }
            Some(_) => {}
        }
    }
    (questions, places)
}

impl Replies {
    /// Puts in what the open questions were replied in the end.
    pub(super) fn fill(&mut self, replies: Vec<Response>) {
        for (place, reply) in std::mem::take(&mut self.open).into_iter().zip(replies) {
            self.replies[place] = reply;
        }
    }

    /// The reply to a question.
    pub(super) fn at(&self, place: usize) -> &Response {
        &self.replies[place]
    }

    /// The moment of the reply to a question, by the place of the first that was given at that moment.
    pub(super) fn moment(&self, place: usize) -> usize {
        self.moments[place]
    }
}

/// The replies that EXEC gives, if it gives one for each question.
fn given(exec: &mut Response, questions: usize) -> Option<Vec<Response>> {
    match exec {
        Ok(Value::Array(values)) if values.len() == questions => {
            let reply = |value| match value {
                Value::ServerError(error) => Err(RedisError::from(error)),
                value => Ok(value),
            };
            Some(std::mem::take(values).into_iter().map(reply).collect())
        }
        Ok(_) | Err(_) => None,
    }
}

fn is_queued(reply: &Response) -> bool {
    matches!(reply, Ok(Value::SimpleString(word)) if word == "QUEUED")
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::make_extension_error;

    use super::*;
    use crate::layouts::{Argument, Arguments, Members, Name, Registry, Test, Weight};

    fn size(key: &str) -> Read {
        Read::Size { key: key.into(), members: Members::All }
    }

    fn group(key: &str, group: &str) -> Read {
        Read::Group { key: key.into(), group: group.into() }
    }

    fn flag(key: &str) -> Read {
        Read::Flag { key: key.into(), test: Test::Exists }
    }

    fn together(reads: &[Read], flows: &[Vec<usize>]) -> Vec<Option<usize>> {
        sets(reads, flows, |_, _| true)
    }

    /// The commands as words, one a line.
    fn lines(questions: &Questions) -> Vec<String> {
        let word = |command: &Cmd| {
            String::from_utf8(
                command
                    .args_iter()
                    .filter_map(|arg| match arg {
                        redis::Arg::Simple(bytes) => Some(bytes.to_vec()),
                        _ => None,
                    })
                    .collect::<Vec<_>>()
                    .join(&b' '),
            )
            .unwrap()
        };
        questions.commands().iter().map(word).collect()
    }

    fn ask(reads: &[Read], flows: &[Vec<usize>]) -> (Questions, Vec<usize>) {
        let name = |read: &Read| {
            let [key] = read.keys();
            let mut command =
                redis::cmd(if matches!(read, Read::Group { .. }) { "XINFO" } else { "LLEN" });
            command.arg(Name::as_bytes(key));
            command
        };
        compose(reads, &together(reads, flows), |at| name(&reads[at]))
    }

    fn queued() -> Response {
        Ok(Value::SimpleString("QUEUED".to_owned()))
    }

    fn refused(code: &str) -> Response {
        Err(make_extension_error(code.to_owned(), None))
    }

    #[test]
    fn the_reads_of_a_trigger_are_asked_together_and_those_of_others_by_themselves() {
        let reads = [size("other"), size("wait"), size("active"), size("alone")];
        let (questions, places) = ask(&reads, &[vec![1, 2]]);
        let sent = ["LLEN other", "MULTI", "LLEN wait", "LLEN active", "EXEC", "LLEN alone"];
        assert_eq!(lines(&questions), sent);
        assert_eq!(places, [0, 2, 3, 5]);
    }

    #[test]
    fn triggers_that_share_a_read_are_asked_together_but_for_flags() {
        let reads = [flag("paused"), size("a"), size("b"), size("c"), size("d"), size("e")];
        let sets = together(&reads, &[vec![0, 1, 2], vec![0, 3, 4], vec![2, 5]]);
        assert_eq!(sets, [None, Some(1), Some(1), Some(3), Some(3), Some(1)]);
    }

    #[test]
    fn what_takes_more_than_a_question_or_lies_elsewhere_is_in_no_set() {
        let idle =
            Read::Idle { key: "s".into(), group: "g".into(), after: std::time::Duration::ZERO };
        assert_eq!(together(&[size("a"), idle], &[vec![0, 1]]), [None, None]);
        let reads = [size("a"), size("b"), size("c")];
        assert_eq!(sets(&reads, &[vec![0, 1, 2]], |_, place| place != 2), [None; 3]);
        assert_eq!(together(&reads, &[vec![1]]), [None; 3], "one read is one moment by itself");
    }

    #[test]
    fn the_size_of_a_collection_is_asked_with_the_one_trigger_that_looks_at_it() {
        let keys = Registry::builtin().get("resque").unwrap();
        let mut arguments = Arguments::default();
        arguments.set("queue", Argument::Names(vec![("q".into(), Weight::ONE)]));
        arguments.set("namespace", Argument::Names(vec![("r:".into(), Weight::ONE)]));
        let plan = keys.plan(&arguments);
        let workers = plan.reads().iter().find(|read| matches!(read, Read::Each(_))).unwrap();
        let reads = [size("a"), workers.clone(), size("b")];
        assert_eq!(together(&reads, &[vec![0, 1]]), [Some(0), Some(0), None]);
        assert_eq!(
            together(&reads, &[vec![0, 1], vec![2, 1]]),
            [None; 3],
            "they are of all workers"
        );
        assert_eq!(together(&reads[1..2], &[vec![0]]), [None]);
    }

    #[test]
    fn more_than_redis_is_kept_busy_with_is_in_no_set() {
        let most = limits::TRANSACTION_READS;
        let reads: Vec<Read> = (0..=most).map(|n| size(&n.to_string())).collect();
        assert!(together(&reads, &[(0..=most).collect()]).iter().all(Option::is_none));
        assert!(together(&reads, &[(0..most).collect()])[..most].iter().all(Option::is_some));
    }

    #[test]
    fn reads_that_begin_alike_share_a_question_within_their_set() {
        let reads = [group("s", "g"), group("s", "h"), group("s", "i"), size("a")];
        let (questions, places) = ask(&reads, &[vec![1, 3]]);
        assert_eq!(lines(&questions), ["XINFO s", "MULTI", "XINFO s", "LLEN a", "EXEC", "XINFO s"]);
        assert_eq!(places, [0, 2, 5, 3]);
        let (questions, places) = ask(&reads[..3], &[]);
        assert_eq!((lines(&questions).len(), places), (1, vec![0, 0, 0]));
    }

    #[test]
    fn what_exec_gives_is_of_one_moment_each_error_its_own_questions() {
        let (questions, places) = ask(&[size("a"), size("b")], &[vec![0, 1]]);
        let wrong_type = redis::parse_redis_value(b"*2\r\n:7\r\n-WRONGTYPE no\r\n").unwrap();
        let mut replies = questions.take(vec![Ok(Value::Okay), queued(), queued(), Ok(wrong_type)]);
        assert!(replies.open.is_empty() && !replies.refused);
        replies.fill(vec![]);
        assert_eq!(replies.at(places[0]).as_ref().unwrap(), &Value::Int(7));
        assert_eq!(replies.at(places[1]).as_ref().unwrap_err().code(), Some("WRONGTYPE"));
        assert_eq!(replies.moment(places[0]), replies.moment(places[1]));
    }

    #[test]
    fn a_transaction_that_did_not_come_about_leaves_its_questions_open() {
        let (questions, places) = ask(&[size("a"), size("b")], &[vec![0, 1]]);
        // One key may not be read, so that nothing is.
        let replies = vec![Ok(Value::Okay), queued(), refused("NOPERM"), refused("EXECABORT")];
        let mut replies = questions.take(replies);
        assert_eq!(replies.open, [places[0]]);
        assert!(!replies.refused, "the next batch may fare better");
        replies.fill(vec![Ok(Value::Int(3))]);
        assert_eq!(replies.at(places[0]).as_ref().unwrap(), &Value::Int(3));
        assert_eq!(replies.at(places[1]).as_ref().unwrap_err().code(), Some("NOPERM"));
        assert_ne!(replies.moment(places[0]), replies.moment(places[1]));
        // Of a reply of another length nobody knows what is what.
        let few = Ok(Value::Array(vec![Value::Int(1)]));
        assert_eq!(questions.take(vec![Ok(Value::Okay), queued(), queued(), few]).open, places);
        assert_eq!(
            questions.take(vec![Ok(Value::Okay), queued(), queued(), Ok(Value::Nil)]).open,
            places
        );
    }

    #[test]
    fn who_may_have_no_transactions_has_the_answers_one_by_one() {
        let (questions, places) = ask(&[size("a"), size("b")], &[vec![0, 1]]);
        let replies = questions.take(vec![
            refused("NOPERM"),
            Ok(Value::Int(1)),
            Ok(Value::Int(2)),
            refused("ERR"),
        ]);
        assert!(replies.refused && replies.open.is_empty());
        assert_eq!(replies.at(places[1]).as_ref().unwrap(), &Value::Int(2));
        assert_ne!(replies.moment(places[0]), replies.moment(places[1]));
    }
}
