//! What a definition says that is of the format, and yet can mean nothing or hides work.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{measure::Measure, parameter::ParameterKind},
    Definition,
    question::{Pause, Question},
};

impl Definition {
    /// The first mistake in it, as a message to its author.
    pub(in crate::layouts) fn flaw(&self) -> Option<String> {
        self.renamed()
            .or_else(|| self.twice_named())
            .or_else(|| self.paused.iter().find_map(Pause::flaw).map(str::to_owned))
            .or_else(|| self.questions().find_map(Question::flaw).map(str::to_owned))
            .or_else(|| self.misplaced_time())
            .or_else(|| self.misplaced_absence())
            .or_else(|| self.out_of_order())
            .or_else(|| self.silent("waiting", &self.waiting))
            .or_else(|| self.silent("in_flight", &self.in_flight))
    }

    fn renamed(&self) -> Option<String> {
        self.blind_window.then(|| {
            "`blind_window` is now a [[gap]]: `lasts`, how long a job may be in no key while it moves, and `doc`"
                .to_owned()
        })
    }

    /// A trigger's key must be one parameter's.
    fn twice_named(&self) -> Option<String> {
        let own = self.params.keys();
        let aliases = self.params.values().flat_map(|parameter| &parameter.aliases);
        let mut seen = BTreeSet::new();
        let twice = own.chain(aliases).find(|name| !seen.insert(name.as_str()))?;
        Some(format!("`{twice}` is the name or alias of two parameters"))
    }

    /// What is said to be absent is one of the measures, and is not read.
    fn misplaced_absence(&self) -> Option<String> {
        let is_absent = |name: &&String| {
            let named = Measure::ALL.into_iter().find(|measure| measure.key() == *name);
            named.is_some_and(|measure| self.of_measure(measure).is_empty())
        };
        let name = self.absent.keys().find(|name| !is_absent(name))?;
        Some(format!("`{name}` in [absent] is read, or is nothing that a layout can tell"))
    }

    /// A time is no number of jobs, and a number of jobs is no time.
    fn misplaced_time(&self) -> Option<String> {
        let is_misplaced = |measure: &Measure| {
            let mut questions = self.of_measure(*measure).iter();
            questions.any(|question| question.is_time() != measure.is_time())
        };
        Measure::ALL.into_iter().any(|measure| is_misplaced(&measure)).then(|| {
            "a `read` of oldest, oldest-score or group-oldest is for [[oldest]], and no other is"
                .to_owned()
        })
    }

    /// What is asked of members is read after everything else, so a job that leaves them meanwhile
    /// would be missed.
    fn out_of_order(&self) -> Option<String> {
        let before = self.scheduled.iter().chain(&self.waiting);
        let is_late = before.into_iter().any(|question| matches!(question, Question::PerMember(_)));
        (is_late && self.gap.is_empty()).then(|| {
            "an `each` before in flight is read after it, so a job may be missed while it moves; \
             give a [[gap]], with lasts = \"20ms\" or so"
                .to_owned()
        })
    }

