//! What all rounds come to, and what of it is too much.
//!
//! It is apart because it is the judgement: who reads it need not know how a round goes.

use std::{fmt, time::Duration};

use crate::{round::Round, trend::Trend};

/// By how much of its mean memory may seem to grow over a whole run.
const GROWTH: f64 = 0.05;
/// Rounds at the beginning that do not count for growth: memory is filled first.
const WARM: usize = crate::fault::KINDS;

/// Connections that one client may have at once: a connection is told to end after half an hour, and
/// its streams may go on for 35 minutes beside those of the next ones.
const CONNECTIONS: f64 = 3.0;

/// A number of a round.
type Number = fn(&Round) -> f64;

/// Every round so far.
#[derive(Default)]
pub struct Report(Vec<Round>);

impl Report {
    pub fn add(&mut self, round: Round) {
        self.0.push(round);
    }

    pub fn rounds(&self) -> usize {
        self.0.len()
    }

    fn warm(&self) -> &[Round] {
        self.0.get(WARM..).unwrap_or_default()
    }

    fn trend(&self, of: impl Fn(&Round) -> f64) -> Option<Trend> {
        let points: Vec<(f64, f64)> = self.warm().iter().map(|r| (r.at / 3_600.0, of(r))).collect();
        Trend::of(&points)
    }

    fn most(&self, of: Number) -> f64 {
        self.0.iter().map(of).fold(0.0, f64::max)
    }

    /// Hours that the trends are of.
    fn hours(&self) -> f64 {
        let ends = self.warm().first().zip(self.warm().last());
        ends.map_or(0.0, |(first, last)| (last.at - first.at) / 3_600.0)
    }

    /// Everything that must not be, with the bound on the calms.
    pub fn broken(&self, calm: Duration) -> Vec<String> {
        let mut broken = Vec::new();
        for round in &self.0 {
            let Round { number, fault, judged, settled, unsettled, .. } = round;
            let of = format!("round {number}, {fault}");
            if *settled > calm {
                broken.push(format!("{of}: right only after {settled:?}"));
            }
            let said = unsettled.iter().chain(&judged.lies).chain(&judged.wrong);
            broken.extend(said.map(|what| format!("{of}: {what}")));
        }
        let held: [(&str, Number); 3] = [
            ("memory", |round| round.memory_kb),
            ("descriptors", |round| round.descriptors - round.connections),
            ("tasks", |round| round.tasks - round.connections),
        ];
        let connections = self.most(|round| round.connections);
        if connections > CONNECTIONS {
            broken.push(format!("one client had {connections} connections"));
        }
        for (what, of) in held {
            if let Some(trend) = self.trend(of)
                && trend.grows(self.hours(), GROWTH)
            {
                broken.push(format!("{what} grows: {trend:?} an hour"));
            }
        }
        broken
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let judged = || self.0.iter().map(|round| &round.judged);
        let answers: u64 = judged().map(|judged| judged.answers).sum();
        let unavailable: u64 = judged().map(|judged| judged.unavailable).sum();
        let lies: usize = judged().map(|judged| judged.lies.len()).sum();
        let wrong: usize =
            self.0.iter().map(|round| round.unsettled.len() + round.judged.wrong.len()).sum();
        let mut settled: Vec<Duration> = self.0.iter().map(|round| round.settled).collect();
        settled.sort();
        let median = settled.get(settled.len() / 2).copied().unwrap_or_default();
        let worst = settled.last().copied().unwrap_or_default();
        let opened = self.0.last().map_or(0, |round| round.opened);
        writeln!(f, "rounds                      {}", self.0.len())?;
        writeln!(f, "answers during faults       {answers}, of them UNAVAILABLE {unavailable}")?;
        writeln!(f, "slowest answer              {:?}", judged().map(|j| j.slowest).max())?;
        writeln!(f, "zeros that were lies        {lies}")?;
        writeln!(f, "other wrong answers         {wrong}")?;
        writeln!(f, "right again after           median {median:?}, worst {worst:?}")?;
        writeln!(f, "most descriptors            {}", self.most(|round| round.descriptors))?;
        writeln!(f, "most tasks                  {}", self.most(|round| round.tasks))?;
        writeln!(f, "most connections of KEDA    {}", self.most(|round| round.connections))?;
        writeln!(f, "most streams, opened in all {}, {opened}", self.most(|round| round.streams))?;
        match self.trend(|round| round.memory_kb) {
            Some(Trend { slope, error, mean }) => write!(
                f,
                "memory                      mean {mean:.0} kB, slope {slope:+.0} ± {error:.0} kB an hour"
            ),
            None => write!(f, "memory                      too few rounds for a slope"),
        }
    }
}
