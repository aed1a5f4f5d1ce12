//! The layouts that triggers can name.

use std::{collections::BTreeMap, sync::LazyLock};

use super::layout::Layout;

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
    use super::{
        super::{Argument, Arguments, Members, Read, Unit, Weight},
        *,
    };

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
            let plan = keys.plan(&arguments);
            let [Read::Size(read)] = plan.reads() else { panic!("it asks for a size: {plan:?}") };
            read.members
        };
        assert_eq!(members("count"), Members::All);
        assert_eq!(members("ignore"), Members::Leased(Unit::Milliseconds.into()));
    }
}
