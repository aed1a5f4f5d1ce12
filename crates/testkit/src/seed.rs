//! A seed for what a test does at random, told when the test fails.

use crate::programs;

/// A seed that prints itself when its test fails.
pub struct Seed(u64);

/// A new seed, or the one that the environment asks for.
pub fn seed() -> Seed {
    Seed(programs::seed().unwrap_or_else(|| fastrand::u64(..)))
}

impl Seed {
    pub fn number(&self) -> u64 {
        self.0
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("PENSTOCK_TEST_SEED={} takes the same steps again", self.0);
        }
    }
}
