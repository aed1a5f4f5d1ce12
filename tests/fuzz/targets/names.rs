//! Lists of queue names with escapes, patterns and weights, beside a second reader of the same
//! grammar that works by replacing text; and the same text as one literal name.

use penstock::{
    layouts::{Answer, Name, Read, Registry, SizeAnswer},
    limits,
    trigger::Trigger,
};

use crate::{
    engine::{Target, Traits},
    hold,
};

use super::is_plain_decimal;

pub const TARGET: Target = Target { name: "names", words: WORDS, check };

const WORDS: &[&str] = &[
    "a", "emails", "reports", "\\,", "\\*", "\\?", "\\[", "\\=", "\\ ", "\\\\", "=3", "=0.5", "=0",
    "=1000", "=1001", "=.", "=1e3", "a,a", ",,", " , ", "jobs:*", "[ab]", "{a}:b",
];
/// Characters that may be escaped, and what stands for them while the text is taken apart.
const ESCAPABLE: [char; 7] = [',', '*', '?', '[', '=', ' ', '\\'];
const PLACE: u32 = 0xf_0000;

/// One name: its text, whether it is a pattern, and its weight in thousandths.
type Listed = (String, bool, u64);

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    if text.chars().any(|c| (PLACE..PLACE + 8).contains(&u32::from(c))) {
        return Ok(());
    }
    listed(&text, traits)?;
    literal(&text)
}

fn listed(text: &str, traits: &mut Traits) -> Result<(), String> {
    let parsed = parse("queue", text);
    let expected = read(text);
    let (trigger, expected) = match (parsed, expected) {
        (Ok(trigger), Some(expected)) => (trigger, expected),
        (Err(told), None) => {
            traits.note_message(&told);
            return Ok(());
        }
        (Ok(trigger), None) => return Err(format!("it took {:?}", trigger.plan.reads())),
        (Err(_), Some(expected)) if may_be_no_pattern(&expected) => return Ok(()),
        (Err(told), Some(expected)) => return Err(format!("{expected:?} was refused: {told}")),
    };
    let patterns = trigger.search.as_ref().map_or(0, |search| search.patterns().len());
    traits.note((expected.len().min(5), patterns.min(3)));
    let (sought, expected): (Vec<Listed>, Vec<Listed>) =
        expected.into_iter().partition(|(_, is_pattern, _)| *is_pattern);
    let reads = trigger.plan.reads();
    let names: Vec<&Name> = reads.iter().map(Read::key).collect();
    let wanted: Vec<Name> = expected.iter().map(|(name, ..)| Name::from(name.as_str())).collect();
    hold!(names == wanted.iter().collect::<Vec<_>>(), "{names:?}, not {wanted:?}");
    hold!(sought.len() == patterns, "{sought:?}, and {patterns} patterns");
    for (at, (name, _, thousandths)) in expected.iter().enumerate() {
        let one = |place| {
            if place == at { Answer::Size(SizeAnswer::Members(1_000)) } else { Answer::Missing }
        };
        let answers: Vec<Answer> = (0..reads.len()).map(one).collect();
        let verdict = trigger.verdict(&answers.iter().collect::<Vec<_>>());
        let value = verdict.map_err(|mismatch| mismatch.to_string())?.value.get();
        let wanted = f64::from(u32::try_from(*thousandths).unwrap_or(u32::MAX));
        hold!((value - wanted).abs() < 1e-6, "1000 of `{name}` weigh {value}, not {wanted}");
        traits.note(*thousandths == 1_000);
    }
    Ok(())
}

/// Whether more patterns are written than a trigger may have, or one that may be none: its classes
/// are the business of another target.
fn may_be_no_pattern(expected: &[Listed]) -> bool {
    let patterns = || expected.iter().filter(|(_, is_pattern, _)| *is_pattern);
    let is_open = |(name, ..): &Listed| {
        name.contains('[') || name.ends_with('\\') || 2 * name.len() > limits::NAME_BYTES
    };
    patterns().count() > limits::PATTERNS_PER_TRIGGER || patterns().any(is_open)
}

fn literal(text: &str) -> Result<(), String> {
    let is_name =
        !text.is_empty() && text.len() <= limits::NAME_BYTES && !text.chars().any(char::is_control);
    let read = parse("listName", text).map(|trigger| trigger.plan.reads()[0].key().clone());
    let is_right = read.as_ref().ok() == is_name.then(|| Name::from(text)).as_ref();
    hold!(is_right, "as one name it is {read:?}");
    Ok(())
}

fn parse(key: &str, text: &str) -> Result<Trigger, String> {
    let pairs = vec![(key.to_owned(), text.to_owned())];
    Trigger::parse(pairs, Registry::builtin()).map_err(|problems| problems.to_string())
}

/// The list as the documentation has it, or nothing if any of it is no name.
fn read(text: &str) -> Option<Vec<Listed>> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let escaped = ESCAPABLE.iter().position(|known| c == '\\' && rest.starts_with(*known));
        match escaped {
            Some(place) => {
                plain.push(char::from_u32(PLACE + u32::try_from(place).ok()?)?);
                rest = &rest[1..];
            }
            None => plain.push(c),
        }
    }
    let names: Option<Vec<Listed>> = plain.split(',').map(name).collect();
    let names = names?;
    let twice =
        (1..names.len()).any(|at| names[..at].iter().any(|(name, ..)| *name == names[at].0));
    (!twice && names.len() <= limits::KEYS_PER_TRIGGER).then_some(names)
}

fn name(plain: &str) -> Option<Listed> {
    let is_space = |c: char| c.is_whitespace() && !c.is_control();
    let plain = plain.trim_matches(is_space);
    let (name, thousandths) = match plain.rsplit_once('=') {
        Some((name, number)) if is_plain_decimal(number) => {
            let jobs: f64 = number.parse().ok()?;
            let thousandths = format!("{:.0}", (jobs * 1_000.0).round()).parse().ok()?;
            (name, thousandths)
        }
        _ => (plain, 1_000),
    };
    let is_pattern = name.contains(['*', '?', '[']);
    let mut text = name.to_owned();
    for (place, c) in ESCAPABLE.iter().enumerate() {
        let stands = char::from_u32(PLACE + u32::try_from(place).ok()?)?;
        text = text.replace(stands, &c.to_string());
    }
    let is_name =
        !text.is_empty() && text.len() <= limits::NAME_BYTES && !text.chars().any(char::is_control);
    let is_weight = (1..=1_000_000).contains(&thousandths);
    (is_name && is_weight).then_some((text, is_pattern, thousandths))
}
