//! The lowest score of a sorted set, where that is the time at which its member is ready.

use std::time::Duration;

use deadpool_redis::redis::{Cmd, Value};

use crate::{
    layouts::{Answer, MemberKey, Name, ReadyAt, ScoredJobs, Unit},
    limits,
    sampling::Fault,
};

use super::{
    super::{
        super::{
            super::wire::Response,
            decode::{self, sequence, unexpected},
            encode::{self, of_key},
            known_tails::KnownTails,
            progress::{self, FollowUp, Progress, reply},
            stamps,
        },
        size::per_second,
    },
    outcome::{answered, said},
};

pub(super) fn question(key: &Name, jobs: &ScoredJobs) -> Cmd {
    lowest(key, 0, asked(jobs))
}

/// How many members are asked for first.
fn asked(jobs: &ScoredJobs) -> u32 {
    if jobs.unless.is_some() { limits::OLDEST_AMONG } else { 1 }
}

pub(super) fn rights(jobs: &ScoredJobs) -> &'static [&'static str] {
    if jobs.unless.is_some() { &["zrange", "zscore", "exists"] } else { &["zrange"] }
}

pub(super) fn first(key: &Name, jobs: &ScoredJobs, replied: &Response) -> Result<Progress, Fault> {
    let value = match progress::of_type(key, &["zset"], replied)? {
        Ok(value) => value,
        Err(progress) => return Ok(progress),
    };
    let asked = asked(jobs);
    let members = scored(value, asked)?;
    Ok(match members.first() {
        None => Progress::done(Answer::Missing),
        Some((_, score)) if jobs.unless.is_none() => said(time(*score, jobs.unit), 0),
        Some(_) => {
            let (key, jobs) = (key.clone(), jobs.clone());
            let step = Step::Marks(members);
            Progress::open(Look { key, jobs, running: 0, looked_at: 0, asked, step })
        }
    })
}

/// ZRANGE WITHSCORES: so many members of the lowest scores, after the first ones.
fn lowest(key: &Name, skipped: u32, number: u32) -> Cmd {
    let mut command = of_key("ZRANGE", &[], key);
    command.arg(skipped).arg(skipped + number - 1).arg("WITHSCORES");
    command
}

/// As many members as were asked for, with their scores, which RESP3 pairs and RESP2 lists in turn.
fn scored(value: &Value, asked: u32) -> Result<Vec<(Vec<u8>, f64)>, Fault> {
    let odd = || unexpected("members without scores");
    let rows = sequence(value).ok_or_else(odd)?;
    let is_paired = rows.first().is_some_and(|row| sequence(row).is_some());
    let pairs: Vec<&[Value]> = if is_paired {
        rows.iter().map(|row| sequence(row).ok_or_else(odd)).collect::<Result<_, _>>()?
    } else {
        rows.chunks(2).collect()
    };
    let pair = |pair: &[Value]| {
        let [member, score] = pair else { return Err(odd()) };
        Ok((decode::string(member)?.to_vec(), decode::float(score).ok_or_else(odd)?))
    };
    pairs.into_iter().take(usize::try_from(asked).unwrap_or(usize::MAX)).map(pair).collect()
}

fn time(score: f64, unit: Unit) -> Option<Duration> {
    stamps::of_seconds(score / per_second(unit))
}

/// Who of the members runs? The first that does not has the lowest score of those that wait.
#[derive(Debug)]
struct Look {
    key: Name,
    jobs: ScoredJobs,
    /// How many members run, which have the lowest scores.
    running: u32,
    /// How many were looked at, also those that ended meanwhile.
    looked_at: u32,
    /// How many were asked for last.
    asked: u32,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Whether these run.
    Marks(Vec<(Vec<u8>, f64)>),
    /// Which come after those that all run.
    Further,
}

