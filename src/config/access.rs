//! Who may use a connection and what they may read through it: the one place that says no to a valid trigger.
//! It is pure.

use crate::{
    layouts::{Allowed, Glob},
    limits::{self, DATABASE_NUMBER},
    trigger::{Trigger, shown},
};

use super::{problem::ConfigProblems, spanned::Spanned};

/// Patterns that one denial repeats.
const PATTERNS_SHOWN: usize = 8;

/// The rules of one connection. A trigger must pass all of them.
#[derive(Debug, Clone)]
pub struct Access {
    namespaces: Vec<Glob>,
    keys: Allowed,
    /// The connection's own database comes first.
    databases: Vec<u32>,
    /// Whether a queue name may be a pattern.
    scan: bool,
}

/// Which rule does not let a trigger read, what it asked for, and what is allowed. The caller names
/// the connection. Which other namespaces may use it is nobody's business, so that is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The trigger's namespace matches no pattern of `namespaces`.
    #[error(
        "its rule `namespaces` does not include the namespace `{namespace}`; ask its administrator"
    )]
    Namespace {
        /// The namespace, cut and escaped.
        namespace: String,
    },
    /// The database is none of `databases`.
    #[error("its rule `databases` does not include database {asked}; allowed: {allowed}")]
    Database {
        /// The database that the trigger names.
        asked: u32,
        /// The databases that it may name.
        allowed: String,
    },
    /// A queue name is a pattern.
    #[error(
        "its rule `scan` is off, so `{name}` cannot be a pattern; write `\\*`, `\\?` or `\\[` for \
         the character itself"
    )]
    Scan {
        /// The name, cut and escaped.
        name: String,
    },
    /// A key matches no pattern of `keys`.
    #[error("its rule `keys` does not include the key `{key}`; allowed: {allowed}")]
    Key {
        /// The key, cut and escaped.
        key: String,
        /// The patterns of the rule, as far as they are shown.
        allowed: String,
    },
}

impl Access {
    /// The databases that triggers may read, the connection's own first.
    #[must_use]
    pub fn databases(&self) -> &[u32] {
        &self.databases
    }

    /// Whether a queue name may be a pattern.
    #[must_use]
    pub fn scans(&self) -> bool {
        self.scan
    }

    /// Whether a trigger of this namespace may read what it names; gives the database to read.
    ///
    /// # Errors
    /// [`Denied`] with the first rule that does not let it. The namespace comes first, so that
    /// only who may use the connection learns its other rules.
    pub fn authorize(&self, namespace: &str, trigger: &Trigger) -> Result<u32, Denied> {
        self.admits(namespace)?;
        self.covers(trigger)
    }

    /// Whether this namespace may use the connection at all.
    ///
    /// # Errors
    /// [`Denied::Namespace`] if not.
    pub fn admits(&self, namespace: &str) -> Result<(), Denied> {
        if self.namespaces.iter().any(|glob| glob.matches(namespace.as_bytes())) {
            return Ok(());
        }
        Err(Denied::Namespace { namespace: shown(namespace) })
    }

    /// Whether the trigger may read what it names, whoever it is; gives the database to read.
    ///
    /// # Errors
    /// [`Denied`] with the first of the rules `databases`, `scan` and `keys` that does not let it.
    pub fn covers(&self, trigger: &Trigger) -> Result<u32, Denied> {
        let asked = trigger.database.unwrap_or(self.databases[0]);
        if !self.databases.contains(&asked) {
            let allowed: Vec<String> = self.databases.iter().map(ToString::to_string).collect();
            return Err(Denied::Database { asked, allowed: allowed.join(", ") });
        }
        let mut refused = self.keys.refuses(trigger.plan.reads(), Some(asked));
        if let Some(search) = &trigger.search {
            if !self.scan {
                let name = search.patterns().first().map(|pattern| pattern.glob.to_string());
                return Err(Denied::Scan { name: shown(&name.unwrap_or_default()) });
            }
            // Of what is found, each key is held against the rule when it is. What no key can be
            // found for that the rule includes is a mistake, and what is read in any case is asked
            // now.
            let is_denied = |pattern: &Glob| !self.keys.may_include(pattern);
            let wilds = search.wilds();
            let denied = wilds.iter().map(|wild| &wild.glob).find(|glob| is_denied(glob));
            refused = refused
                .or_else(|| self.keys.refuses(search.fixed(), Some(asked)))
                .or_else(|| denied.map(|glob| glob.text().clone()));
        }
        match refused {
            Some(key) => {
                Err(Denied::Key { key: shown(&key.to_string()), allowed: self.patterns() })
            }
            None => Ok(asked),
        }
    }

