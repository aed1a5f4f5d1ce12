//! A layout of one's own and a trigger of it: what comes of any file is a plan within all bounds,
//! which counts nothing for what is not known. A line `---` parts the file from the metadata.

use penstock::{config::Config, layouts::Measure, trigger::Trigger};

use crate::{
    engine::{Target, Traits},
    hold,
    sound::sound,
};

use super::pairs;

pub const TARGET: Target = Target { name: "layout", words: WORDS, check };

const WORDS: &[&str] = &[
    "[layouts.acme]",
    "[[layouts.acme.waiting]]",
    "[[layouts.acme.in_flight]]",
    "[[layouts.acme.scheduled]]",
    "[[layouts.acme.orphaned]]",
    "[[layouts.acme.paused]]",
    "[[layouts.acme.invisible]]",
    "[layouts.acme.params.queue]",
    "[layouts.acme.params.mode]",
    "read = \"size\"",
    "read = \"each\"",
    "read = \"group-waiting\"",
    "read = \"group-pending\"",
    "read = \"exists\"",
    "read = \"value\"",
    "members = \"due\"",
    "members = \"leased\"",
    "slack",
    "minus",
    "or",
    "unit = \"ms\"",
    "type = \"hash\"",
    "ask = \"field\"",
    "filter",
    "pointer",
    "overflow = \"skip\"",
    "of = \"robots\"",
    "collection = \"set\"",
    "beyond",
    "read = \"heard\"",
    "missing_group",
    "{queue}",
    "{mode}",
    "{0x00}",
    "{{",
    "{member}",
    "type",
    "\"keys\"",
    "\"name\"",
    "\"words\"",
    "\"duration\"",
    "\"choice\"",
    "choices",
    "default",
    "may_be_empty = true",
    "word_only = true",
    "ends_with = \":\"",
    "refused = { x = \"y\" }",
    "database = \"{db}\"",
    "aliases",
    "needs",
    "blind_window",
    "[[layouts.acme.gap]]",
    "lasts = \"2s\"",
    "lasts = \"{lead}\"",
    "unless",
    "when",
    "doc = \"x\"",
    "example = \"x\"",
    "required = true",
    "\n",
    "---",
    "queue=a,b",
    "mode=x",
    "\"\"",
];

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let (toml, metadata) = text.split_once("\n---\n").unwrap_or((&text, "queue=a"));
    let config = match Config::parse(toml, "f") {
        Ok(config) => config,
        Err(problems) => {
            for problem in problems.iter() {
                traits.note_message(&problem.what);
                let told = problem.to_string();
                hold!(told.len() <= 4_096, "a problem of {} bytes", told.len());
                hold!(!told.chars().any(char::is_control), "a control character: {told:?}");
            }
            return Ok(());
        }
    };
    let mut pairs = pairs(metadata);
    if !pairs.iter().any(|(key, _)| key == "layout") {
        pairs.push(("layout".to_owned(), "acme".to_owned()));
    }
    match Trigger::parse(pairs, &config.layouts) {
        Ok(trigger) => {
            let reads = trigger.plan.reads();
            traits.note((reads.len().min(9), trigger.invisible.is_some()));
            for read in reads {
                traits.note(std::mem::discriminant(read));
            }
            let terms = trigger.plan.terms();
            let told = terms.iter().filter(|(measure, _)| *measure != Measure::Due);
            for one in told.flat_map(|(_, summands)| summands) {
                traits.note(std::mem::discriminant(one));
            }
            sound(&trigger)
        }
        Err(problems) => {
            for problem in problems.iter() {
                traits.note_message(&problem.what);
            }
            hold!(problems.iter().len() > 0, "no trigger and no problem");
            Ok(())
        }
    }
}
