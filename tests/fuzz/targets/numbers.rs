//! Decimals, durations, thresholds and Kubernetes' quantities, beside integer arithmetic.

use std::time::Duration;

use penstock::{
    limits,
    time::{parse_decimal, parse_duration},
    trigger::{Activation, Target as PerReplica},
};
use penstock_hpa::MetricValue;

use crate::{
    engine::{Target, Traits},
    hold,
};

use super::is_plain_decimal;

pub const TARGET: Target = Target { name: "numbers", words: WORDS, check };

const WORDS: &[&str] =
    &["ms", "s", "m", "h", "d", "0", "0.0", "1", "5", "999", ".", "e", "nan", "inf", " "];
/// The longest duration, in nanoseconds: 10,000 days.
const LONGEST: f64 = 10_000.0 * 86_400.0 * 1e9;

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let decimal = parse_decimal(&text);
    let expected = digits(&text);
    traits.note((decimal.is_some(), text.len().min(24)));
    match (decimal, expected) {
        (None, None) => {}
        (Some(got), Some(expected)) if is_near(got, expected) => {}
        // Beyond what a float holds nobody can tell.
        (None, Some(expected)) if expected.is_infinite() => {}
        (got, expected) => return Err(format!("the decimal is {got:?}, not {expected:?}")),
    }
    duration(&text, traits)?;
    thresholds(&text, traits)?;
    quantities(&text, traits)
}

/// The value of a plain decimal, digit by digit.
fn digits(text: &str) -> Option<f64> {
    if !is_plain_decimal(text) {
        return None;
    }
    let (whole, parts) = text.split_once('.').unwrap_or((text, ""));
    let digit = |c: char| f64::from(c.to_digit(10).unwrap_or_default());
    let whole = whole.chars().fold(0.0, |sum: f64, c| sum * 10.0 + digit(c));
    let parts = parts.chars().rev().fold(0.0, |sum: f64, c| (sum + digit(c)) / 10.0);
    Some(whole + parts)
}

fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() <= other.abs() * 1e-9
}

fn duration(text: &str, traits: &mut Traits) -> Result<(), String> {
    let units = [("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9), ("", 1e9)];
    let text = text.trim();
    let in_unit = |(unit, nanos): (&str, f64)| {
        let number = text.strip_suffix(unit)?;
        Some(digits(number)? * nanos)
    };
    let expected = units.into_iter().find_map(in_unit).filter(|nanos| *nanos < LONGEST * 1.000_001);
    let got = parse_duration(text).map(|duration| duration.as_secs_f64() * 1e9);
    traits.note((got.is_ok(), text.chars().last()));
    match (got, expected) {
        (Err(_), None) => Ok(()),
        (Err(_), Some(nanos)) if nanos > LONGEST * 0.999_999 => Ok(()),
        (Ok(got), Some(nanos)) if (got - nanos).abs() <= nanos * 1e-9 + 1.0 => Ok(()),
        (got, expected) => Err(format!("the duration is {got:?}, not {expected:?}")),
    }?;
    let again = parse_duration(text).unwrap_or(Duration::ZERO);
    hold!(again <= Duration::from_hours(240_000), "{again:?} is too long");
    Ok(())
}

fn thresholds(text: &str, traits: &mut Traits) -> Result<(), String> {
    let value = digits(text.trim());
    let (target, activation) = (PerReplica::parse(text), Activation::parse(text));
    traits.note((target.is_ok(), activation.is_ok()));
    // At the very bounds the last bit of the second reading may differ.
    let at = |bound: f64| value.is_some_and(|value| is_near(value, bound));
    let within = |range: std::ops::RangeInclusive<f64>| value.is_some_and(|v| range.contains(&v));
    if !at(limits::TARGET_MIN) && !at(limits::QUANTITY_MAX) {
        let is_target = within(limits::TARGET_MIN..=limits::QUANTITY_MAX);
        hold!(target.is_ok() == is_target, "as a target it is {target:?}, not {value:?}");
        let is_activation = within(0.0..=limits::QUANTITY_MAX);
        hold!(activation.is_ok() == is_activation, "as an activation it is {activation:?}");
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
fn quantities(text: &str, traits: &mut Traits) -> Result<(), String> {
    let Ok(value) = text.trim().parse::<f64>() else { return Ok(()) };
    let milli = MetricValue::from(value).milli();
    traits.note((milli == 0, value.is_nan(), value < 0.0, milli == i64::MAX));
    hold!(milli >= 0, "{value} has {milli} thousandths");
    let target = penstock_hpa::Target::try_from(value).map(penstock_hpa::Target::milli).ok();
    hold!(target.unwrap_or(0) == milli, "{value} is the target {target:?}, and {milli}");
    if !value.is_finite() || value <= 0.0 {
        hold!(milli == 0, "{value} has {milli} thousandths");
    } else if value < 9e15 {
        let off = (milli as f64 - value * 1_000.0).abs();
        hold!(off <= 0.5 + value * 1e-9, "{value} has {milli} thousandths");
    } else if value > 9.3e15 {
        hold!(milli == i64::MAX, "{value} has {milli} thousandths");
    }
    if !value.is_finite() || value.abs() > 1e300 {
        return Ok(());
    }
    let larger = MetricValue::from(value.abs() * 1.5 + 1.0).milli();
    hold!(larger >= milli, "more than {value} has {larger} thousandths, and not {milli}");
    Ok(())
}
