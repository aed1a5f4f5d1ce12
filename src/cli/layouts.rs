//! `penstock layouts`: what each layout counts and which keys of a trigger it understands, from the
//! layouts themselves.
//!
//! `docs/layouts.md` is its output as Markdown, so that neither can tell what is not so. It knows
//! the format of no layout file.

use std::{
    collections::BTreeSet,
    fmt::{Result, Write},
};

use crate::{
    layouts::{
        Argument, Arguments, Expression, Glob, KeyPattern, Layout, Measure, Name, ParameterKind,
        Pattern, Plan, Read, Registry, Term, Weight,
    },
    limits,
    redis::{self, Cost},
};

/// The name of every layout with its sentence.
pub(super) fn list(registry: &Registry) -> String {
    let width = registry.layouts().map(|layout| layout.name().len()).max().unwrap_or_default();
    let row = |layout: &Layout| format!("{:width$}  {}\n", layout.name(), layout.doc());
    registry.layouts().map(row).collect()
}

/// One layout for people at a terminal.
pub(super) fn page(layout: &Layout) -> String {
    let mut text = String::new();
    write_page(layout, &mut text).expect("a string takes everything that is written");
    text
}

fn write_page(layout: &Layout, text: &mut String) -> Result {
    writeln!(text, "{}\n{}\n", layout.name(), layout.doc())?;
    for (name, parameter) in layout.parameters() {
        let aliases: String = parameter.aliases.iter().map(|alias| format!(", {alias}")).collect();
        writeln!(text, "  {name}{aliases}: {}{}", parameter.kind.describe(), given(layout, name))?;
        writeln!(text, "      {} For example {}", parameter.doc, parameter.example)?;
    }
    writeln!(text)?;
    for (state, arithmetic) in states(layout) {
        writeln!(text, "  {state:<10} {arithmetic}")?;
    }
    for note in notes(layout) {
        writeln!(text, "\n  {note}")?;
    }
    Ok(())
}

/// Every layout as Markdown.
pub(super) fn markdown(registry: &Registry) -> String {
    let mut text = String::from(HEAD);
    for layout in registry.layouts() {
        write_section(layout, &mut text).expect("a string takes everything that is written");
    }
    text
}

const HEAD: &str = "# Layouts

What each layout reads, and the keys of a trigger that it has beside the ones that every trigger has
([triggers.md](triggers.md)). This page is what `penstock layouts --markdown` prints, and a test holds it to that.

QUEUE stands for each queue that the trigger names, PREFIX and the like for other names. *due*, *waiting* and
*in flight* are read in this order, so that a job which moves between two reads is counted twice and never missed.
";

fn write_section(layout: &Layout, text: &mut String) -> Result {
    writeln!(text, "\n## Layout `{}`\n\n{}\n", layout.name(), layout.doc())?;
    writeln!(text, "| key | takes | meaning |\n| --- | --- | --- |")?;
    for (name, parameter) in layout.parameters() {
        let aliases: String =
            parameter.aliases.iter().map(|alias| format!(", `{alias}`")).collect();
        let kind = parameter.kind.describe();
        let (given, doc) = (given(layout, name), &parameter.doc);
        let example = format!("For example `{}`.", parameter.example);
        writeln!(text, "| `{name}`{aliases} | {kind}{given} | {doc} {example} |")?;
    }
    writeln!(text, "\n| state | counts |\n| --- | --- |")?;
    for (state, arithmetic) in states(layout) {
        writeln!(text, "| {state} | {arithmetic} |")?;
    }
    for note in notes(layout) {
        writeln!(text, "\n{note}")?;
    }
    Ok(())
}

/// What holds when a parameter is not given.
fn given(layout: &Layout, name: &str) -> String {
    let Some(parameter) = layout.parameter(name) else { return String::new() };
    match parameter.kind.default_text() {
        Some(default) if default.is_empty() => "; empty by default".to_owned(),
        Some(default) => format!("; default `{}`", Name::from(default.as_str())),
        None if parameter.required => "; required".to_owned(),
        None => String::new(),
    }
}

