//! Where job frameworks keep their jobs in Redis, by state: waiting, scheduled, in flight.
//!
//! This is one of the two extension folders. A layout is data; nothing here reads Redis, waits,
//! logs or looks at a clock.
//!
//! # Adding a layout
//! 1. Write `builtin/NAME.toml`: a `doc`, its `[params.…]` each with `type`, `doc` and `example`,
//!    and the summands of each state as `[[scheduled]]`, `[[waiting]]` and `[[in_flight]]`.
//! 2. Add it to [`BUILTIN`]. The tests below then hold it to the rules of the format.
//! 3. Give it a page in `docs/frameworks`, a row in the index there, and an example in
//!    `deploy/examples/frameworks`; write `docs/layouts.md` anew.
//! 4. If it asks a question that [`Read`] does not have, add the question there, its answer to
//!    [`Answer`], its commands in `redis/`, and decide in `plan.rs` what each answer counts.

mod allowed;
mod answer;
mod count;
mod definition;
mod exactness;
mod expression;
mod flaw;
mod footprint;
mod form;
mod gap;
mod glob;
mod heartbeats;
mod measure;
mod parameter;
mod per_member;
mod plan;
mod question;
mod reach;
mod read;
mod recognition;
mod renamed;
mod search;
mod template;
mod weight;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

pub use allowed::Allowed;
pub use answer::{Answer, Group, LayoutMismatch, Waiting};
pub use count::{Count, Counts};
pub use definition::DefinitionError;
pub use exactness::{Bias, Doubt, Inexact};
pub use expression::Expression;
pub use footprint::{bytes_of_texts, footprint, share_of};
pub use glob::{Glob, GlobError};
pub use heartbeats::{Channel, HeartbeatFormat, Heartbeats, Roll, Silence, WorkerFilter};
pub use measure::{Measure, Measures};
pub use parameter::{Argument, Arguments, Parameter, ParameterKind, Pattern, words};
pub use per_member::{Ask, CollectionType, Filter, Matching, MemberKey, PerMember, Wanted};
pub use plan::{MissingGroup, Overflow, Part, Plan, Term, Terms};
pub use reach::RequiredAccess;
pub use read::{Members, Name, Read, Scores, Test, Unit};
pub use search::{FoundQueue, KeyPattern, Kind, Search, Sprawl};
pub use weight::Weight;

/// The layouts that come with penstock: name and definition.
pub const BUILTIN: &[(&str, &str)] = &[
    ("arq", include_str!("builtin/arq.toml")),
    ("asynq", include_str!("builtin/asynq.toml")),
    ("bee-queue", include_str!("builtin/bee-queue.toml")),
    ("bull", include_str!("builtin/bull.toml")),
    ("bullmq", include_str!("builtin/bullmq.toml")),
    ("celery", include_str!("builtin/celery.toml")),
    ("dramatiq", include_str!("builtin/dramatiq.toml")),
    ("graflow", include_str!("builtin/graflow.toml")),
    ("huey", include_str!("builtin/huey.toml")),
    ("keys", include_str!("builtin/keys.toml")),
    ("laravel", include_str!("builtin/laravel.toml")),
    ("lease", include_str!("builtin/lease.toml")),
    ("machinery", include_str!("builtin/machinery.toml")),
    ("reliable-list", include_str!("builtin/reliable-list.toml")),
    ("resque", include_str!("builtin/resque.toml")),
    ("rq", include_str!("builtin/rq.toml")),
    ("sidekiq", include_str!("builtin/sidekiq.toml")),
    ("stream", include_str!("builtin/stream.toml")),
    ("taskiq", include_str!("builtin/taskiq.toml")),
];

/// Where one job framework keeps its jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    name: String,
    definition: Arc<definition::Definition>,
    /// How its keys look, where that tells them from others.
    telling: Arc<[form::Form]>,
}

impl Layout {
    /// The name by which a trigger asks for it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One sentence for people.
    #[must_use]
    pub fn doc(&self) -> &str {
        &self.definition.doc
    }

    /// Its parameters, by name.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.definition.params.iter().map(|(name, parameter)| (name.as_str(), parameter))
    }

    /// The parameter of this name or alias.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        let is_named = |(own, parameter): &(&str, &Parameter)| {
            *own == name || parameter.aliases.iter().any(|alias| alias == name)
        };
        self.parameters().find(is_named).map(|(_, parameter)| parameter)
    }

    /// Parameters of which at least one must be given; none if that does not matter.
    #[must_use]
    pub fn needs(&self) -> &[String] {
        &self.definition.needs
    }

    /// The first parameter that must be given beside these arguments and is not, and beside which of
    /// them.
    #[must_use]
    pub fn missing(&self, arguments: &Arguments) -> Option<(&str, String)> {
        self.definition.missing(arguments)
    }

    /// How long a job of a trigger with these arguments may be in no key, or not yet told of by its
    /// worker, while it moves from one place to another. Zero where each move is one step for Redis.
    #[must_use]
    pub fn gap(&self, arguments: &Arguments) -> Duration {
        self.definition.gap(arguments)
    }

    /// When a job is in no key for a while, and how that is known.
    pub fn gaps(&self) -> impl Iterator<Item = &str> {
        self.definition.gap.iter().map(|gap| gap.doc.as_str())
    }

    /// What of the work of a trigger with these arguments is in no key, and what to do about it.
    #[must_use]
    pub fn invisible(&self, arguments: &Arguments) -> Option<String> {
        self.definition.invisible(arguments)
    }

    /// The reads for these arguments and how they add up.
    #[must_use]
    pub fn plan(&self, arguments: &Arguments) -> Plan {
        self.definition.plan(arguments)
    }

    /// Two parameters that must not both have a pattern, since they meet in one read.
    #[must_use]
    pub fn meeting_patterns(&self, arguments: &Arguments) -> Option<[&str; 2]> {
        self.definition.meeting_patterns(arguments)
    }

    /// What is to be looked for because of the patterns in these arguments; `None` without any.
    ///
    /// # Errors
    /// [`Sprawl`] if that would be more than one trigger may have looked for.
    pub fn search(&self, arguments: &Arguments) -> Result<Option<Search>, Sprawl> {
        Search::new(self, arguments)
    }
}