    /// A word of a choice for which a state reads nothing at all would be a zero that nobody
    /// decided, unless an `[[invisible]]` says so. (What is scheduled may be left out by choice.)
    fn silent(&self, state: &str, questions: &[Question]) -> Option<String> {
        let whens: Vec<&BTreeMap<String, String>> = questions.iter().map(Question::when).collect();
        let (first, _) = whens.split_first()?;
        let told = |name: &str, word: &str| {
            let is_word =
                |when: &BTreeMap<String, String>| when.get(name).is_some_and(|given| given == word);
            let invisible = self.invisible.iter().map(|invisible| &invisible.when);
            // What is looked at as orphans is looked at.
            let orphaned = self.orphaned.iter().map(Question::when);
            invisible.clone().any(BTreeMap::is_empty) || invisible.chain(orphaned).any(is_word)
        };
        first.keys().find_map(|name| {
            let words: Option<Vec<&String>> = whens.iter().map(|when| when.get(name)).collect();
            let (words, ParameterKind::Choice { choices, .. }) =
                (words?, &self.params.get(name)?.kind)
            else {
                return None;
            };
            let silent = choices.iter().find(|word| !words.contains(word) && !told(name, word))?;
            Some(format!(
                "with `{name}` = `{silent}` nothing of [[{state}]] is read; add what is, or tell it \
                 in an [[invisible]] with when = {{ {name} = \"{silent}\" }}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::layouts::Layout;

    const HEAD: &str = "doc = 'x'\n[params.queue]\ntype = 'keys'\ndoc = 'd'\nexample = 'e'\n\
         [params.mode]\ntype = 'choice'\ndoc = 'd'\nexample = 'a'\nchoices = ['a', 'b']\n\
         default = 'a'\n";
    const WAITING: &str = "[[waiting]]\nread = 'size'\nkey = '{queue}'\n";

    fn told(rest: &str) -> String {
        let parsed = Layout::parse("acme", &format!("{HEAD}{rest}"));
        parsed.map_or_else(|error| error.to_string(), |_| "fine".to_owned())
    }

    fn each(rest: &str) -> String {
        told(&format!("{WAITING}[[in_flight]]\nread = 'each'\ncollection = 'robots'\n{rest}"))
    }

    #[test]
    fn what_can_mean_nothing_is_refused_in_words() {
        let with = |rest: &str| told(&format!("{rest}{WAITING}"));
        assert_eq!(with(""), "fine");
        let named = with("aliases = ['queue']\n");
        assert!(named.contains("`queue` is the name or alias of two"), "{named}");
        for (pause, wanted) in [
            ("key = 'p'\nvalue = ''", "`value` is empty"),
            ("key = ''\nvalue = 'v'", "`key` is empty"),
            ("key = 'p'\nvalue = '{queue}'", "fine"),
        ] {
            let told = with(&format!("[[paused]]\nread = 'value'\n{pause}\n"));
            assert!(told.contains(wanted), "{pause}: {told}");
        }
        let empty = told("[[waiting]]\nread = 'size'\nkey = ''");
        assert!(empty.contains("`key` is empty"), "{empty}");
    }

    #[test]
    fn a_question_of_members_that_cannot_be_answered_is_refused() {
        let filter = "filter = { pointer = '/q', is = '{queue}' }";
        for (rest, wanted) in [
            (format!("type = 'set'\nask = {{ text = 'r:{{member}}' }}\n{filter}"), "fine"),
            (
                format!("type = 'set'\nask = {{ exists = 'r:{{member}}' }}\n{filter}"),
                "needs values",
            ),
            ("type = 'set'\nask = 'field'".to_owned(), "only a collection of type `hash`"),
            (
                "type = 'hash'\nask = 'field'\nfilter = { pointer = 'q', is = 'x' }".to_owned(),
                "begins with `/`",
            ),
            (
                "type = 'hash'\nask = 'field'\nfilter = { pointer = '/q', is = 'x', only_if = { \
                 pointer = 'r', is = '' } }"
                    .to_owned(),
                "begins with `/`",
            ),
        ] {
            let told = each(&rest);
            assert!(told.contains(wanted), "{rest}: {told}");
        }
    }

    #[test]
    fn what_was_called_a_blind_window_is_told_its_new_name() {
        let head = HEAD.replacen("doc = 'x'\n", "doc = 'x'\nblind_window = '1s'\n", 1);
        let told = Layout::parse("acme", &format!("{head}{WAITING}")).unwrap_err().to_string();
        assert!(told.contains("`blind_window` is now a [[gap]]"), "{told}");
    }

    #[test]
    fn a_time_counts_no_jobs_and_jobs_are_no_time() {
        let oldest = "read = 'oldest'\nkey = '{queue}'\ntaken = 'right'\ntimes = ['/at']\n\
                      remedy = 'r'\n";
        assert_eq!(told(&format!("{WAITING}[[oldest]]\n{oldest}")), "fine");
        let misplaced = [format!("[[waiting]]\n{oldest}"), WAITING.replace("waiting", "oldest")];
        for wrong in misplaced {
            let told = told(&format!("{WAITING}{wrong}"));
            assert!(told.contains("is for [[oldest]], and no other is"), "{told}");
        }
    }

    #[test]
    fn members_before_in_flight_need_a_gap() {
        let rest = "[[waiting]]\nread = 'each'\ncollection = 'queues'\ntype = 'set'\n\
                    ask = { length = 'q:{member}' }";
        assert!(told(rest).contains("give a [[gap]]"));
        let gap = "[[gap]]\nlasts = '20ms'\ndoc = 'd'\n";
        assert!(Layout::parse("acme", &format!("{HEAD}{gap}{rest}")).is_ok());
    }

    #[test]
    fn a_word_for_which_nothing_is_read_is_told_or_refused() {
        let when = |state: &str, word: &str| {
            format!("[[{state}]]\nread = 'size'\nkey = '{state}'\nwhen = {{ mode = '{word}' }}\n")
        };
        let half = when("in_flight", "a");
        let refused = told(&format!("{WAITING}{half}"));
        assert!(refused.contains("with `mode` = `b` nothing of [[in_flight]]"), "{refused}");
        let invisible = "[[invisible]]\ndoc = 'd'\nwhen = { mode = 'b' }\n";
        assert_eq!(told(&format!("{invisible}{WAITING}{half}")), "fine");
        assert_eq!(told(&format!("{WAITING}{half}{}", when("in_flight", "b"))), "fine");
        assert_eq!(told(&format!("{WAITING}{}", when("scheduled", "a"))), "fine");
        assert!(told(&when("waiting", "b")).contains("nothing of [[waiting]]"));
    }
}