/// The arithmetic of each measure, with defaults where there are any and the names of the others.
fn states(layout: &Layout) -> Vec<(&'static str, String)> {
    let plan = layout.plan(&sample(layout));
    let told = plan.terms().iter().filter(|(_, summands)| !summands.is_empty());
    told.map(|(measure, summands)| (measure.words(), sum(&plan, measure, summands))).collect()
}

fn sum(plan: &Plan, measure: Measure, summands: &[Expression<Term>]) -> String {
    let leaf = |term: &Term| plan.reads()[term.read].describe(term.part);
    measure.joined(summands.iter().map(|summand| summand.describe(&leaf)))
}

fn sample(layout: &Layout) -> Arguments {
    let mut arguments = Arguments::default();
    for (name, parameter) in layout.parameters() {
        let default = parameter.default_argument();
        let is_needed = parameter.required || layout.needs().iter().any(|need| need == name);
        // A prefix that is empty by default is left out, as in the framework's own words.
        let placeholder = || {
            let named = Argument::Names(vec![(name.to_uppercase().as_str().into(), Weight::ONE)]);
            is_needed.then_some(named)
        };
        if let Some(argument) = default.or_else(placeholder) {
            arguments.set(name, argument);
        }
    }
    arguments
}

/// The same for a signal of jobs, which reads nothing else.
fn of_jobs(layout: &Layout) -> Arguments {
    let mut arguments = sample(layout);
    let others = Measure::ALL.into_iter().filter(|measure| !measure.is_of_jobs());
    others.for_each(|measure| arguments.leave_out(measure));
    arguments
}

fn notes(layout: &Layout) -> Vec<String> {
    let invisible =
        layout.invisible(&sample(layout)).map(|doc| format!("**Not visible by default:** {doc}"));
    let cost = cost(&layout.plan(&of_jobs(layout)));
    invisible.into_iter().chain([moves(layout)]).chain([cost]).chain(searched(layout)).collect()
}

/// What is done about jobs that are in no key while they move.
fn moves(layout: &Layout) -> String {
    let gap = layout.gap(&sample(layout));
    let told: Vec<&str> = layout.gaps().collect();
    let what = if gap.is_zero() {
        "Each move of a job is one step for Redis, so a count that was read at one moment is believed at once; \
         any other lower count is read once more first."
            .to_owned()
    } else if gap > limits::GAP_WAITED_FOR {
        format!(
            "A job may be in no key for up to {gap:?}, so after a fall what was counted before stands for that long."
        )
    } else {
        format!(
            "A job may be in no key for up to {gap:?}, so a lower count is read once more after that, within the call."
        )
    };
    format!("**While a job moves:** {what} {}", told.join(" ")).trim_end().to_owned()
}

/// The keys by which the queues of a pattern are found, with `*` for the pattern.
fn searched(layout: &Layout) -> Option<String> {
    let mut arguments = of_jobs(layout);
    for (name, parameter) in layout.parameters() {
        if parameter.kind == ParameterKind::Keys {
            let glob = Glob::parse("*").ok()?;
            arguments.set(name, Argument::Names(vec![]));
            arguments.add_pattern(Pattern {
                parameter: name.to_owned(),
                glob,
                weight: Weight::ONE,
            });
        }
    }
    let search = layout.search(&arguments).ok()??;
    let key = |wild: &KeyPattern| {
        let kind = wild.kind.map(|kind| format!(" ({})", kind.type_name())).unwrap_or_default();
        format!("`{}`{kind}", wild.glob)
    };
    let keys: Vec<String> = search.wilds().iter().map(key).collect();
    Some(format!("The queues of a pattern are found by the keys {}.", keys.join(", ")))
}

/// What one refresh of one queue costs Redis. Nothing is read while nothing changes.
fn cost(plan: &Plan) -> String {
    let costs: Vec<Cost> = plan.reads().iter().filter_map(redis::cost).collect();
    let mut commands: usize = costs.iter().map(|cost| cost.commands).sum();
    let notes: BTreeSet<&str> = costs.iter().filter_map(|cost| cost.more).collect();
    let timed = plan.reads().iter().any(Read::depends_on_time);
    commands += usize::from(timed);
    let more: String = notes.into_iter().map(|note| format!(", and {note}")).collect();
    let s = if commands == 1 { "" } else { "s" };
    format!("A refresh costs Redis {commands} command{s}{more}.")
}
