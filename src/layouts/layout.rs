//! One layout: its definition, held to the rules of the format, and what a trigger asks of it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    definition::{
        Definition, DefinitionError,
        form::Form,
        question::{Question, Use},
        renamed::renamed,
    },
    measure::Measure,
    parameter::{Arguments, Parameter},
    plan::Plan,
    search::{Search, Sprawl},
};

/// Where one job framework keeps its jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    name: String,
    pub(super) definition: Arc<Definition>,
    /// How its keys look, where that tells them from others.
    pub(super) telling: Arc<[Form]>,
}

impl Layout {
    /// Reads a definition.
    ///
    /// # Errors
    /// [`DefinitionError`] when the text is not of the format, counts nothing, names what it does
    /// not declare, or says what can mean nothing.
    pub fn parse(name: &str, toml: &str) -> Result<Self, DefinitionError> {
        let layout = name.to_owned();
        let table = toml::from_str(toml).map_err(|error| DefinitionError::Format {
            layout,
            message: error.message().to_owned(),
        });
        Self::from_table(name, table?)
    }

    /// Takes a definition that is part of another file.
    ///
    /// # Errors
    /// The same as those of [`Layout::parse`].
    pub fn from_table(name: &str, table: toml::Table) -> Result<Self, DefinitionError> {
        let layout = name.to_owned();
        if let Some(flaw) = renamed(&table) {
            return Err(DefinitionError::Senseless { layout, flaw });
        }
        let parsed = table.try_into().map_err(|error: toml::de::Error| DefinitionError::Format {
            layout,
            message: error.message().to_owned(),
        });
        Self::of(name, parsed?)
    }

    fn of(name: &str, definition: Definition) -> Result<Self, DefinitionError> {
        let layout = name.to_owned();
        let definition = definition.spread();
        for Use { parameter, as_a } in definition.uses() {
            match definition.params.get(&parameter) {
                None => return Err(DefinitionError::UnknownParameter { layout, parameter }),
                Some(declared) if !as_a.fits(&declared.kind) => {
                    let wanted = as_a.to_string();
                    return Err(DefinitionError::WrongKind { layout, parameter, wanted });
                }
                Some(_) => {}
            }
        }
        if let Some(parameter) =
            definition.needs.iter().find(|need| !definition.params.contains_key(*need))
        {
            let parameter = parameter.clone();
            return Err(DefinitionError::UnknownParameter { layout, parameter });
        }
        if definition.counted().next().is_none() && definition.oldest.is_empty() {
            return Err(DefinitionError::Empty { layout });
        }
        if let Some(flaw) = definition.flaw() {
            return Err(DefinitionError::Senseless { layout, flaw });
        }
        let definition = Arc::new(definition);
        let mut layout = Self { name: layout, definition, telling: [].into() };
        layout.telling = layout.telling_forms().into();
        Ok(layout)
    }

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

    /// The parameters that say where this measure is read.
    fn parameters_of(&self, measure: Measure) -> Vec<&str> {
        let questions = self.definition.of_measure(measure).iter();
        let mut seen = BTreeSet::new();
        questions.flat_map(Question::parameters).filter(|name| seen.insert(*name)).collect()
    }

    /// A parameter without which a part of this measure would be left out that others ask for.
    fn missing_for(&self, measure: Measure, arguments: &Arguments) -> Option<&str> {
        let is_given = |name: &&str| {
            let is_pattern = |name| arguments.patterns().iter().any(|one| one.parameter == name);
            arguments.is_given(name) || is_pattern(*name)
        };
        let mut questions = self.definition.of_measure(measure).iter();
        questions.find_map(|question| {
            let parameters = question.parameters();
            let is_asked = question.is_met(arguments) && parameters.iter().any(is_given);
            parameters.into_iter().find(|name| is_asked && !is_given(name))
        })
    }

    /// Why what needs this measure cannot be told with these arguments and the plan that they make; `None` if it can.
    #[must_use]
    pub fn lacks(&self, measure: Measure, arguments: &Arguments, plan: &Plan) -> Option<String> {
        if let Some(key) = self.missing_for(measure, arguments) {
            return Some(format!("needs `{key}`"));
        }
        let questions = self.definition.of_measure(measure);
        let met = questions.iter().filter(|question| question.is_met(arguments));
        if let Some(why) = met.filter_map(|question| question.untold(arguments)).next() {
            return Some(why);
        }
        if plan.reads_for(measure) {
            return None;
        }
        if let Some(question) = questions.iter().find(|question| !question.is_met(arguments)) {
            let words = question.when().iter().map(|(name, word)| format!("`{name}: {word}`"));
            return Some(format!("needs {}", words.collect::<Vec<_>>().join(" and ")));
        }
        if !questions.is_empty() {
            return Some(format!("needs `{}`", self.parameters_of(measure).join("`, `")));
        }
        let why = self.definition.absent.get(measure.key());
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        Some(format!("is nothing that the layout `{}` can tell{why}", self.name))
    }

    /// The parameters that are there for these measures alone.
    #[must_use]
    pub fn parameters_for_alone(&self, measures: &[Measure]) -> Vec<&str> {
        let named = |measure: &Measure| {
            self.definition.of_measure(*measure).iter().flat_map(Question::uses)
        };
        let own: Vec<Use> = measures.iter().flat_map(named).collect();
        // As of most layouts, which is not worth a look at all that they name.
        if own.is_empty() {
            return vec![];
        }
        let others = Measure::ALL.into_iter().filter(|measure| !measures.contains(measure));
        let mut used: Vec<Use> = others.flat_map(|measure| named(&measure)).collect();
        used.extend(self.definition.uses_beside());
        let is_alone = |name: &&str| {
            own.iter().any(|one| one.parameter == **name)
                && !used.iter().any(|one| one.parameter == **name)
        };
        self.parameters().map(|(name, _)| name).filter(is_alone).collect()
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
        Search::new(&self.definition, arguments)
    }
}
