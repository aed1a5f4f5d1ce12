//! Many measurements of one thing, and counts as numbers to divide.

use tokio::time::Duration;

/// A count as a number to divide by.
pub fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Many measurements of one thing.
#[derive(Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub fn add(&mut self, sample: f64) {
        let place = self.0.partition_point(|other| *other <= sample);
        self.0.insert(place, sample);
    }

    /// Adds a duration, in milliseconds.
    pub fn add_ms(&mut self, sample: Duration) {
        self.add(sample.as_secs_f64() * 1000.0);
    }

    /// The smallest sample that so many of a hundred samples do not exceed; 0 of none.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or(0.0)
    }

    /// The largest sample.
    pub fn max(&self) -> f64 {
        self.percentile(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_sample_that_was_taken() {
        let mut samples = Samples::default();
        (1..=200).rev().for_each(|sample| samples.add(sample.into()));
        let of = |percent| samples.percentile(percent);
        assert_eq!([of(50), of(99), samples.max()], [100.0, 198.0, 200.0]);
    }
}
