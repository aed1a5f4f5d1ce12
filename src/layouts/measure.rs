//! What a layout can say of a trigger: jobs by state, numbers, and one of something for each.

use std::ops::{Index, IndexMut};

/// What a layout can say. Jobs come in the order of their flow: keys are read in this order, so that a job
/// which moves on meanwhile is counted twice rather than missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Scheduled jobs whose time has come: `[[scheduled]]`.
    Due,
    /// Jobs that are ready to be taken: `[[waiting]]`.
    Waiting,
    /// Jobs that are taken and not finished: `[[in_flight]]`.
    InFlight,
    /// Jobs whose workers are gone, where they keep a worker awake without adding any: `[[orphaned]]`.
    Orphaned,
    /// When the job became ready that has waited longest, in seconds since the Unix epoch; 0 where none waits:
    /// `[[oldest]]`.
    Oldest,
    /// Workers that run something: `[[busy]]`.
    Busy,
    /// Jobs that run, where those in flight are more than that: `[[running]]`.
    Running,
    /// A number that says what it says, and is of no jobs: `[[gauge]]`.
    Gauge,
    /// How many jobs came since somebody began to count them, by a number that only rises: `[[arrived]]`.
    Arrived,
    /// How many jobs ended, successful or not, since somebody began to count them, by a number that only rises:
    /// `[[finished]]`.
    Finished,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 10] = [
        Self::Due,
        Self::Waiting,
        Self::InFlight,
        Self::Orphaned,
        Self::Oldest,
        Self::Busy,
        Self::Running,
        Self::Gauge,
        Self::Arrived,
        Self::Finished,
    ];

    /// Its name for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Waiting => "waiting",
            Self::InFlight => "in flight",
            Self::Orphaned => "orphaned",
            Self::Oldest => "oldest",
            Self::Busy => "busy",
            Self::Running => "running",
            Self::Gauge => "gauge",
            Self::Arrived => "arrived",
            Self::Finished => "finished",
        }
    }

    /// Whether it is a time, of which the earliest counts, and no number of which all add up.
    #[must_use]
    pub fn is_time(self) -> bool {
        self == Self::Oldest
    }

    /// What its summands are together, for people.
    #[must_use]
    pub fn joined(self, summands: impl Iterator<Item = String>) -> String {
        let all: Vec<String> = summands.collect();
        match (self.is_time(), all.as_slice()) {
            (true, [_, _, ..]) => format!("the earliest of {}", all.join(", ")),
            (true | false, _) => all.join(" + "),
        }
    }

    /// Whether it counts jobs, each of which is in one state.
    #[must_use]
    pub fn is_of_jobs(self) -> bool {
        match self {
            Self::Due | Self::Waiting | Self::InFlight | Self::Orphaned => true,
            Self::Oldest
            | Self::Busy
            | Self::Running
            | Self::Gauge
            | Self::Arrived
            | Self::Finished => false,
        }
    }

    /// Its name in JSON.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::InFlight => "inFlight",
            Self::Due
            | Self::Waiting
            | Self::Orphaned
            | Self::Oldest
            | Self::Busy
            | Self::Running
            | Self::Gauge
            | Self::Arrived
            | Self::Finished => self.words(),
        }
    }
}

/// One of something for each [`Measure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Measures<T>([T; Measure::ALL.len()]);

impl<T> Measures<T> {
    /// What `make` makes for each.
    pub fn from_fn(make: impl FnMut(Measure) -> T) -> Self {
        Self(Measure::ALL.map(make))
    }

    /// What `make` makes of each.
    ///
    /// # Errors
    /// The first error of `make`.
    pub fn try_map<U: Default, E>(
        &self,
        mut make: impl FnMut(&T) -> Result<U, E>,
    ) -> Result<Measures<U>, E> {
        let mut made = Measures::default();
        for (measure, one) in self.iter() {
            made[measure] = make(one)?;
        }
        Ok(made)
    }

    /// Each with its measure, in the order of the flow.
    pub fn iter(&self) -> impl Iterator<Item = (Measure, &T)> {
        Measure::ALL.into_iter().zip(&self.0)
    }

    /// The same with another one for this measure.
    #[must_use]
    pub fn with(mut self, measure: Measure, one: impl Into<T>) -> Self {
        self[measure] = one.into();
        self
    }
}

impl<T> Index<Measure> for Measures<T> {
    type Output = T;

    fn index(&self, measure: Measure) -> &T {
        &self.0[measure as usize]
    }
}

impl<T> IndexMut<Measure> for Measures<T> {
    fn index_mut(&mut self, measure: Measure) -> &mut T {
        &mut self.0[measure as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_measure_has_its_own_place_in_the_order_of_the_flow() {
        let names = Measures::from_fn(Measure::words);
        for (measure, name) in names.iter() {
            assert_eq!((names[measure], *name), (measure.words(), measure.words()));
        }
        let numbers = Measures::<u8>::default().with(Measure::InFlight, 7);
        assert_eq!(
            numbers.iter().map(|(_, n)| *n).collect::<Vec<_>>(),
            [0, 0, 7, 0, 0, 0, 0, 0, 0, 0]
        );
        let failed = numbers.try_map(|n| if *n == 7 { Err("seven") } else { Ok(*n) });
        assert_eq!(failed, Err("seven"));
    }
}
