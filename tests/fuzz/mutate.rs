//! How one input is made of others: pieces go, come, double and change places, numbers jump, and the
//! words of the target come in.

use fastrand::Rng;

/// The longest input.
const LONGEST: usize = 2_048;
/// Numbers at which arithmetic turns over, and those beside our own bounds.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "0.001",
    "0.0009",
    "64",
    "65",
    "1000",
    "1001",
    "65535",
    "65536",
    "1000000000000",
    "1000000000001",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e309",
    "nan",
    "inf",
    "00",
    ".5",
    "5.",
    "1_000",
    "+1",
    "٣",
];
/// Bytes that separate, quote or mislead somewhere.
const SIGNS: &[&str] = &[
    ",", "=", "\\", "*", "?", "[", "]", "^", "-", "{", "}", ":", ".", "\"", "'", "#", "&", "|",
    "/", "~", "%", "$", ">", "<", "\n", "\r\n", "\t", " ", "\0", "\u{7f}", "\u{85}", "\u{a0}",
    "\u{feff}", "\u{202e}", "é", "日", "🐇", "FromEnv",
];

/// A new input.
pub fn mutated(kept: &[Vec<u8>], words: &[&str], rng: &mut Rng) -> Vec<u8> {
    // What was found last has been tried least.
    let newest = kept.len().saturating_sub(32);
    let from = if rng.u8(0..4) == 0 { newest } else { 0 };
    let mut input = kept[rng.usize(from..kept.len())].clone();
    for _ in 0..1 << rng.u8(0..4) {
        step(&mut input, (kept, words), rng);
    }
    input.truncate(LONGEST);
    input
}

fn step(input: &mut Vec<u8>, (kept, words): (&[Vec<u8>], &[&str]), rng: &mut Rng) {
    let (at, end) = range(input.len(), rng);
    let piece = input[at..end].to_vec();
    match rng.u8(0..12) {
        0 => drop(input.drain(at..end)),
        1 => insert(input, at, &piece),
        2 => {
            let times = rng.usize(1..40);
            insert(input, at, &piece.repeat(times));
        }
        3 => {
            let place = rng.usize(0..=input.len());
            insert(input, place, &piece);
        }
        4 => {
            let other = &kept[rng.usize(0..kept.len())];
            let (from, to) = range(other.len(), rng);
            input.splice(at..end, other[from..to].iter().copied());
        }
        5 => {
            let other = &kept[rng.usize(0..kept.len())];
            let lines: Vec<&[u8]> = other.split_inclusive(|byte| *byte == b'\n').collect();
            let line = rng.choice(&lines).copied().unwrap_or_default();
            let starts = input.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            let starts: Vec<usize> = [0].into_iter().chain(starts.map(|(at, _)| at + 1)).collect();
            insert(input, rng.choice(starts).unwrap_or(0), line);
        }
        6 if at < input.len() => input[at] = rng.u8(..),
        7 if at < input.len() => input[at] ^= 1 << rng.u8(0..8),
        8 => number(input, at, rng),
        9 => insert(input, at, rng.choice(SIGNS).copied().unwrap_or_default().as_bytes()),
        10 if !words.is_empty() => {
            let word = words[rng.usize(0..words.len())];
            input.splice(at..end, word.bytes());
        }
        _ => {
            let all = [words, SIGNS].concat();
            insert(input, at, all[rng.usize(0..all.len())].as_bytes());
        }
    }
}

/// Another number in the place of the first one from here on.
fn number(input: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let start = input[at..].iter().position(is_digit).map_or(at, |digits| at + digits);
    let length = input[start..].iter().take_while(|byte| is_digit(byte)).count();
    let digits = std::str::from_utf8(&input[start..start + length]).unwrap_or_default();
    let known: i64 = digits.parse().unwrap_or(0);
    let new = match rng.u8(0..4) {
        0 => known.wrapping_add(1).to_string(),
        1 => known.wrapping_sub(1).to_string(),
        2 => (rng.u64(..) >> rng.u8(0..64)).to_string(),
        _ => NUMBERS[rng.usize(0..NUMBERS.len())].to_owned(),
    };
    input.splice(start..start + length, new.bytes());
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    input.splice(at..at, piece.iter().copied().take(LONGEST));
}

/// A piece of so many bytes: mostly a short one.
fn range(length: usize, rng: &mut Rng) -> (usize, usize) {
    let at = rng.usize(0..=length);
    let longest = if rng.u8(0..4) == 0 { length } else { 8 };
    (at, (at + rng.usize(0..=longest)).min(length))
}
