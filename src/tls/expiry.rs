//! When to say that a certificate is about to end.
//!
//! It is pure: the time is an argument. It does not know whose certificate it is.

use std::time::Duration;

use crate::limits;

/// What there is to say of a certificate's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// It ends within [`limits::CERTIFICATE_ENDS_SOON`].
    Soon,
    /// It has ended, and is refused everywhere.
    Over,
}

/// The end of the certificate in use, and what was said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    not_after: Duration,
    told: Option<Ending>,
}

impl Expiry {
    /// Nothing was said yet of a certificate that ends then, since the Unix epoch.
    #[must_use]
    pub fn of(not_after: Duration) -> Self {
        Self { not_after, told: None }
    }

    /// When it ends, since the Unix epoch.
    #[must_use]
    pub fn not_after(&self) -> Duration {
        self.not_after
    }

    /// Another certificate is in use. One that ends at the same time is taken for the same.
    pub fn renew(&mut self, not_after: Duration) {
        if self.not_after != not_after {
            *self = Self::of(not_after);
        }
    }

    /// What there is to say now, since the Unix epoch, that was not said before.
    pub fn look(&mut self, now: Duration) -> Option<Ending> {
        let ending = if now >= self.not_after {
            Ending::Over
        } else if now + limits::CERTIFICATE_ENDS_SOON >= self.not_after {
            Ending::Soon
        } else {
            return None;
        };
        let is_new = self.told < Some(ending);
        self.told = self.told.max(Some(ending));
        is_new.then_some(ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn each_thing_is_said_once_and_anew_of_another_certificate() {
        let mut expiry = Expiry::of(100 * DAY);
        assert_eq!(expiry.look(92 * DAY), None);
        assert_eq!(expiry.look(93 * DAY), Some(Ending::Soon));
        assert_eq!(expiry.look(94 * DAY), None);
        expiry.renew(100 * DAY);
        assert_eq!(expiry.look(95 * DAY), None, "the same files were read again");
        assert_eq!(expiry.look(100 * DAY), Some(Ending::Over));
        assert_eq!(expiry.look(101 * DAY), None);
        assert_eq!(expiry.look(99 * DAY), None, "the clock was set back");
        expiry.renew(105 * DAY);
        assert_eq!(expiry.look(101 * DAY), Some(Ending::Soon));
        expiry.renew(200 * DAY);
        assert_eq!(expiry.look(101 * DAY), None);
        assert_eq!(Expiry::of(DAY).look(2 * DAY), Some(Ending::Over), "also at the first look");
    }
}
