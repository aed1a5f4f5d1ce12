//! How many Jobs KEDA creates for a `ScaledJob` at one poll: plain arithmetic, one line a strategy.
//! Apart because a `ScaledJob` has no HPA and no memory. Must not know anything of the rest of this module but numbers.

use crate::quantity::{MetricValue, Target, count, float, truncated};

/// `spec.scalingStrategy` of a `ScaledJob`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum JobStrategy {
    /// Less what runs: right where the value counts queued and running work.
    #[default]
    Default,
    /// Less what is pending: right where the value counts queued work only.
    Accurate,
    /// As many as there is room for: right where the value counts queued work only.
    Eager,
    /// Less a fixed number and a share of what runs.
    Custom {
        /// `customScalingQueueLengthDeduction`, Jobs.
        queue_length_deduction: u32,
        /// `customScalingRunningJobPercentage`, a fraction although KEDA calls it a percentage.
        running_job_percentage: f64,
    },
}

/// The bounds and the strategy of a `ScaledJob`; the default is KEDA's: 0, 100, [`JobStrategy::Default`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaledJob {
    /// Jobs that run whatever the value is; above the maximum it is the maximum.
    pub min_replica_count: u32,
    /// Jobs, the minimum included.
    pub max_replica_count: u32,
    /// How the value becomes a number of new Jobs.
    pub strategy: JobStrategy,
}

impl Default for ScaledJob {
    fn default() -> Self {
        Self { min_replica_count: 0, max_replica_count: 100, strategy: JobStrategy::Default }
    }
}

/// What the trigger answers and what its Jobs do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JobLoad {
    /// The metric value.
    pub value: MetricValue,
    /// What one Job is meant to carry.
    pub target: Target,
    /// `IsActive`; with a value of 0 the `ScaledJob` is inactive all the same.
    pub active: bool,
    /// Jobs that are not finished.
    pub running: u32,
    /// Those of them without a pod that runs or has completed.
    pub pending: u32,
}

impl ScaledJob {
    /// The Jobs that one poll creates, for a `ScaledJob` with a single trigger.
    ///
    /// Source: KEDA 2.20 `pkg/scaling/scaledjob/metrics.go`, `pkg/scaling/executor/scale_jobs.go`.
    #[must_use]
    pub fn jobs_to_create(&self, load: JobLoad) -> u32 {
        let min = i64::from(self.min_replica_count.min(self.max_replica_count));
        let room = self.room();
        let running = i64::from(load.running);
        if running < min {
            return count(min - running);
        }
        let queue = float(load.value.milli()) / 1000.0;
        let is_counted = load.active && load.value > MetricValue::ZERO;
        if !is_counted {
            return 0;
        }
        let per_job = float(load.target.milli()) / 1000.0;
        let max_scale = truncated((queue / per_job).min(float(room)).ceil());
        // KEDA sets the Jobs of the minimum aside here, but not among the pending ones.
        let running = running - min;
        let pending = i64::from(load.pending);
        let (wanted, allowed) = match self.strategy {
            JobStrategy::Default => (queue, max_scale - running),
            JobStrategy::Accurate if max_scale + running - pending > room => {
                (queue, room - running)
            }
            JobStrategy::Accurate => (queue, max_scale - pending),
            JobStrategy::Eager => (float(room), max_scale.min(room - running - pending)),
            JobStrategy::Custom { queue_length_deduction, running_job_percentage } => {
                let share = truncated(float(running) * running_job_percentage);
                (queue, room.min(max_scale - i64::from(queue_length_deduction) - share))
            }
        };
        count(truncated(wanted.ceil()).min(allowed))
    }

    /// KEDA's `MaxReplicaCount()`: what the maximum leaves above the minimum.
    fn room(&self) -> i64 {
        let (min, max) = (i64::from(self.min_replica_count), i64::from(self.max_replica_count));
        if min > max { max } else { max - min }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(value: f64, [running, pending]: [u32; 2]) -> JobLoad {
        JobLoad {
            value: value.into(),
            target: 1.0.try_into().unwrap(),
            active: true,
            running,
            pending,
        }
    }

    fn job(strategy: JobStrategy) -> ScaledJob {
        ScaledJob { max_replica_count: 10, strategy, ..ScaledJob::default() }
    }

    #[test]
    fn each_strategy_subtracts_what_it_is_about() {
        let custom = JobStrategy::Custom { queue_length_deduction: 1, running_job_percentage: 0.5 };
        for (strategy, created) in [
            (JobStrategy::Default, 3),  // min(6, 10) - 3 running
            (JobStrategy::Accurate, 4), // 6 - 2 pending
            (JobStrategy::Eager, 5),    // room for 10 - 3 - 2
            (custom, 4),                // 6 - 1 - half of 3, cut
        ] {
            assert_eq!(job(strategy).jobs_to_create(load(6.0, [3, 2])), created, "{strategy:?}");
        }
    }

    #[test]
    fn accurate_never_exceeds_the_room() {
        assert_eq!(job(JobStrategy::Accurate).jobs_to_create(load(50.0, [8, 0])), 2);
    }

    #[test]
    fn the_target_is_the_work_of_one_job() {
        let load = JobLoad { target: 10.0.try_into().unwrap(), ..load(25.0, [0, 0]) };
        assert_eq!(job(JobStrategy::Default).jobs_to_create(load), 3);
    }

    #[test]
    fn a_value_of_zero_or_an_inactive_trigger_creates_nothing() {
        assert_eq!(job(JobStrategy::Eager).jobs_to_create(load(0.0, [0, 0])), 0);
        let inactive = JobLoad { active: false, ..load(5.0, [0, 0]) };
        assert_eq!(job(JobStrategy::Eager).jobs_to_create(inactive), 0);
    }

    #[test]
    fn the_minimum_runs_whatever_the_value_is() {
        let with_minimum = ScaledJob { min_replica_count: 3, ..job(JobStrategy::Default) };
        assert_eq!(with_minimum.jobs_to_create(load(0.0, [1, 0])), 2);
        assert_eq!(with_minimum.jobs_to_create(load(0.0, [3, 0])), 0);
        assert_eq!(with_minimum.jobs_to_create(load(50.0, [3, 0])), 7);
    }
}