/// The layouts that triggers can name.
#[derive(Debug, Clone)]
pub struct Registry(BTreeMap<String, Layout>);

impl Registry {
    /// The layouts that come with penstock.
    #[must_use]
    pub fn builtin() -> &'static Self {
        static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
            let layouts = BUILTIN.iter().map(|(name, toml)| {
                let layout = Layout::parse(name, toml)
                    .expect("every built-in layout parses, which a test holds");
                ((*name).to_owned(), layout)
            });
            Registry(layouts.collect())
        });
        &REGISTRY
    }

    /// Adds a layout, or puts it in the place of the one of its name.
    pub fn add(&mut self, layout: Layout) {
        self.0.insert(layout.name().to_owned(), layout);
    }

    /// The layout of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Layout> {
        self.0.get(name)
    }

    /// Whether any layout has a parameter of this name or alias.
    #[must_use]
    pub fn has_parameter(&self, name: &str) -> bool {
        self.layouts().any(|layout| layout.parameter(name).is_some())
    }

    /// Every layout, by name.
    pub fn layouts(&self) -> impl Iterator<Item = &Layout> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_layout_parses_and_documents_itself() {
        for (name, toml) in BUILTIN {
            let layout = Layout::parse(name, toml).unwrap();
            assert!(!layout.doc().is_empty(), "{name}");
            for (parameter, declared) in layout.parameters() {
                assert!(declared.doc.ends_with('.'), "{name}.{parameter}");
                assert!(!declared.example.is_empty(), "{name}.{parameter}");
            }
        }
    }

    #[test]
    fn a_layout_that_names_what_it_does_not_declare_is_refused() {
        let toml = "doc = 'x'\n[[waiting]]\nread = 'size'\nkey = '{queue}'";
        let error = Layout::parse("acme", toml).unwrap_err();
        assert_eq!(error.to_string(), "layout `acme`: `{queue}` is no parameter of it");
    }

    #[test]
    fn a_parameter_that_cannot_be_what_it_is_used_as_is_refused() {
        let keys = "type = 'keys'\ndoc = 'd'\nexample = 'e'\n";
        let queue = format!("[params.queue]\n{keys}[params.more]\n{keys}");
        let told = |question: &str| {
            let toml = format!("doc = 'x'\n{queue}\n[[waiting]]\n{question}");
            Layout::parse("acme", &toml).unwrap_err().to_string()
        };
        let size = "read = 'size'\nkey = '{queue}'\n";
        for (more, wanted) in [
            ("slack = 'queue'", "`queue` is used as a duration, which it is not"),
            ("unit = '{queue}'", "`queue` is used as a choice among the units"),
            ("when = { queue = 'a' }", "`queue` is used as a choice that may be `a`"),
            ("when = { no = 'a' }", "`{no}` is no parameter of it"),
            ("unit = 'fortnights'", "the unit must be one of s, ms, ns, ms*4096"),
            ("minus = { read = 'size', key = '{other}' }", "`{other}` is no parameter of it"),
            ("or = { read = 'size', key = '{more}' }", "`more` is used as one value beside"),
            ("membres = 'due'", "unknown field `membres`"),
        ] {
            let told = told(&format!("{size}{more}"));
            assert!(told.contains(wanted), "{more}: {told}");
        }
        let each = "read = 'each'\ncollection = '{queue}'\ntype = 'set'\n";
        assert!(told(&format!("{each}ask = {{ exists = 'x' }}")).contains("must have {member}"));
        assert!(told(each).contains("missing field `ask`"));
        assert!(told("read = 'guess'\nkey = 'k'").contains("unknown variant `guess`"));
    }

    #[test]
    fn a_lease_counts_all_members_unless_orphans_are_ignored() {
        let keys = Registry::builtin().get("keys").unwrap();
        let members = |orphans: &str| {
            let mut arguments = Arguments::default();
            arguments.set("inFlight", Argument::Names(vec![("leases".into(), Weight::ONE)]));
            arguments.set("orphans", Argument::Choice(orphans.to_owned()));
            arguments.set("unit", Argument::Choice("ms".to_owned()));
            match &keys.plan(&arguments).reads()[0] {
                Read::Size { members, .. } => *members,
                Read::Group { .. }
                | Read::Idle { .. }
                | Read::Flag { .. }
                | Read::PerMember(_)
                | Read::Heartbeats(_) => {
                    unreachable!("the layout `keys` asks for sizes")
                }
            }
        };
        assert_eq!(members("count"), Members::All);
        assert_eq!(members("ignore"), Members::Leased(Unit::Milliseconds.into()));
    }
}
