//! The queues, how a job comes into and goes out of each, and what each trigger must be told.
//!
//! What a queue holds is counted by the tests' own script.

use deadpool_redis::redis::Cmd;
use fastrand::Rng;

use crate::{
    harness::{How, Part, line},
    wire::{Trigger, trigger},
};

/// How a queue lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    /// It always has a job, from the moment that it is filled.
    Steady,
    /// Jobs come and go, and sometimes there is none.
    Restless,
    /// Nothing ever comes.
    Idle,
}

/// Where the jobs of a queue are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    List,
    Set,
    Sorted,
    Hash,
    Number,
    Flow,
    Group,
    Rq,
    Bullmq,
}

const SHAPES: [Shape; 9] = [
    Shape::List,
    Shape::Group,
    Shape::Flow,
    Shape::Set,
    Shape::Rq,
    Shape::Sorted,
    Shape::Bullmq,
    Shape::Hash,
    Shape::Number,
];

/// A queue and its trigger.
#[derive(Debug)]
pub struct Member {
    pub trigger: Trigger,
    pub temper: Temper,
    /// Whether a stream is open on it.
    pub is_pushed: bool,
    shape: Shape,
    name: String,
    ready: Vec<usize>,
    in_flight: Vec<usize>,
}

/// All of them, and every place where jobs are.
#[derive(Debug, Default)]
pub struct Fleet {
    pub members: Vec<Member>,
    pub parts: Vec<Part>,
}

impl Fleet {
    /// So many triggers: of every shape and temper, with a stream and without.
    pub fn of(size: usize) -> Self {
        let mut fleet = Self::default();
        for number in 0..size {
            let shape = SHAPES[number % SHAPES.len()];
            let temper = match number / SHAPES.len() % 3 {
                0 => Temper::Steady,
                1 => Temper::Restless,
                _ => Temper::Idle,
            };
            let is_pushed = (number / (SHAPES.len() * 3)).is_multiple_of(2);
            fleet.add(format!("q{number}"), (shape, temper), is_pushed);
        }
        fleet
    }

    fn add(&mut self, name: String, (shape, temper): (Shape, Temper), is_pushed: bool) {
        let n = name.as_str();
        let own = |kind: &str| format!("{n}:{kind}");
        let (list, running) = (own("list"), own("running"));
        let one = |how| (vec![("queue", list.clone())], vec![(list.clone(), how)], vec![]);
        let named = |layout: &str| vec![("layout", layout.to_owned()), ("queue", n.to_owned())];
        let (metadata, ready, in_flight) = match shape {
            Shape::List => one(How::List),
            Shape::Set => one(How::Set),
            Shape::Sorted => one(How::Sorted),
            Shape::Hash => one(How::Hash),
            Shape::Number => one(How::Number),
            Shape::Flow => (
                vec![("waiting", list.clone()), ("inFlight", running.clone())],
                vec![(list.clone(), How::List)],
                vec![(running, How::List)],
            ),
            Shape::Group => (
                [named("stream"), vec![("group", "g".to_owned())]].concat(),
                vec![(name.clone(), How::Lag)],
                vec![(name.clone(), How::Pending)],
            ),
            Shape::Rq => (
                named("rq"),
                vec![(format!("rq:queue:{n}"), How::List)],
                vec![(format!("rq:wip:{n}"), How::Sorted)],
            ),
            Shape::Bullmq => (
                named("bullmq"),
                vec![(format!("bull:{n}:wait"), How::List)],
                vec![(format!("bull:{n}:active"), How::List)],
            ),
        };
        let mut places = |parts: Vec<(String, How)>| -> Vec<usize> {
            let place = |(key, how)| {
                self.parts.push(Part { key, how });
                self.parts.len() - 1
            };
            parts.into_iter().map(place).collect()
        };
        let (ready, in_flight) = (places(ready), places(in_flight));
        let trigger = trigger(metadata);
        self.members.push(Member { trigger, temper, is_pushed, shape, name, ready, in_flight });
    }

    /// Value and activity of each trigger, by the counts of the parts.
    pub fn truth(&self, counts: &[f64]) -> Vec<(f64, bool)> {
        let sum = |parts: &[usize]| parts.iter().map(|part| counts[*part]).sum::<f64>();
        let truth = |member: &Member| {
            let jobs = sum(&member.ready) + sum(&member.in_flight);
            (jobs, jobs > 0.0)
        };
        self.members.iter().map(truth).collect()
    }

