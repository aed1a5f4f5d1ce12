//! The one clock, the one wall-clock read, and how durations are written in settings.
//!
//! Pure code takes an [`Instant`] as an argument; async code asks tokio for it, so that tests can
//! pause time. This file does not know what is timed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
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

/// Writes a duration of whole milliseconds as [`parse_duration`] reads it, in its largest unit.
#[must_use]
pub fn written(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
    let (unit, word) = unit.unwrap_or((1, "ms"));
    format!("{}{word}", millis / unit)
}

/// Writes seconds since the Unix epoch as ISO 8601 in UTC, to the millisecond.
#[must_use]
pub fn written_date(seconds: f64) -> String {
    let time = Duration::try_from_secs_f64(seconds).ok().map(|time| time.as_millis());
    let at = time.and_then(|millis| Timestamp::from_millisecond(millis.try_into().ok()?).ok());
    at.map_or_else(|| format!("{seconds} s"), |at| format!("{at:.3}"))
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
    fn what_is_written_is_read_as_the_same() {
        for text in ["1ms", "1500ms", "4s", "90s", "2m", "1h", "168h", "0ms"] {
            assert_eq!(written(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn a_time_is_written_as_a_date() {
        assert_eq!(written_date(1_795_925_342.5), "2026-11-29T04:09:02.500Z");
        assert_eq!(written_date(1e12), "1000000000000 s");
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
