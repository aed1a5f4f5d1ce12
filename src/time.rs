//! The one clock, the one wall-clock read, and how durations are written in settings.
//!
//! Pure code takes an [`Instant`] as an argument; async code asks tokio for it, so that tests can
//! pause time. This file does not know what is timed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use tokio::time::Instant;

/// The wall clock as a duration since the Unix epoch; zero if the clock is set before it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn wall_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a duration such as 500ms, 4s, 2m or 1h; a bare number is seconds")]
pub struct NotADuration;

/// Reads `500ms`, `4s`, `2m`, `1h` or a bare number of seconds; the number is a plain decimal.
///
/// # Errors
/// [`NotADuration`] for anything else, also for more than 10,000 days.
pub fn parse_duration(text: &str) -> Result<Duration, NotADuration> {
    let text = text.trim();
    let digits = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds_per_unit = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(NotADuration),
    };
    let number = parse_decimal(number).ok_or(NotADuration)?;
    let seconds = number * seconds_per_unit;
    if seconds > 10_000.0 * 86_400.0 {
        return Err(NotADuration);
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| NotADuration)
}

/// Reads a plain decimal: digits with at most one point, no sign, no exponent, no `inf` or `nan`.
#[must_use]
pub fn parse_decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let some_digit = text.bytes().any(|b| b.is_ascii_digit());
    if !plain || !some_digit {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Reads a finite number of at least 0 in any common spelling: also with a sign or an exponent.
#[must_use]
pub fn parse_number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_unit_is_read() {
        for (text, ms) in [("500ms", 500), ("4s", 4_000), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(parse_duration("7"), Ok(Duration::from_secs(7)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "s", "-1s", "1d", "1e3", "inf", "NaN", "1 s x", "1.2.3", "99999999h"] {
            assert_eq!(parse_duration(text), Err(NotADuration), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,12}") {
            if let Ok(duration) = parse_duration(&text) {
                prop_assert!(duration.as_secs() <= 10_000 * 86_400);
            }
        }
    }
}
