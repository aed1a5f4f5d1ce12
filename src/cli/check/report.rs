//! What `check` found, and how it reads: one line a finding, then one line of sums.

use std::{collections::BTreeMap, fmt};

use crate::{layouts::RequiredAccess, trigger::Trigger};

/// Whether a finding fails the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It will not work.
    Problem,
    /// It works, and perhaps not as was meant.
    Note,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it fails the check.
    pub severity: Severity,
    /// The file as it was named.
    pub file: String,
    /// The document in a file of several, from 1; documents with nothing in them do not count.
    pub document: Option<usize>,
    /// Kind and name of the object, as `ScaledObject shop/emails`.
    pub object: Option<String>,
    /// Where in it, as `spec.triggers[0].metadata.queue`; empty for the whole.
    pub path: String,
    /// What is wrong, what is allowed, what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(document) = self.document {
            write!(f, "doc {document}")?;
        }
        if let Some(object) = &self.object {
            write!(f, " {object}")?;
        }
        if !self.path.is_empty() {
            write!(f, " {}", self.path)?;
        }
        if self.document.is_some() || self.object.is_some() || !self.path.is_empty() {
            f.write_str(":")?;
        }
        match self.severity {
            Severity::Problem => write!(f, " {}", self.message),
            Severity::Note => write!(f, " note: {}", self.message),
        }
    }
}

/// Everything that was found in all files, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Finding>,
    files: usize,
    triggers: usize,
    asked: BTreeMap<String, ConnectionNeeds>,
    /// Triggers that Redis may be asked for: where each is, for which namespace.
    pending: Vec<(FindingPlace, String, Trigger)>,
    /// What was not checked at all, in words.
    unchecked: Option<&'static str>,
}

/// Where something is: file, document, object, and the path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FindingPlace {
    file: String,
    document: Option<usize>,
    object: Option<String>,
    path: String,
}

/// What the triggers without a problem ask of one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionNeeds {
    /// How many they are.
    pub triggers: usize,
    /// How many of them say something that only the cluster knows, so that the rest is not all.
    pub unknown: usize,
    /// What they ask.
    pub reach: RequiredAccess,
}

impl Report {
    /// What was found.
    pub fn findings(&self) -> impl ExactSizeIterator<Item = &Finding> {
        self.findings.iter()
    }

    /// How many findings fail the check.
    #[must_use]
    pub fn problems(&self) -> usize {
        self.count(Severity::Problem)
    }

    /// How many findings do not.
    #[must_use]
    pub fn notes(&self) -> usize {
        self.count(Severity::Note)
    }

    /// What the triggers ask of the connection of this name, if there are any for it. Of those with a
    /// problem nothing is known.
    #[must_use]
    pub fn asked(&self, connection: &str) -> Option<&ConnectionNeeds> {
        self.asked.get(connection)
    }

    /// The triggers that Redis may be asked for.
    pub(super) fn take_pending(&mut self) -> Vec<(FindingPlace, String, Trigger)> {
        std::mem::take(&mut self.pending)
    }

    /// Adds what was found of one of them.
    pub(super) fn add(&mut self, place: &FindingPlace, severity: Severity, message: &str) {
        let FindingPlace { file, document, object, path } = place.clone();
        let message = on_one_line(message);
        self.findings.push(Finding { severity, file, document, object, path, message });
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Says what was not checked, where there was a trigger at all.
    pub(super) fn leaves_unchecked(&mut self, what: &'static str) {
        self.unchecked = (self.triggers > 0).then_some(what);
    }

    /// Begins the next file.
    pub(super) fn file(&mut self, name: &str) -> Reporter<'_> {
        self.files += 1;
        let (file, document, object) = (on_one_line(name), None, None);
        Reporter { report: self, file, document, object }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let counted = [
            number(self.problems(), "problem"),
            number(self.notes(), "note"),
            number(self.triggers, "trigger"),
            number(self.files, "file"),
        ];
        let [problems, notes, triggers, files] = counted;
        writeln!(f, "{problems}, {notes}; checked {triggers} in {files}")?;
        self.unchecked.map_or(Ok(()), |what| writeln!(f, "not checked: {what}"))
    }
}

fn number(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn on_one_line(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(escaped).collect()
}

/// The place where findings of one file, document or object are written down.
pub(super) struct Reporter<'r> {
    report: &'r mut Report,
    file: String,
    document: Option<usize>,
    object: Option<String>,
}

impl Reporter<'_> {
    /// A reporter for one document of the file.
    pub(super) fn document(&mut self, number: usize) -> Reporter<'_> {
        let file = self.file.clone();
        Reporter { report: &mut *self.report, file, document: Some(number), object: None }
    }

    /// A reporter for one object of the document.
    pub(super) fn object(&mut self, name: &str) -> Reporter<'_> {
        let (file, object) = (self.file.clone(), Some(on_one_line(name)));
        Reporter { report: &mut *self.report, file, document: self.document, object }
    }

    pub(super) fn problem(&mut self, path: &str, message: impl Into<String>) {
        self.write(Severity::Problem, path, message.into());
    }

    pub(super) fn note(&mut self, path: &str, message: impl Into<String>) {
        self.write(Severity::Note, path, message.into());
    }

    /// Counts a trigger that was looked at.
    pub(super) fn trigger(&mut self) {
        self.report.triggers += 1;
    }

    /// Notes what a trigger asks of a connection that lets it, and whether that is all.
    pub(super) fn asks(&mut self, connection: &str, reach: RequiredAccess, is_whole: bool) {
        let asked = self.report.asked.entry(connection.to_owned()).or_default();
        asked.triggers += 1;
        asked.unknown += usize::from(!is_whole);
        asked.reach.extend(reach);
    }

    /// Notes a trigger that Redis may be asked for.
    pub(super) fn may_be_asked(&mut self, path: &str, namespace: &str, trigger: Trigger) {
        let place = self.place(path);
        self.report.pending.push((place, namespace.to_owned(), trigger));
    }

    fn place(&self, path: &str) -> FindingPlace {
        let (file, document) = (self.file.clone(), self.document);
        FindingPlace { file, document, object: self.object.clone(), path: path.to_owned() }
    }

    fn write(&mut self, severity: Severity, path: &str, message: String) {
        let place = self.place(path);
        self.report.add(&place, severity, &message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_a_finding_and_one_of_sums() {
        let mut report = Report::default();
        let mut file = report.file("a\nb.yaml");
        file.problem("", "is empty");
        file.trigger();
        let mut document = file.document(2);
        document.problem("", "is broken");
        document.object("ScaledJob x/y").note("spec.a[0]", "two\nlines");
        let lines = [
            "a\\nb.yaml: is empty",
            "a\\nb.yaml:doc 2: is broken",
            "a\\nb.yaml:doc 2 ScaledJob x/y spec.a[0]: note: two\\nlines",
            "2 problems, 1 note; checked 1 trigger in 1 file",
            "",
        ];
        assert_eq!(report.to_string(), lines.join("\n"));
    }

    #[test]
    fn what_was_not_checked_is_the_last_line_where_there_is_a_trigger() {
        let mut report = Report::default();
        report.leaves_unchecked("much");
        assert_eq!(report.to_string().lines().count(), 1);
        report.file("a.yaml").trigger();
        report.leaves_unchecked("much");
        assert!(report.to_string().ends_with("in 1 file\nnot checked: much\n"), "{report}");
    }
}
