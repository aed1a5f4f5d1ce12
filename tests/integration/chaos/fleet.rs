//! The triggers that live through the faults: what each is made of, and what Redis itself says that
//! it must be told.

use deadpool_redis::redis::Cmd;

pub use crate::harness::{How, Part};
use crate::{
    harness::count,
    wire::{Trigger, trigger},
};

/// The types of a plain key.
pub const PLAIN: [How; 6] = [How::List, How::Set, How::Sorted, How::Hash, How::Number, How::Stream];

/// How a key lives: never empty while the data is there; empty every now and then; the same, and no
/// stream is open on it; empty until a fault puts the first job there.
pub const STEADY: &str = "steady";
pub const RESTLESS: &str = "restless";
pub const POLLED: &str = "polled";
pub const IDLE: &str = "idle";

/// One trigger: its places in the list of parts, by the state of the jobs there.
#[derive(Debug)]
pub struct Member {
    pub trigger: Trigger,
    ready: Vec<usize>,
    in_flight: Vec<usize>,
    signal: &'static str,
    activation: f64,
    /// Whether several parts are read one after another, so that a job which moves may be counted
    /// twice.
    pub is_several: bool,
}

impl Member {
    /// Every part that its value is made of.
    pub fn valued(&self) -> impl Iterator<Item = usize> {
        self.counted(self.signal != "in-flight", self.signal != "waiting")
    }

    fn counted(&self, ready: bool, in_flight: bool) -> impl Iterator<Item = usize> {
        let ready = self.ready.iter().filter(move |_| ready);
        ready.chain(self.in_flight.iter().filter(move |_| in_flight)).copied()
    }

    /// The value that KEDA must be told.
    pub fn value(&self, counts: &[f64]) -> f64 {
        self.valued().map(|part| counts[part]).sum()
    }

    /// The activity that KEDA must be told.
    pub fn active(&self, counts: &[f64]) -> bool {
        let sum = |parts: &[usize]| parts.iter().map(|part| counts[*part]).sum::<f64>();
        sum(&self.in_flight) > 0.0 || sum(&self.ready) > self.activation
    }
}

/// All of them, and each part once however many triggers name it.
#[derive(Debug, Default)]
pub struct Fleet {
    pub parts: Vec<Part>,
    pub members: Vec<Member>,
}

impl Fleet {
    /// Every kind of read, and triggers that share some.
    pub fn new() -> Self {
        let mut fleet = Self::default();
        for temper in [STEADY, RESTLESS, POLLED, IDLE] {
            for how in PLAIN {
                let key = plain(how, temper);
                fleet.add(&[("queue", &key)], &[(&key, how)], &[]);
            }
            let due = format!("due:{temper}");
            fleet.add(&[("scheduled", &due)], &[(&due, How::Due)], &[]);
            for signal in ["backlog", "waiting", "in-flight"] {
                let key = format!("group:{temper}");
                fleet.add(
                    &[("layout", "stream"), ("queue", &key), ("group", "g"), ("signal", signal)],
                    &[(&key, How::Lag)],
                    &[(&key, How::Pending)],
                );
            }
        }
        for (temper, running_as) in
            [(STEADY, How::List), (RESTLESS, How::Hash), (POLLED, How::Hash)]
        {
            fleet.add_flow(temper, running_as);
        }
        fleet.add(&[("queue", LAPSING)], &[(LAPSING, How::List)], &[]);
        fleet.add(
            &[("queue", "list:steady, set:restless,sorted:restless")],
            &[
                ("list:steady", How::List),
                ("set:restless", How::Set),
                ("sorted:restless", How::Sorted),
            ],
            &[],
        );
        fleet.add(
            &[("queue", "list:restless,hash:restless,number:restless"), ("activation", "3")],
            &[
                ("list:restless", How::List),
                ("hash:restless", How::Hash),
                ("number:restless", How::Number),
            ],
            &[],
        );
        fleet
    }

    /// A workload whose jobs go from state to state, and two more that look at a part of it.
    fn add_flow(&mut self, temper: &str, running_as: How) {
        let [later, waiting, running] = flow(temper);
        self.add(
            &[("scheduled", &later), ("waiting", &waiting), ("inFlight", &running)],
            &[(&later, How::Due), (&waiting, How::List)],
            &[(&running, running_as)],
        );
        self.add(&[("waiting", &waiting)], &[(&waiting, How::List)], &[]);
        self.add(
            &[("waiting", &waiting), ("inFlight", &running), ("signal", "in-flight")],
            &[(&waiting, How::List)],
            &[(&running, running_as)],
        );
    }

    fn add(&mut self, metadata: &[(&str, &str)], ready: &[(&str, How)], in_flight: &[(&str, How)]) {
        let given = |name: &str| {
            let pair = metadata.iter().find(|(key, _)| *key == name);
            pair.map(|(_, value)| *value)
        };
        let signals = ["waiting", "in-flight"];
        let signal = signals.into_iter().find(|signal| given("signal") == Some(signal));
        let activation = given("activation").map_or(0.0, |number| number.parse().unwrap());
        let (ready, in_flight) = (self.places(ready), self.places(in_flight));
        let is_one_command = ready.iter().any(|part| self.parts[*part].how == How::Lag);
        self.members.push(Member {
            trigger: trigger(metadata.iter().copied()),
            is_several: !is_one_command && ready.len() + in_flight.len() > 1,
            ready,
            in_flight,
            signal: signal.unwrap_or("backlog"),
            activation,
        });
    }

    fn places(&mut self, parts: &[(&str, How)]) -> Vec<usize> {
        let place = |(key, how): &(&str, How)| {
            let part = Part { key: (*key).to_owned(), how: *how };
            let known = self.parts.iter().position(|other| *other == part);
            known.unwrap_or_else(|| {
                self.parts.push(part);
                self.parts.len() - 1
            })
        };
        parts.iter().map(place).collect()
    }

    /// The script that counts every part at one moment.
    pub fn count(&self) -> Cmd {
        count(&self.parts)
    }
}

/// The key of one type.
pub fn plain(how: How, temper: &str) -> String {
    format!("{how:?}:{temper}").to_lowercase()
}

/// The keys of a workload: later, waiting, running.
pub fn flow(temper: &str) -> [String; 3] {
    ["later", "waiting", "running"].map(|state| format!("flow:{temper}:{state}"))
}

/// A list that ends by itself during the fault.
pub const LAPSING: &str = "lapsing";
