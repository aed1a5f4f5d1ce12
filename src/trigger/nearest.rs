//! The word that was probably meant where an unknown one was written: a key, a layout, a signal. A suggestion
//! sends people somewhere, so one that is far off is worse than none.

use std::cmp::Reverse;

use crate::limits;

/// The word that is meant, if it is no more than a slip away: one edit in three characters, three at
/// most. An edit is a character more, less or other, or two that changed places; letter case and what
/// joins words are none.
pub(super) fn nearest<'w>(wanted: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let wanted = plain(wanted);
    let most = (wanted.chars().count() / 3).clamp(1, 3);
    let scored = words.filter_map(|word| {
        let known = plain(word);
        let edits = strsim::osa_distance(&wanted, &known);
        // Of two that are as near, the one that begins alike.
        let likeness = || (strsim::jaro_winkler(&wanted, &known) * 1e6).round();
        (edits <= most).then(|| ((edits, Reverse(likeness().to_bits())), word))
    });
    scored.min_by_key(|(score, _)| *score).map(|(_, word)| word)
}

fn plain(word: &str) -> String {
    let letters = word.chars().take(limits::VALUE_CHARS_SHOWN).filter(|c| !"_-. ".contains(*c));
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &[&str] =
        &["queue", "target", "stream", "consumerGroup", "inFlight", "unit", "acks", "rq", "arq"];

    #[test]
    fn a_slip_is_found() {
        for (wrong, meant) in [
            ("qeue", "queue"),
            ("queues", "queue"),
            ("tagret", "target"),
            ("in_flight", "inFlight"),
            ("in-flight", "inFlight"),
            ("CONSUMERGROUP", "consumerGroup"),
            ("consummerGruop", "consumerGroup"),
            ("ack", "acks"),
            ("rq2", "rq"),
            ("rqq", "rq"),
        ] {
            assert_eq!(nearest(wrong, WORDS.iter().copied()), Some(meant), "{wrong}");
        }
    }

    #[test]
    fn what_is_far_off_is_not_suggested() {
        for wrong in [
            "masterName",
            "createConsumerGroup",
            "address",
            "maxAge",
            "streamName",
            "x",
            "",
            "zzz",
            "username",
            "targetValue",
            "limit",
            "group",
        ] {
            assert_eq!(nearest(wrong, WORDS.iter().copied()), None, "{wrong}");
        }
    }
}