    /// What there is from the beginning: every group, and three jobs in each steady queue.
    pub fn beginning(&self) -> Vec<Cmd> {
        let groups = self.members.iter().filter(|member| member.shape == Shape::Group);
        let groups = groups.map(|Member { name, .. }| format!("XGROUP CREATE {name} g 0 MKSTREAM"));
        let steady = self.members.iter().filter(|member| member.temper == Temper::Steady);
        let jobs = steady.flat_map(|member| (0..3).map(|job| member.comes(&format!("first{job}"))));
        groups.map(|words| line(&words)).chain(jobs).collect()
    }

    /// What happens next on one of them; of a steady one a job comes before another goes.
    pub fn step(&self, rng: &mut Rng, number: u64) -> Vec<Cmd> {
        let member = &self.members[rng.usize(0..self.members.len())];
        let job = number.to_string();
        match member.temper {
            Temper::Idle => vec![],
            Temper::Steady => {
                [vec![member.comes(&job)], member.moves(&job), vec![member.goes(&job)]].concat()
            }
            Temper::Restless => match rng.u8(0..5) {
                0 | 1 => vec![member.comes(&job)],
                2 => member.moves(&job),
                3 => vec![member.goes(&job)],
                _ => vec![member.ends()],
            },
        }
    }
}

/// The score of a lease that does not run out.
const LEASED: u64 = 4_000_000_000;
/// The oldest message that a worker of a group has is done, and thrown away.
const FINISH: &str = r"
    local pending = redis.call('XPENDING', KEYS[1], 'g', '-', '+', 1)
    if pending[1] then
        redis.call('XACK', KEYS[1], 'g', pending[1][1])
        redis.call('XDEL', KEYS[1], pending[1][1])
    end";

impl Member {
    /// A job comes.
    fn comes(&self, job: &str) -> Cmd {
        let n = self.name.as_str();
        line(&match self.shape {
            Shape::List | Shape::Flow => format!("RPUSH {n}:list {job}"),
            Shape::Set => format!("SADD {n}:list {job}"),
            Shape::Sorted => format!("ZADD {n}:list 1 {job}"),
            Shape::Hash => format!("HSET {n}:list {job} 1"),
            Shape::Number => format!("INCRBY {n}:list 1"),
            Shape::Group => format!("XADD {n} * job {job}"),
            Shape::Rq => format!("RPUSH rq:queue:{n} {job}"),
            Shape::Bullmq => format!("LPUSH bull:{n}:wait {job}"),
        })
    }

    /// A worker takes a job.
    fn moves(&self, job: &str) -> Vec<Cmd> {
        let n = self.name.as_str();
        let words = match self.shape {
            Shape::Flow => vec![format!("RPOPLPUSH {n}:list {n}:running")],
            Shape::Group => vec![format!("XREADGROUP GROUP g w COUNT 1 STREAMS {n} >")],
            Shape::Bullmq => vec![format!("RPOPLPUSH bull:{n}:wait bull:{n}:active")],
            Shape::Rq => {
                vec![format!("ZADD rq:wip:{n} {LEASED} {job}"), format!("LPOP rq:queue:{n}")]
            }
            Shape::List | Shape::Set | Shape::Sorted | Shape::Hash | Shape::Number => vec![],
        };
        words.iter().map(|words| line(words)).collect()
    }

    /// A job is done.
    fn goes(&self, job: &str) -> Cmd {
        let n = self.name.as_str();
        line(&match self.shape {
            Shape::List => format!("LPOP {n}:list"),
            Shape::Set => format!("SREM {n}:list {job}"),
            Shape::Sorted => format!("ZREM {n}:list {job}"),
            Shape::Hash => format!("HDEL {n}:list {job}"),
            Shape::Number if self.temper == Temper::Steady => format!("INCRBY {n}:list -1"),
            Shape::Number => format!("SET {n}:list 0"),
            Shape::Flow => format!("RPOP {n}:running"),
            Shape::Rq => format!("ZREM rq:wip:{n} {job}"),
            Shape::Bullmq => format!("RPOP bull:{n}:active"),
            Shape::Group => {
                let mut command = Cmd::new();
                command.arg("EVAL").arg(FINISH).arg(1).arg(n);
                return command;
            }
        })
    }

    /// Everything that waits is gone, and what is taken with it where one command does it.
    fn ends(&self) -> Cmd {
        let n = self.name.as_str();
        line(&match self.shape {
            Shape::Group => format!("XGROUP SETID {n} g $"),
            Shape::Flow => format!("DEL {n}:list {n}:running"),
            Shape::Rq => format!("DEL rq:queue:{n} rq:wip:{n}"),
            Shape::Bullmq => format!("DEL bull:{n}:wait bull:{n}:active"),
            Shape::List | Shape::Set | Shape::Sorted | Shape::Hash | Shape::Number => {
                format!("DEL {n}:list")
            }
        })
    }
}
