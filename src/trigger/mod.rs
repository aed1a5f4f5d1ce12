//! What one trigger of a ScaledObject or ScaledJob asks for, parsed once from its metadata.
//!
//! A [`Trigger`] is valid by existing. It is pure: it knows layouts and signals, and nothing of
//! connections, Redis, gRPC or time.

mod arguments;
mod effect;
mod family;
mod measures;
mod metric_name;
mod names;
mod nearest;
mod parse;
mod problem;
mod settings;
mod threshold;

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

pub use effect::without_effect;
pub use family::{Family, belongs_to_connection, is_reserved};
pub use metric_name::REFUSED_METRIC;
pub use parse::DEFAULT_CONNECTION;
pub use problem::{Problem, Problems, cut, shown};
use threshold::auto_target;
pub use threshold::{Activation, Target, ThresholdError};

use crate::{
    layouts::{
        Answer, Count, Counts, LayoutMismatch, Measure, Name, Plan, RequiredAccess, Search,
        bytes_of_texts, footprint, share_of,
    },
    limits,
    signals::{Activity, Settings, Signal},
};

/// One trigger. Equal triggers give equal answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Trigger {
    /// The name of the connection that it reads from.
    pub connection: String,
    /// The database, where the trigger names one; else the connection's own.
    pub database: Option<u32>,
    /// The name of its layout.
    pub layout: String,
    /// What is read and how it adds up.
    pub plan: Plan,
    /// Whether it counts jobs at all, by names or patterns.
    pub counts_jobs: bool,
    /// The number made of the counts.
    pub signal: Signal,
    /// What one replica takes of the value.
    pub target: Target,
    /// Whether the target is made of its settings and of what is measured of them ([`Trigger::target_for`]). What stands
    /// as the target is then what is known without having measured anything.
    pub has_auto_target: bool,
    /// What wakes the workload.
    pub activation: Activation,
    /// The trigger's own stale budget, which can only shorten the connection's.
    pub stale_for: Option<Duration>,
    /// What it says of its workers and of what it wants, for its signal.
    pub settings: Settings,
    /// How long a change of one of its keys keeps the workload active, whatever the counts say.
    pub activity_window: Option<Duration>,
    /// How long a job may be in no key while it moves; zero where each move is one step for Redis.
    pub gap: Duration,
    /// What of its work is in no key, and what to do about it.
    pub invisible: Option<String>,
    /// What a name of it looks like that is no queue's, and the key that has it.
    pub hint: Option<Problem>,
    /// The names that it gives, as they are written; those of patterns are with the search.
    pub names: Box<[Name]>,
    /// The name of its metric.
    pub metric_name: String,
    /// What is to be looked for because of queue names with an unescaped `*`, `?` or `[`, which only
    /// a connection that scans may have; `None` without any. What is found is added to the plan.
    pub search: Option<Arc<Search>>,
    /// The vocabulary it was written in.
    pub family: Family,
}

/// What KEDA is told about a trigger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The metric's value.
    pub value: Count,
    /// Whether the workload should run at all.
    pub active: bool,
    /// What both were made of.
    pub counts: Counts,
}

impl Trigger {
    /// What these answers, one for each read of the plan, mean for this trigger.
    ///
    /// # Errors
    /// [`LayoutMismatch`] when what Redis holds is not what the layout says.
    pub fn verdict(&self, answers: &[&Answer]) -> Result<Verdict, LayoutMismatch> {
        self.plan.counts(answers).map(|counts| self.verdict_of(counts))
    }

    /// What these counts mean without the time: nothing comes, and nothing has waited.
    #[must_use]
    pub fn verdict_of(&self, counts: Counts) -> Verdict {
        self.verdict_under(&self.settings, counts)
    }

    /// The same with these settings in the place of its own.
    #[must_use]
    pub fn verdict_under(&self, settings: &Settings, counts: Counts) -> Verdict {
        let [arrived, oldest] = [Measure::Arrived, Measure::Oldest];
        let timeless = counts.with(arrived, Count::ZERO).with(oldest, Count::ZERO);
        self.verdict_with(self.signal.value(&timeless, settings), counts)
    }

    /// What these counts mean with this value.
    #[must_use]
    pub fn verdict_with(&self, value: Count, counts: Counts) -> Verdict {
        Verdict { value, active: self.activity(value, &counts).is_active(), counts }
    }

    /// Whether the workload should run with this value and these counts, and by what.
    #[must_use]
    pub fn activity(&self, value: Count, counts: &Counts) -> Activity {
        let activation = self.activation.get();
        if self.counts_jobs {
            Activity::of(counts, activation)
        } else {
            Activity::of_value(value, activation)
        }
    }
}

impl Trigger {
    /// Whether its target may become another while its metadata stays.
    #[must_use]
    pub fn has_moving_target(&self) -> bool {
        self.has_auto_target && self.settings.measures_task_time
    }

    /// Its target where a job runs for so long.
    #[must_use]
    pub fn target_for(&self, task_time: Option<Duration>) -> Target {
        let computed = self.has_auto_target.then(|| auto_target(&self.settings, task_time));
        computed.flatten().unwrap_or(self.target)
    }

    /// What it asks of this database, for who has to allow it.
    #[must_use]
    pub fn reach(&self, database: u32) -> RequiredAccess {
        RequiredAccess::of(&self.plan, self.search.as_deref(), database)
    }

    /// For how many keys it counts of what a namespace may have: for those that it names, and for more
    /// where it holds more memory than triggers do, by long names or many searches.
    #[must_use]
    pub fn share(&self) -> usize {
        let beyond = self.footprint().saturating_sub(limits::TRIGGER_FOOTPRINT);
        share_of(self.plan.keys(), beyond)
    }

    /// How many bytes of memory it holds, about.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let texts = [&self.connection, &self.layout, &self.metric_name];
        let hint = self.hint.iter().flat_map(|hint| [&hint.key, &hint.what]);
        let texts = texts.into_iter().chain(&self.invisible).chain(hint);
        let names = size_of_val(&*self.names) + bytes_of_texts(&self.names);
        let past = self.settings.window.map_or(0, |_| limits::RATE_FOOTPRINT);
        footprint(&self.plan, self.search.as_deref()) + bytes_of_texts(texts) + names + past
    }

    /// Its plan, with patterns as if they were names; for what is said of it.
    #[must_use]
    pub fn in_words(&self) -> Cow<'_, Plan> {
        match &self.search {
            None => Cow::Borrowed(&self.plan),
            Some(search) => Cow::Owned(search.in_words()),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_words = self.in_words();
        let reads: Vec<String> = in_words.reads().iter().map(ToString::to_string).collect();
        write!(f, "{} of {} on {}", self.signal.name(), reads.join(", "), self.connection)
    }
}

#[cfg(test)]
mod tests;