    /// The first pattern of a trigger of which some keys may be found that are left out since the
    /// rule `keys` does not include them; and the rule.
    #[must_use]
    pub fn leaves_out(&self, trigger: &Trigger) -> Option<(String, String)> {
        let wilds = trigger.search.as_ref()?.wilds();
        let is_whole = |glob: &Glob| self.keys.globs().iter().any(|own| own.covers(glob));
        let partly = wilds.iter().find(|wild| !is_whole(&wild.glob))?;
        Some((shown(&partly.glob.to_string()), self.patterns()))
    }

    /// The keys that may be read.
    #[must_use]
    pub fn keys(&self) -> &Allowed {
        &self.keys
    }

    fn patterns(&self) -> String {
        let keys = self.keys.globs();
        let listed = keys.iter().take(PATTERNS_SHOWN);
        let mut patterns: Vec<String> =
            listed.map(|glob| format!("`{}`", shown(&glob.to_string()))).collect();
        if keys.len() > PATTERNS_SHOWN {
            patterns.push(format!("{} more", keys.len() - PATTERNS_SHOWN));
        }
        patterns.join(", ")
    }
}

/// The rules as the file writes them.
#[derive(Default)]
pub(super) struct RawAccess {
    pub(super) namespaces: Option<Spanned<Vec<String>>>,
    pub(super) keys: Option<Spanned<Vec<String>>>,
    pub(super) databases: Option<Spanned<Vec<i64>>>,
    pub(super) scan: Option<Spanned<bool>>,
}

impl RawAccess {
    /// The rules, for a connection whose URL names this database.
    pub(super) fn settle(self, database: u32, problems: &mut ConfigProblems) -> Access {
        Access {
            namespaces: globs(self.namespaces, problems),
            keys: Allowed::new(globs(self.keys, problems)),
            databases: databases(self.databases, database, problems),
            scan: self.scan.is_some_and(|scan| scan.value),
        }
    }
}

/// Without the key everything is allowed.
fn globs(given: Option<Spanned<Vec<String>>>, problems: &mut ConfigProblems) -> Vec<Glob> {
    let Some(Spanned { spot, value: texts }) = given else {
        return Glob::parse("*").into_iter().collect();
    };
    if texts.is_empty() {
        problems.add(&spot, "is empty, so nobody could use the connection; [\"*\"] allows all");
    }
    let mut globs = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match Glob::parse(text) {
            Ok(glob) => globs.push(glob),
            Err(error) => problems.add(&spot.item(index), format!("`{}` {error}", shown(text))),
        }
    }
    globs
}

