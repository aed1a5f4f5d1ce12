//! How long a job runs on average, where no job says so: by how many run, and how many end meanwhile.
//!
//! Pure. Jobs that run for a time have worked that long together, and what has ended in it shares that work: Little's law.
//! What runs and has not ended is in it too, so that a job that is longer than all that ended makes the mean larger and not
//! smaller. Jobs that ran already when it was first looked are taken to be the first that end, and count for nothing, since
//! nobody saw for how long they ran before. Older work weighs less and less.

use std::time::Duration;

use crate::{layouts::Count, limits, time::Instant};

/// What is known of how long jobs run.
#[derive(Debug, Clone, Default)]
pub struct TaskTime {
    /// When it was looked last, how many jobs ran then, and what each counter of those that ended said.
    last: Option<(Instant, f64, Box<[Count]>)>,
    /// Seconds that jobs ran, together.
    worked: f64,
    /// How many ended in that time.
    finished: f64,
    /// How many may still end that ran before anybody looked.
    unseen: f64,
}

impl TaskTime {
    /// Takes in how many jobs run, and what the counters say of those that ended. A counter that fell began anew or is of
    /// fewer workers, and what ended by it is not known, which makes the mean larger.
    pub fn note(&mut self, running: Count, counters: &[Count], at: Instant) {
        let last = self.last.replace((at, running.get(), counters.into()));
        let last = last.filter(|(.., before)| before.len() == counters.len());
        let Some((since, ran, before)) = last else {
            self.unseen = running.get();
            return;
        };
        let time = at.saturating_duration_since(since).as_secs_f64();
        self.worked += (ran - self.unseen).max(0.0) * time;
        let rises = counters.iter().zip(&before).map(|(now, before)| now.less(*before).get());
        let ended = rises.sum::<f64>();
        let unseen = ended.min(self.unseen);
        (self.unseen, self.finished) = (self.unseen - unseen, self.finished + ended - unseen);
        while self.finished > limits::TASK_TIME_JOBS {
            (self.worked, self.finished) = (self.worked / 2.0, self.finished / 2.0);
        }
    }

    /// Nobody sees what runs and what ends until it is looked at again. What is known stays.
    pub fn pause(&mut self) {
        self.last = None;
    }

    /// How long a job runs, on average; `None` until one ended that was seen to run.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let seconds =
            (self.finished >= 1.0 && self.worked > 0.0).then(|| self.worked / self.finished)?;
        let (least, most) = (*limits::JOB_TIME.start(), *limits::JOB_TIME.end());
        Some(Duration::try_from_secs_f64(seconds).map_or(most, |mean| mean.clamp(least, most)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Watched {
        time: TaskTime,
        start: Instant,
    }

    impl Watched {
        fn new() -> Self {
            Self { time: TaskTime::default(), start: Instant::now() }
        }

        fn note(&mut self, seconds: f64, running: u64, finished: &[u64]) {
            let counters: Vec<Count> = finished.iter().map(|one| Count::from(*one)).collect();
            let at = self.start + Duration::from_secs_f64(seconds);
            self.time.note(Count::from(running), &counters, at);
        }

        fn mean(&self) -> Option<f64> {
            self.time.mean().map(|mean| mean.as_secs_f64())
        }
    }

    #[test]
    fn it_is_unknown_until_a_job_ended_that_ran() {
        let mut watched = Watched::new();
        watched.note(0.0, 0, &[500]);
        watched.note(10.0, 2, &[500]);
        assert_eq!(watched.mean(), None);
        watched.note(25.0, 1, &[501]);
        assert_eq!(watched.mean(), Some(30.0), "both ran for 15 s, and the other one is in it");
        watched.note(25.0, 0, &[502]);
        assert_eq!(watched.mean(), Some(15.0));
        watched.note(1_000.0, 0, &[502]);
        assert_eq!(watched.mean(), Some(15.0), "an idle hour changes nothing");
        let mut unseen = Watched::new();
        unseen.note(0.0, 0, &[0]);
        unseen.note(5.0, 0, &[40]);
        assert_eq!(unseen.mean(), None, "none of them was seen to run, and that is no 0");
    }

    #[test]
    fn what_ran_before_anybody_looked_makes_no_time_shorter() {
        let mut watched = Watched::new();
        // A hundred that have run for an hour, and end in a second; then others of ten seconds.
        watched.note(0.0, 100, &[0]);
        watched.note(1.0, 0, &[100]);
        assert_eq!(watched.mean(), None);
        watched.note(1.0, 10, &[100]);
        watched.note(11.0, 0, &[110]);
        assert_eq!(watched.mean(), Some(10.0));
        // The same after a time in which nobody looked.
        watched.time.pause();
        watched.note(100.0, 50, &[500]);
        watched.note(100.5, 0, &[550]);
        assert_eq!(watched.mean(), Some(10.0));
        // However often that is, in the middle of jobs of ten seconds: what was seen of those that run is in it.
        let mut ended = 1_000;
        for second in 0..1_000_u32 {
            if second % 25 == 0 {
                watched.time.pause();
            }
            watched.note(200.0 + f64::from(second), 5, &[ended]);
            ended += u64::from(second % 2 == 1);
        }
        let mean = watched.mean().unwrap();
        assert!((10.0..14.0).contains(&mean), "{mean}");
    }

    #[test]
    fn jobs_of_any_mixture_have_the_mean_of_their_work() {
        let mut watched = Watched::new();
        // Four slots: three jobs of 2 s one after another in each of three, and one of 60 s again and again.
        let mut ended = 0;
        for second in 0..1_200_u32 {
            watched.note(f64::from(second), 4, &[ended]);
            ended += if second % 2 == 1 { 3 } else { 0 };
            ended += u64::from(second % 60 == 59);
        }
        let mean = watched.mean().unwrap();
        // 4 s of work each second; 1.5 + 1/60 jobs end.
        let wanted = 4.0 / (1.5 + 1.0 / 60.0);
        assert!((mean - wanted).abs() < 0.05 * wanted, "{mean}, not {wanted}");
    }

    #[test]
    fn what_was_long_ago_weighs_less() {
        let mut watched = Watched::new();
        let mut ended = 0;
        for second in 0..2_000_u32 {
            watched.note(f64::from(second), 1, &[ended]);
            // Ten seconds a job, and from the middle on one.
            ended += u64::from(second % 10 == 9 || second >= 1_000);
        }
        let mean = watched.mean().unwrap();
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn a_counter_that_falls_or_is_new_makes_no_job_end() {
        let mut watched = Watched::new();
        watched.note(0.0, 0, &[100, 7]);
        watched.note(0.0, 2, &[100, 7]);
        watched.note(10.0, 2, &[102, 7]);
        assert_eq!(watched.mean(), Some(10.0));
        watched.note(20.0, 2, &[0, 7]);
        assert_eq!(watched.mean(), Some(20.0), "it is larger, since nobody knows what ended");
        watched.note(20.0, 2, &[9_000]);
        assert_eq!(watched.mean(), Some(20.0));
        watched.time.pause();
        watched.note(500.0, 2, &[9_400]);
        assert_eq!(watched.mean(), Some(20.0), "nobody looked meanwhile");
    }
}
