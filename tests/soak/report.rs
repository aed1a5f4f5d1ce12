//! What all rounds come to, and what of it is too much.

use std::{fmt, time::Duration};

use crate::{round::Round, trend::Trend};

/// By how much of its mean a number may seem to grow over a whole run, and memory with one more
/// connection.
const GROWTH: f64 = 0.05;
/// Rounds at the beginning that do not count for growth: memory is filled first.
const WARM: usize = crate::fault::KINDS;

/// Connections that one client may have at once: a connection is told to end after half an hour, and
/// its streams may go on for 35 minutes beside those of the next ones.
const MOST_CONNECTIONS: f64 = 3.0;
/// Hours after which the first connection has ended, whatever was open on it.
const FIRST_ENDS: f64 = 65.0 / 60.0;
/// Hours of a run in which there is enough to look at after that.
const LONG: f64 = 2.0;

/// A number of a round.
type Number = fn(&Round) -> f64;

const HOURS: Number = |round| round.at / 3_600.0;
const MEMORY: Number = |round| round.memory_kb;
const CONNECTIONS: Number = |round| round.connections;

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

    fn points(&self, x: Number, y: Number) -> Vec<(f64, f64)> {
        self.warm().iter().map(|round| (x(round), y(round))).collect()
    }

    /// How memory goes by the hour, and the hours that are looked at.
    ///
    /// A connection keeps room for the most streams that it had (the codec's table, h2 0.4.20, never
    /// gets smaller), the first had all of them, and after half an hour a second one stands beside
    /// it. So memory rises in the first hour and falls when that ends, in the second. A long run is
    /// looked at after it; a shorter one in the stretches in which the connections stay the same.
    fn memory(&self) -> (Option<Trend>, f64) {
        let of = |round: &Round| (HOURS(round), MEMORY(round));
        if self.hours() > LONG {
            let later = self.warm().iter().map(of).filter(|(hours, _)| *hours > FIRST_ENDS);
            return (Trend::of(&later.collect::<Vec<_>>()), self.hours() - FIRST_ENDS);
        }
        let same = |one: &Round, next: &Round| one.connections == next.connections;
        let stretches = self.warm().chunk_by(same).map(|rounds| rounds.iter().map(of).collect());
        (Trend::within(&stretches.collect::<Vec<Vec<_>>>()), self.hours())
    }

    /// How memory goes by the connection; `None` while there were always as many.
    fn memory_of_one(&self) -> Option<Trend> {
        Trend::of(&self.points(CONNECTIONS, MEMORY))
    }

    fn most(&self, of: Number) -> f64 {
        self.0.iter().map(of).fold(0.0, f64::max)
    }

    /// Hours that the trends are of.
    fn hours(&self) -> f64 {
        let ends = self.warm().first().zip(self.warm().last());
        ends.map_or(0.0, |(first, last)| HOURS(last) - HOURS(first))
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
        let connections = self.most(CONNECTIONS);
        if connections > MOST_CONNECTIONS {
            broken.push(format!("one client had {connections} connections"));
        }
        let descriptors = self.points(HOURS, |round| round.descriptors - round.connections);
        let tasks = self.points(HOURS, |round| round.tasks - round.connections);
        let (memory, over) = self.memory();
        let held = [
            ("memory by the hour", memory, over),
            ("memory by the connection", self.memory_of_one(), 1.0),
            ("descriptors by the hour", Trend::of(&descriptors), self.hours()),
            ("tasks by the hour", Trend::of(&tasks), self.hours()),
        ];
        for (what, trend, over) in held {
            if let Some(trend) = trend.filter(|trend| trend.grows(over, GROWTH)) {
                broken.push(format!("{what}: {trend:?}"));
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
        let line = |what: &str, unit: &str, trend: Option<Trend>| match trend {
            Some(Trend { slope, error, mean }) => {
                format!("{what:<28}mean {mean:.0} kB, slope {slope:+.0} ± {error:.0} kB {unit}")
            }
            None => format!("{what:<28}nothing to draw a line through"),
        };
        writeln!(f, "{}", line("memory", "an hour", self.memory().0))?;
        write!(f, "{}", line("with each connection", "a connection", self.memory_of_one()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{FIRST_ENDS, Report};
    use crate::{fault::Fault, round::Round, tally::Judged};

    /// What is broken after so many hours of rounds whose memory is 22 MB and this.
    fn broken(hours: u32, more_kb: impl Fn(f64) -> f64) -> String {
        let mut report = Report::default();
        for number in 0..hours * 180 {
            let hour = f64::from(number) / 180.0;
            let connections = if hour < 0.5 { 1.0 } else { 2.0 };
            report.add(Round {
                number: 0,
                fault: Fault::Peace(Duration::ZERO),
                judged: Judged::default(),
                settled: Duration::ZERO,
                unsettled: Vec::new(),
                at: hour * 3_600.0,
                memory_kb: 22_000.0 + more_kb(hour) + 300.0 * (hour * 7_000.0).sin(),
                descriptors: 14.0 + connections,
                tasks: 1_007.0 + connections,
                connections,
                streams: 1_000.0,
                opened: 1_000,
            });
        }
        report.broken(Duration::from_secs(1)).join("; ")
    }

    #[test]
    fn what_the_first_connections_hold_does_not_grow() {
        let held = |hour| if (0.5..FIRST_ENDS).contains(&hour) { 650.0 } else { 0.0 };
        for hours in [1, 3] {
            assert_eq!(broken(hours, held), "");
        }
    }

    #[test]
    fn what_grows_is_found() {
        let slowly = |hour: f64| 1_500.0 * hour;
        let at_each_renewal = |hour: f64| 750.0 * (2.0 * hour).floor();
        for (said, what) in [
            (broken(1, slowly), "memory by the hour"),
            (broken(3, slowly), "memory by the hour"),
            (broken(3, at_each_renewal), "memory by the hour"),
            (broken(1, |hour| if hour < 0.5 { 0.0 } else { 1_500.0 }), "memory by the connection"),
        ] {
            assert!(said.contains(what), "{said}");
        }
    }
}
