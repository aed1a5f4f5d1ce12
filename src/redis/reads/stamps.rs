//! When a job became ready, by the times that are written in it: numbers in any unit, and ISO 8601.
//!
//! Whoever sends jobs writes these, so that anything may stand there. What is no time says nothing.

use std::time::Duration;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::Value as Json;

use crate::{
    layouts::{Place, Stamps, TimeOf},
    limits,
};

/// The units of times since the Unix epoch, told apart by their size: with so many digits before the point any of
/// them is a time from 2001 to 2286 (Sidekiq 7 writes seconds and Sidekiq 8 milliseconds into the same field).
const UNITS: [f64; 4] = [1.0, 1e3, 1e6, 1e9];
/// The seconds of the first of these times, and of what comes after the last.
const EARLIEST: f64 = 1e9;
const LATEST: f64 = 1e10;

/// What stands in the places of a job.
pub(in crate::redis) enum Job<'a> {
    /// The whole of it.
    Text(&'a [u8]),
    /// These fields of a hash, in the order of [`fields`].
    Fields(&'a [&'a str], &'a [Option<Vec<u8>>]),
}

/// The fields of its hash in which a job says its times, each once.
pub(in crate::redis) fn fields(stamps: &Stamps) -> Vec<&str> {
    let mut fields: Vec<&str> = places(stamps).map(Place::field).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

fn places(stamps: &Stamps) -> impl Iterator<Item = &Place> {
    let times = stamps.times.iter().chain(&stamps.not_before);
    times.flat_map(|time| [&time.at].into_iter().chain(&time.plus))
}

/// When a job became ready, or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redis) struct ReadyTime {
    /// Since the Unix epoch, by the clock of who wrote it, which may be a little ahead.
    pub(in crate::redis) at: Duration,
    /// Whether it is not to be begun before a time that is still to come.
    pub(in crate::redis) is_to_come: bool,
}

/// When a job became ready, or will; `None` if it does not say. One that stands where workers take it
/// became ready already, whatever its times say of later, unless it is not to be begun before.
pub(in crate::redis) fn ready_at(
    stamps: &Stamps,
    job: &Job<'_>,
    now: Duration,
) -> Option<ReadyTime> {
    let parsed = Parsed::of(stamps, job);
    let times = |times: &[TimeOf]| -> Vec<Duration> {
        times.iter().filter_map(|time| parsed.time(time)).collect()
    };
    let has_come = |at: &Duration| *at <= now + limits::READY_AHEAD;
    let became = times(&stamps.times).into_iter().filter(has_come).max()?;
    let not_before = times(&stamps.not_before).into_iter().max().unwrap_or_default();
    Some(ReadyTime { at: became.max(not_before), is_to_come: not_before > now })
}

/// What stands in a place.
#[derive(Debug, Clone, PartialEq)]
enum Written {
    Number(f64),
    Text(String),
}

/// A job of which each JSON text is parsed once.
struct Parsed<'a>(Vec<Field<'a>>);

/// A field, or all of what is no hash.
struct Field<'a> {
    name: &'a str,
    text: Option<&'a [u8]>,
    /// If something in it is wanted.
    json: Option<Json>,
}

impl<'a> Parsed<'a> {
    fn of(stamps: &Stamps, job: &Job<'a>) -> Self {
        let is_wanted = |field: &str| {
            places(stamps).any(|place| place.field() == field && place.pointer().is_some())
        };
        let field = |name: &'a str, text: Option<&'a [u8]>| {
            let wanted = text.filter(|_| is_wanted(name));
            let wanted = wanted.filter(|text| text.len() <= limits::PARSED_BYTES);
            let json = wanted.and_then(|text| serde_json::from_slice(text).ok());
            Field { name, text, json }
        };
        Self(match job {
            Job::Text(text) => vec![field("", Some(text))],
            Job::Fields(names, texts) => {
                names.iter().zip(*texts).map(|(name, text)| field(name, text.as_deref())).collect()
            }
        })
    }