impl FollowUp for Look {
    /// What ends between the two looks at a member has no mark any more, so it is asked after that whether it is still
    /// there, and with which score.
    fn commands(&self) -> Vec<Cmd> {
        match &self.step {
            Step::Marks(members) => {
                let marks = members.iter().zip(self.jobs.unless.iter().cycle());
                let both = |((member, _), mark): (&(Vec<u8>, f64), &MemberKey)| {
                    let mut score = of_key("ZSCORE", &[], &self.key);
                    score.arg(member);
                    [encode::exists(&mark.key(member)), score]
                };
                marks.flat_map(both).collect()
            }
            Step::Further => vec![lowest(&self.key, self.running, self.asked)],
        }
    }

    fn proceed(
        mut self: Box<Self>,
        replies: &[Response],
        _: &KnownTails,
    ) -> Result<Progress, Fault> {
        let members = match self.step {
            Step::Further => {
                let members = scored(reply(replies, 0)?, self.asked)?;
                if members.is_empty() {
                    return Ok(answered(ReadyAt::NoneWaits, 0));
                }
                self.step = Step::Marks(members);
                return Ok(Progress::Open(self));
            }
            Step::Marks(ref members) => members.len(),
        };
        let mut gone = 0;
        for place in 0..members {
            let runs = decode::count(reply(replies, 2 * place)?)? > 0;
            let score = reply(replies, 2 * place + 1)?;
            let is_gone = *score == Value::Nil;
            gone += u32::from(is_gone);
            if !runs && !is_gone {
                let score = decode::float(score).ok_or_else(|| unexpected("no score"))?;
                return Ok(said(time(score, self.jobs.unit), 0));
            }
        }
        let number = u32::try_from(members).unwrap_or(u32::MAX);
        // Those that ended make room for the ones behind them.
        self.running += number - gone;
        self.looked_at += number;
        if number < self.asked && gone == 0 {
            return Ok(answered(ReadyAt::NoneWaits, 0));
        }
        if self.looked_at >= limits::RUNNING_PASSED {
            return Ok(said(None, 0));
        }
        self.asked = self.running.max(limits::OLDEST_AMONG);
        self.step = Step::Further;
        Ok(Progress::Open(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn members_have_their_scores_in_both_protocols() {
        let wanted = Ok(vec![(b"a".to_vec(), 1.5), (b"b".to_vec(), 2.0)]);
        let flat = [bulk("a"), bulk("1.5"), bulk("b"), bulk("2")];
        assert_eq!(scored(&Value::Array(flat.to_vec()), 9), wanted);
        let pair = |member, score| Value::Array(vec![bulk(member), Value::Double(score)]);
        assert_eq!(scored(&Value::Array(vec![pair("a", 1.5), pair("b", 2.0)]), 9), wanted);
        assert_eq!(scored(&Value::Array(vec![]), 9), Ok(vec![]));
        let first = scored(&Value::Array(flat.to_vec()), 1);
        assert_eq!(first, Ok(vec![(b"a".to_vec(), 1.5)]));
        let odd = [vec![bulk("a")], vec![bulk("a"), bulk("x")], vec![pair("a", 1.0), bulk("b")]];
        for odd in odd {
            assert!(scored(&Value::Array(odd), 9).is_err());
        }
        assert!(scored(&Value::Nil, 9).is_err());
    }

    #[test]
    fn a_score_is_a_time_in_its_unit_or_says_nothing() {
        let told = |score, unit| time(score, unit).map(|time| time.as_secs());
        assert_eq!(told(1_795_925_342.5, Unit::Seconds), Some(1_795_925_342));
        assert_eq!(told(1_795_925_342_500.0, Unit::Milliseconds), Some(1_795_925_342));
        assert_eq!(
            told(1_795_925_342.5 * 4_096e3, Unit::MillisecondsTimes4096),
            Some(1_795_925_342)
        );
        for score in [0.0, 7.0, -1e9, f64::INFINITY, f64::NAN] {
            assert_eq!(told(score, Unit::Seconds), None, "{score}");
        }
    }
}
