//! A question about the number in a string or in a field of a hash, as a definition writes it.

use serde::Deserialize;

use crate::layouts::{
    expression::Expression,
    parameter::Arguments,
    plan::Summand,
    read::{
        Part, Read,
        number::{MissingNumber, Number},
    },
};

use super::{
    super::template::{Binding, EMPTY_KEY, Template},
    contract::QuestionKind,
    role::{ParameterRole, Use},
    when::When,
};

/// The number in a string or in a field of a hash.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::layouts) struct NumberQuestion {
    key: Template,
    /// The field, if it is a hash.
    field: Option<Template>,
    /// What it means that there is no such key or field.
    #[serde(default)]
    missing: MissingWord,
    #[serde(default)]
    when: When,
}

/// What a missing key means: a word, or the choice parameter that has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(try_from = "String")]
enum MissingWord {
    Zero,
    #[default]
    Unknown,
    Of(String),
}

impl TryFrom<String> for MissingWord {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "zero" => return Ok(Self::Zero),
            "unknown" => return Ok(Self::Unknown),
            _ => {}
        }
        let parameter = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        parameter
            .map(|parameter| Self::Of(parameter.to_owned()))
            .ok_or("`missing` must be one of zero, unknown, or {parameter}".to_owned())
    }
}

impl MissingWord {
    /// Only the word for zero makes a zero.
    fn part(&self, arguments: &Arguments) -> MissingNumber {
        let is_zero = match self {
            Self::Zero => true,
            Self::Unknown => false,
            Self::Of(parameter) => arguments.choice(parameter) == Some("zero"),
        };
        if is_zero { MissingNumber::Zero } else { MissingNumber::Unknown }
    }
}

impl QuestionKind for NumberQuestion {
    fn when(&self) -> &When {
        &self.when
    }

    fn key(&self) -> Option<&Template> {
        Some(&self.key)
    }

    fn parameters(&self) -> Vec<&str> {
        let templates = [&self.key].into_iter().chain(&self.field);
        templates.flat_map(Template::parameters).collect()
    }

    fn uses(&self) -> Vec<Use> {
        let mut uses: Vec<Use> = self.parameters().into_iter().map(Use::text).collect();
        if let MissingWord::Of(parameter) = &self.missing {
            uses.push(Use { parameter: parameter.clone(), as_a: ParameterRole::Choice });
        }
        uses
    }

    fn flaw(&self) -> Option<&'static str> {
        let has_no_name = self.field.as_ref().is_some_and(Template::is_empty);
        let empty_field =
            has_no_name.then_some("`field` is empty; without one the key is a string");
        self.key.is_empty().then_some(EMPTY_KEY).or(empty_field)
    }
}

impl NumberQuestion {
    pub(super) fn summand(&self, binding: &Binding<'_>, arguments: &Arguments) -> Option<Summand> {
        let field = match &self.field {
            Some(field) => Some(field.fill(binding)?),
            None => None,
        };
        let read = Read::Number(Number { key: self.key.fill(binding)?, field });
        Some(Expression::Leaf((read, Part::Number(self.missing.part(arguments)))))
    }
}

#[cfg(test)]
mod tests {
    use crate::layouts::{Answer, Argument, Arguments, Layout, Measure, Weight};

    fn layout(missing: &str) -> Result<Layout, String> {
        let text = format!(
            "doc = 'Acme.'\nparams.floor = {{ type = 'keys', doc = 'F.', example = 'f' }}\n\
             params.missing = {{ type = 'choice', choices = ['zero', 'unknown'], default = 'zero', \
             doc = 'M.', example = 'zero' }}\n[[gauge]]\nread = 'number'\nkey = 'floor:{{floor}}'\n\
             {missing}"
        );
        Layout::parse("acme", &text).map_err(|error| error.to_string())
    }

    /// What a missing key counts, if that is known.
    fn of_missing(missing: &str, word: &str) -> Option<f64> {
        let mut arguments = Arguments::default();
        arguments.set("floor", Argument::Names(vec![("a".into(), Weight::ONE)]));
        arguments.set("missing", Argument::Choice(word.to_owned()));
        let plan = layout(missing).unwrap().plan(&arguments);
        let counts = plan.counts(&[&Answer::Missing]).ok()?;
        Some(counts[Measure::Gauge].get())
    }

    #[test]
    fn a_missing_key_is_zero_only_where_that_is_said() {
        assert_eq!(of_missing("", "zero"), None);
        assert_eq!(of_missing("missing = 'unknown'", "zero"), None);
        assert_eq!(of_missing("missing = 'zero'", "unknown"), Some(0.0));
        assert_eq!(of_missing("missing = '{missing}'", "zero"), Some(0.0));
        assert_eq!(of_missing("missing = '{missing}'", "unknown"), None);
    }

    #[test]
    fn what_a_missing_key_means_is_one_of_two_words() {
        let told = |missing: &str| layout(missing).map(drop).unwrap_err();
        assert!(told("missing = 'none'").contains("zero, unknown, or {parameter}"));
        assert!(told("missing = '{floor}'").contains("`floor` is used as a choice"));
    }
}
