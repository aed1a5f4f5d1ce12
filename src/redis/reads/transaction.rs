//! Questions that are answered as of one moment: MULTI, the questions, EXEC, in the pipeline of a batch.
//!
//! A job that moves back while keys are read one after the other can be missed in all of them, in
//! whatever order they are read. What belongs together is therefore asked in one transaction where it
//! lies on one server. Where that cannot be had (a user without MULTI, a slot that moves, a proxy), the
//! same questions are asked by themselves, and the answers are of no one moment.

use std::{collections::BTreeMap, ops::Range};

use deadpool_redis::redis::{self, Cmd, RedisError, Value};

use crate::{layouts::Read, limits, sampling::Fault};

use super::{
    super::{error::fault, wire::Response},
    asked::Together,
    kinds,
};

/// What a user of Redis needs for it. Without them reads are not of one moment.
pub(in crate::redis) const COMMANDS: &[&str] = &["multi", "exec"];

/// Which of some reads are asked together: for each its set, by the place of the set's first read;
/// `None` for a read that is asked by itself. `flows` are the reads of each trigger, by their places.
pub(in crate::redis) fn sets(
    reads: &[Read],
    flows: &[Vec<usize>],
    shares_server: impl Fn(usize, usize) -> bool,
) -> Vec<Option<usize>> {
    let mut roots: Vec<usize> = (0..reads.len()).collect();
    let mut is_apart = vec![false; reads.len()];
    for flow in flows {
        let mut questions = flow.iter().filter(|place| is_whole(&reads[**place]));
        let Some(first) = questions.next() else { continue };
        for place in questions {
            let (one, other) = (root(&mut roots, *first), root(&mut roots, *place));
            roots[one.max(other)] = one.min(other);
            is_apart[*place] |= !shares_server(*first, *place);
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in (0..reads.len()).filter(|place| is_whole(&reads[*place])) {
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
        let first = flow.iter().copied().find(|place| is_whole(&reads[*place]));
        let of = first.map(&mut root);
        for place in
            flow.iter().filter(|place| kinds::of(&reads[**place]).together() == Together::Begins)
        {
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

fn is_whole(read: &Read) -> bool {
    kinds::of(read).together() == Together::Whole
}

/// Whether the questions of both begin with the groups of one stream.
fn begin_alike(one: &Read, other: &Read) -> bool {
    let groups = kinds::of(one).groups_of();
    groups.is_some() && groups == kinds::of(other).groups_of()
}

/// The questions of a batch in the order in which they are sent, those of a set one after the other.
#[derive(Debug, Default)]
pub(in crate::redis) struct Questions {
    commands: Vec<Cmd>,
    /// The places of the questions of each set among the commands; MULTI and EXEC stand around them.
    sets: Vec<Range<usize>>,
}

/// The replies to questions, by their places, and whether each was given with others of its set.
#[derive(Debug)]
pub(in crate::redis) struct Replies {
    replies: Vec<Response>,
    /// For each the place of the first that was given at the same moment.
    moments: Vec<usize>,
    /// The questions that have no reply yet, since their transaction did not come about.
    pub(in crate::redis) open: Vec<usize>,
    /// Whether this user may have no transactions, or the server has none.
    pub(in crate::redis) refused: bool,
}

impl Questions {
    /// Adds a question that is asked by itself, and tells its place.
    pub(in crate::redis) fn add(&mut self, command: Cmd) -> usize {
        self.commands.push(command);
        self.commands.len() - 1
    }

    /// Begins a set; what is added until [`Questions::close`] belongs to it.
    pub(in crate::redis) fn open(&mut self) {
        self.add(redis::cmd("MULTI"));
        let place = self.commands.len();
        self.sets.push(place..place);
    }

    /// Ends the set that was begun last.
    pub(in crate::redis) fn close(&mut self) {
        let end = self.commands.len();
        if let Some(set) = self.sets.last_mut() {
            set.end = end;
        }
        self.add(redis::cmd("EXEC"));
    }

    /// All commands, in their order.
    pub(in crate::redis) fn commands(&self) -> &[Cmd] {
        &self.commands
    }

    /// The commands at these places.
    pub(in crate::redis) fn at(&self, places: &[usize]) -> Vec<Cmd> {
        places.iter().map(|place| self.commands[*place].clone()).collect()
    }

    /// What the commands were replied, with the replies of each set taken out of its EXEC.
    pub(in crate::redis) fn take(&self, mut replies: Vec<Response>) -> Replies {
        let moments = (0..replies.len()).collect();
        let mut taken = Replies { moments, open: vec![], refused: false, replies: vec![] };
        for set in &self.sets {
            taken.refused |= is_refused(&replies[set.start - 1]);
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
pub(in crate::redis) fn compose(
    reads: &[Read],
    sets: &[Option<usize>],
    question: impl Fn(usize) -> Cmd,
) -> (Questions, Vec<usize>) {
    let (mut questions, mut places) = (Questions::default(), vec![0; reads.len()]);
    let mut add = |questions: &mut Questions, before: Option<usize>, at: usize| {
        let shared = before.filter(|before| begin_alike(&reads[*before], &reads[at]));
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
    pub(in crate::redis) fn fill(&mut self, replies: Vec<Response>) {
        for (place, reply) in std::mem::take(&mut self.open).into_iter().zip(replies) {
            self.replies[place] = reply;
        }
    }

    /// The reply to a question.
    pub(in crate::redis) fn at(&self, place: usize) -> &Response {
        &self.replies[place]
    }

    /// The moment of the reply to a question, by the place of the first that was given at that moment.
    pub(in crate::redis) fn moment(&self, place: usize) -> usize {
        self.moments[place]
    }
}

/// The replies that EXEC gives, if it gives one for each question.
fn given(exec: &mut Response, questions: usize) -> Option<Vec<Response>> {
    match exec {
        Ok(Value::Array(values)) if values.len() == questions => {
            let reply = |value| {
                if let Value::ServerError(error) = value {
                    return Err(RedisError::from(error));
                }
                Ok(value)
            };
            Some(std::mem::take(values).into_iter().map(reply).collect())
        }
        Ok(_) | Err(_) => None,
    }
}

/// Whether MULTI will be refused again: a server that is away or not ready says nothing of that.
fn is_refused(multi: &Response) -> bool {
    let why = multi.as_ref().err().map(fault);
    matches!(why, Some(Fault::Refused(_) | Fault::Unexpected(_)))
}

fn is_queued(reply: &Response) -> bool {
    matches!(reply, Ok(Value::SimpleString(word)) if word == "QUEUED")
}

#[cfg(test)]
mod tests;