fn databases(
    given: Option<Spanned<Vec<i64>>>,
    own: u32,
    problems: &mut ConfigProblems,
) -> Vec<u32> {
    let mut databases = vec![own];
    let Some(Spanned { spot, value: numbers }) = given else { return databases };
    for (index, number) in numbers.into_iter().enumerate() {
        match u32::try_from(number).ok().filter(|number| *number <= DATABASE_NUMBER) {
            Some(number) if databases.contains(&number) => {}
            Some(number) => databases.push(number),
            None => {
                let what = format!("{number} is no database, a number from 0 to {DATABASE_NUMBER}");
                problems.add(&spot.item(index), what);
            }
        }
    }
    if databases.len() > limits::DATABASES {
        let most = limits::DATABASES;
        let what = format!("allows {} databases, at most {most} are possible", databases.len());
        problems.add(&spot, what + "; the URL's own counts too");
    }
    databases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::problem::Spot, layouts::Registry};

    fn given<T>(value: T) -> Option<Spanned<T>> {
        Some(Spanned { spot: Spot::new("test"), value })
    }

    fn texts(texts: &[&str]) -> Option<Spanned<Vec<String>>> {
        given(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    fn settle(raw: RawAccess) -> Result<Access, String> {
        let mut problems = ConfigProblems::default();
        let access = raw.settle(2, &mut problems);
        if problems.is_empty() { Ok(access) } else { Err(problems.to_string()) }
    }

    fn trigger(pairs: &[(&str, &str)]) -> Trigger {
        let pairs: Vec<_> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Trigger::parse(pairs, Registry::builtin()).unwrap()
    }

    #[test]
    fn channels_are_allowed_as_keys_are_with_the_number_of_their_database() {
        let heartbeats = [("layout", "celery"), ("queue", "q"), ("running", "heartbeats")];
        let with = |channels: &str| {
            let keys = texts(&["q*", "unacked", channels]);
            let access = settle(RawAccess { keys, ..RawAccess::default() }).unwrap();
            access.covers(&trigger(&heartbeats)).map_err(|denied| denied.to_string())
        };
        assert_eq!(with("/2.celeryev/*"), Ok(2));
        for channels in ["/0.celeryev/*", "/2.celeryev/worker.heartbeat"] {
            let denied = with(channels).unwrap_err();
            assert!(denied.contains("does not include the key `/2.celeryev/worker."), "{denied}");
        }
    }

    #[test]
    fn the_keys_of_members_are_allowed_only_by_a_pattern_that_allows_any_member() {
        let sidekiq = trigger(&[("layout", "sidekiq"), ("queue", "q")]);
        let with = |pattern: &str| {
            let keys = texts(&["paused", "queue:q", "processes", pattern]);
            let access = settle(RawAccess { keys, ..RawAccess::default() }).unwrap();
            access.authorize("any", &sidekiq).map_err(|denied| denied.to_string())
        };
        assert_eq!(with("*:work*"), Ok(2));
        for narrow in ["?:work*", "[a-z]*:work*", "*:work", r"\*:work*", "a*"] {
            let told = with(narrow).unwrap_err();
            assert!(told.contains("*:work"), "{narrow}: {told}");
        }
    }

    #[test]
    fn without_rules_every_namespace_reads_every_key_of_the_urls_database() {
        let access = settle(RawAccess::default()).unwrap();
        assert_eq!(access.databases(), [2]);
        assert_eq!(access.authorize("any", &trigger(&[("queue", "a")])), Ok(2));
        let denied = access.authorize("any", &trigger(&[("queue", "a"), ("database", "0")]));
        let told = "its rule `databases` does not include database 0; allowed: 2";
        assert_eq!(denied.unwrap_err().to_string(), told);
    }

    #[test]
    fn a_namespace_that_is_not_listed_learns_nothing_of_the_other_rules() {
        let namespaces = texts(&["team-a", "ops-*"]);
        let keys = texts(&["secret:*"]);
        let access = settle(RawAccess { namespaces, keys, ..RawAccess::default() }).unwrap();
        let told = access.authorize("team-b", &trigger(&[("queue", "x")])).unwrap_err().to_string();
        assert!(told.contains("`namespaces`") && told.contains("`team-b`"), "{told}");
        assert!(!told.contains("team-a") && !told.contains("secret:"), "{told}");
        assert_eq!(access.authorize("ops-1", &trigger(&[("queue", "secret:x")])), Ok(2));
    }

    #[test]
    fn every_key_of_a_trigger_must_be_allowed() {
        let access =
            settle(RawAccess { keys: texts(&["a:*", "b"]), ..RawAccess::default() }).unwrap();
        let all = trigger(&[("waiting", "a:1,b"), ("scheduled", "a:2"), ("inFlight", "a:3")]);
        assert_eq!(access.covers(&all), Ok(2));
        let one_too_many = trigger(&[("waiting", "a:1"), ("inFlight", "c")]);
        let told = access.covers(&one_too_many).unwrap_err().to_string();
        assert_eq!(told, "its rule `keys` does not include the key `c`; allowed: `a:*`, `b`");
        let stream = trigger(&[("layout", "stream"), ("queue", "s"), ("group", "g")]);
        assert!(matches!(access.covers(&stream), Err(Denied::Key { .. })));
    }

    #[test]
    fn a_key_that_looks_like_a_pattern_is_matched_as_it_is() {
        let access = settle(RawAccess { keys: texts(&["a"]), ..RawAccess::default() }).unwrap();
        assert!(matches!(access.covers(&trigger(&[("queue", r"\*")])), Err(Denied::Key { .. })));
    }

    #[test]
    fn a_pattern_in_a_queue_name_is_denied_by_scan() {
        let access = settle(RawAccess::default()).unwrap();
        let told = access.covers(&trigger(&[("queue", "jobs:*")])).unwrap_err().to_string();
        assert!(told.contains("`scan`") && told.contains("`jobs:*`"), "{told}");
        assert_eq!(access.covers(&trigger(&[("queue", r"jobs:\*")])), Ok(2));
        let open = settle(RawAccess { scan: given(true), ..RawAccess::default() }).unwrap();
        assert_eq!(open.covers(&trigger(&[("queue", "jobs:*,plain")])), Ok(2));
    }

    #[test]
    fn a_pattern_is_denied_where_no_key_of_it_could_be_allowed_or_a_fixed_one_is_not() {
        let with = |keys: &[&str], pairs: &[(&str, &str)]| {
            let (keys, scan) = (texts(keys), given(true));
            let access = settle(RawAccess { keys, scan, ..RawAccess::default() }).unwrap();
            access.covers(&trigger(pairs)).map_err(|denied| denied.to_string())
        };
        let team = ["team-a:*"];
        assert_eq!(with(&team, &[("queue", "team-a:*")]), Ok(2));
        assert_eq!(with(&team, &[("queue", "*:jobs")]), Ok(2), "some may be allowed");
        for refused in ["team-b:*", "tean*", "team-a:*,team-b:x"] {
            assert!(
                with(&team, &[("queue", refused)]).unwrap_err().contains("`keys`"),
                "{refused}"
            );
        }
        let rq = [("layout", "rq"), ("queue", "emails-*")];
        assert!(with(&["rq:queue:*", "rq:wip:*"], &rq).unwrap_err().contains("rq:suspended"));
        assert_eq!(with(&["rq:queue:*", "rq:wip:*", "rq:suspended"], &rq), Ok(2));
    }

    #[test]
    fn the_urls_database_is_always_allowed_and_comes_first() {
        let access = RawAccess { databases: given(vec![1, 2, 3, 1]), ..RawAccess::default() };
        assert_eq!(settle(access).unwrap().databases(), [2, 1, 3]);
    }

    #[test]
    fn every_wrong_rule_is_told() {
        let told = settle(RawAccess {
            namespaces: texts(&[]),
            keys: texts(&["ok", "[a"]),
            databases: given(vec![0, -1, 70_000]),
            scan: None,
        });
        let told = told.unwrap_err();
        for part in [
            "test: is empty, so nobody",
            "[1]: `[a` has a `[` that no `]` closes",
            "[1]: -1 is no database, a number from 0 to 65535",
            "[2]: 70000 is no database",
        ] {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
        let many = RawAccess { databases: given((0..17).collect()), ..RawAccess::default() };
        assert!(settle(many).unwrap_err().contains("allows 17 databases, at most 16"));
    }

    #[test]
    fn many_patterns_make_no_long_denial() {
        let long = "x".repeat(1000);
        let keys: Vec<&str> = (0..100).map(|_| long.as_str()).collect();
        let access = settle(RawAccess { keys: texts(&keys), ..RawAccess::default() }).unwrap();
        let told = access.covers(&trigger(&[("queue", "a")])).unwrap_err().to_string();
        assert!(told.len() < 1000 && told.ends_with(", 92 more"), "{told}");
    }
}