    fn written(&self, place: &Place) -> Option<Written> {
        let field = self.0.iter().find(|field| field.name == place.field())?;
        let Some(pointer) = place.pointer() else {
            return match place {
                Place::Text { .. } => {
                    short(std::str::from_utf8(field.text?).ok()?).map(Written::Text)
                }
                Place::LeadingMicroseconds => {
                    let seconds = of_bytes(*field.text?.first_chunk()?) / 1e6;
                    // Eight bytes of anything else may well be a time in another unit.
                    of_seconds(seconds).map(|_| Written::Number(seconds))
                }
            };
        };
        match field.json.as_ref()?.pointer(pointer)? {
            Json::Number(number) => number.as_f64().map(Written::Number),
            Json::String(text) => short(text).map(Written::Text),
            Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }

    fn time(&self, time: &TimeOf) -> Option<Duration> {
        let later = time.plus.as_ref().and_then(|place| self.written(place)?.number());
        self.written(&time.at)?.time(later.unwrap_or_default())
    }
}

fn short(text: &str) -> Option<String> {
    let text = text.trim();
    (text.len() <= limits::TIME_BYTES).then(|| text.to_owned())
}

impl Written {
    /// A finite number, also one that is written as a text.
    fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        };
        number.filter(|number| number.is_finite())
    }

    /// The time that is so much later, in the unit of a number; a date says no unit and is taken as it is.
    fn time(&self, later: f64) -> Option<Duration> {
        match (self.number(), self) {
            (Some(number), _) => of_number(number, later),
            (None, Self::Text(text)) => of_date(text),
            (None, Self::Number(_)) => None,
        }
    }
}

/// The number of eight bytes, the highest first.
fn of_bytes(bytes: [u8; 8]) -> f64 {
    bytes.iter().fold(0.0, |number, byte| number * 256.0 + f64::from(*byte))
}

/// The time of so many seconds since the Unix epoch, if it is one from 2001 to 2286.
pub(in crate::redis) fn of_seconds(seconds: f64) -> Option<Duration> {
    let is_time = (EARLIEST..LATEST).contains(&seconds);
    Duration::try_from_secs_f64(seconds).ok().filter(|_| is_time)
}

/// The time of a number, whose size tells its unit, and of how much later it is.
fn of_number(number: f64, later: f64) -> Option<Duration> {
    let unit = UNITS.into_iter().find(|unit| (EARLIEST..LATEST).contains(&(number / unit)))?;
    Duration::try_from_secs_f64((number + later.max(0.0)) / unit).ok()
}

/// ISO 8601 with `Z`, with an offset, or with neither, which is taken for UTC.
fn of_date(text: &str) -> Option<Duration> {
    let with_zone = text.parse::<Timestamp>().ok();
    let naive = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    let at = with_zone.or_else(|| naive().map(|zoned| zoned.timestamp()))?;
    let time = Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH)).ok()?;
    of_seconds(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_796_000_000);

    fn times(texts: &[&str]) -> Box<[TimeOf]> {
        let one = |text: &&str| {
            let (at, plus) =
                text.split_once(" + ").map_or((*text, None), |(at, by)| (at, Some(by)));
            TimeOf { at: at.into(), plus: plus.map(Place::from) }
        };
        texts.iter().map(one).collect()
    }

    fn stamps(at: &[&str], not_before: &[&str]) -> Stamps {
        Stamps { times: times(at), not_before: times(not_before) }
    }

    fn of_text(text: &str, at: &[&str], not_before: &[&str]) -> Option<f64> {
        let stamps = stamps(at, not_before);
        ready_at(&stamps, &Job::Text(text.as_bytes()), NOW).map(|time| time.at.as_secs_f64())
    }

    #[test]
    fn the_size_of_a_number_tells_its_unit() {
        for text in [
            "1795925342",
            "1795925342.5",
            "1795925342386",
            "1795925342386000",
            "1795925342386000000",
            "\"1795925342.3\"",
            "\"2026-11-29T04:09:02.386Z\"",
            "\"2026-11-29T04:09:02Z\"",
            "\"2026-11-29T04:09:02.386123456+00:00\"",
            "\"2026-11-28T23:09:02.386-05:00\"",
            "\"2026-11-29T04:09:02.386\"",
            "\"2026-11-29 04:09:02\"",
        ] {
            let told = of_text(&format!("{{\"at\":{text}}}"), &["/at"], &[]);
            let off = told.map(|told| (told - 1_795_925_342.3).abs());
            assert!(off.is_some_and(|off| off < 0.5), "{text}: {told:?}");
        }
        assert!(of_text("1795925342.25", &[""], &[]) == Some(1_795_925_342.25));
    }

    #[test]
    fn what_is_no_time_says_nothing() {
        for text in [
            "null",
            "true",
            "[]",
            "{}",
            "\"\"",
            "\"soon\"",
            "0",
            "-1795925342",
            "123456",
            "1e300",
            "17959253420",
            "\"nan\"",
            "\"inf\"",
            "\"2026-13-01T00:00:00Z\"",
            "\"1960-01-01T00:00:00Z\"",
            "\"1970-01-01T00:00:00Z\"",
            "\"1999-12-31T23:59:59Z\"",
            "\"9999-12-31T23:59:59Z\"",
        ] {
            assert_eq!(of_text(&format!("{{\"at\":{text}}}"), &["/at"], &[]), None, "{text}");
        }
        let vast = format!("{{\"at\":1795925342,\"x\":\"{}\"}}", "x".repeat(limits::PARSED_BYTES));
        assert_eq!(of_text(&vast, &["/at"], &[]), None);
        for text in ["", "no JSON", "{\"at\":", "\u{80}", "[1795925342]"] {
            assert_eq!(of_text(text, &["/at"], &[]), None, "{text}");
        }
    }

    #[test]
    fn a_job_is_ready_when_the_last_of_its_times_has_come() {
        let job = r#"{"at":1795925000,"eta":"2026-11-29T04:09:02Z","delay":60,"none":null}"#;
        assert_eq!(of_text(job, &["/at"], &["/eta"]), Some(1_795_925_342.0));
        assert_eq!(of_text(job, &["/at"], &["/none"]), Some(1_795_925_000.0));
        assert_eq!(of_text(job, &["/at + /delay"], &[]), Some(1_795_925_060.0));
        assert_eq!(of_text(job, &["/at + /none"], &[]), Some(1_795_925_000.0));
        assert_eq!(of_text(job, &["/none"], &["/eta"]), None, "an eta alone is no time of arrival");
        assert_eq!(of_text(job, &["/none", "/at"], &[]), Some(1_795_925_000.0));
    }

    #[test]
    fn what_is_taken_already_became_ready_whatever_it_says_of_later() {
        // Promoted by hand a day before its delay was over.
        let job = r#"{"at":1795990000,"delay":86400,"eta":1796100000}"#;
        assert_eq!(of_text(job, &["/at + /delay"], &[]), None);
        assert_eq!(of_text(job, &["/at + /delay", "/at"], &[]), Some(1_795_990_000.0));
        assert_eq!(of_text(job, &["/at"], &["/eta"]), Some(1_796_100_000.0));
        let skewed = r#"{"at":1796000030}"#;
        assert_eq!(of_text(skewed, &["/at"], &[]), Some(1_796_000_030.0));
    }

    #[test]
    fn eight_bytes_before_a_job_are_microseconds() {
        let stamps = Stamps {
            times: [TimeOf { at: Place::LeadingMicroseconds, plus: None }].into(),
            not_before: [].into(),
        };
        let told =
            |job: &[u8]| ready_at(&stamps, &Job::Text(job), NOW).map(|time| time.at.as_secs_f64());
        let job = [&1_795_925_342_500_000_u64.to_be_bytes()[..], b"\x80\x05pickle"].concat();
        assert_eq!(told(&job), Some(1_795_925_342.5));
        // What has no such bytes before it, as Huey writes it by itself.
        assert_eq!(told(b"\x80\x05\x95\xd1\x00\x00\x00\x00\x00\x00\x00\x8c"), None);
        assert_eq!(told(b"short"), None);
    }

    #[test]
    fn the_fields_of_a_hash_are_read_each_once() {
        let stamps = stamps(&["timestamp + opts/delay"], &["processedOn"]);
        let names = fields(&stamps);
        assert_eq!(names, ["opts", "processedOn", "timestamp"]);
        let told = |opts: Option<&str>, processed: Option<&str>| {
            let texts = [opts, processed, Some("1795925000000")];
            let texts = texts.map(|text| text.map(|text| text.as_bytes().to_vec()));
            let told = ready_at(&stamps, &Job::Fields(&names, &texts), NOW);
            told.map(|time| time.at.as_secs_f64() - 1_795_925_000.0)
        };
        assert_eq!(told(Some(r#"{"delay":1500}"#), None), Some(1.5));
        assert_eq!(told(Some("{}"), None), Some(0.0));
        assert_eq!(told(None, None), Some(0.0));
        assert_eq!(told(None, Some("1795925007000")), Some(7.0));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}", later in any::<f64>()) {
            let _ = of_date(&text);
            let told = Written::Text(text).time(later);
            prop_assert!(told.is_none_or(|told| told.as_secs() > 0));
        }
    }
}
