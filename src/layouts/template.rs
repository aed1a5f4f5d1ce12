//! Names with places for parameters: `bull:{queue}:wait`, with `{{` and `}}` for literal braces.
//!
//! They are apart because a template is parsed once, with the layout, and expanded per trigger.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error};

use super::{Arguments, read::Name};

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Parameter(String),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnbalancedBrace;

impl fmt::Display for UnbalancedBrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an unbalanced brace; write {name} for a parameter, {{ and }} for braces")
    }
}

impl FromStr for Template {
    type Err = UnbalancedBrace;

    fn from_str(text: &str) -> Result<Self, UnbalancedBrace> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '{' | '}' if chars.next_if_eq(&c).is_some() => literal.push(c),
                '{' => {
                    let mut parameter = String::new();
                    loop {
                        match chars.next() {
                            Some('}') => break,
                            Some('{') | None => return Err(UnbalancedBrace),
                            Some(c) => parameter.push(c),
                        }
                    }
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    pieces.push(Piece::Parameter(parameter));
                }
                '}' => return Err(UnbalancedBrace),
                _ => literal.push(c),
            }
        }
        pieces.push(Piece::Literal(literal));
        Ok(Self(pieces))
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Template {
    /// The parameters that it names.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// One name for every combination of the parameters' values; none if a parameter has none.
    pub(super) fn expand(&self, arguments: &Arguments) -> Vec<Name> {
        let mut names: Vec<Vec<u8>> = vec![Vec::new()];
        for piece in &self.0 {
            names = match piece {
                Piece::Literal(text) => {
                    names.into_iter().map(|name| [&name, text.as_bytes()].concat()).collect()
                }
                Piece::Parameter(parameter) => {
                    let values = arguments.values(parameter);
                    names
                        .iter()
                        .flat_map(|name| {
                            values.iter().map(move |value| [name.as_slice(), value].concat())
                        })
                        .collect()
                }
            };
        }
        names.into_iter().map(Name::new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::Argument;

    fn expand(template: &str, arguments: &Arguments) -> Vec<String> {
        let template: Template = template.parse().unwrap();
        template.expand(arguments).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_value_of_a_parameter_makes_a_name() {
        let mut arguments = Arguments::default();
        arguments.set("queue", Argument::Names(vec!["a".into(), "b".into()]));
        assert_eq!(expand("bull:{queue}:wait", &arguments), ["bull:a:wait", "bull:b:wait"]);
        assert_eq!(
            expand("asynq:{{{queue}}}:lease", &arguments),
            ["asynq:{a}:lease", "asynq:{b}:lease"]
        );
        assert!(expand("{other}", &arguments).is_empty());
    }

    #[test]
    fn an_unbalanced_brace_is_refused() {
        for text in ["{", "}", "a{b", "a}b", "{a{b}}"] {
            assert_eq!(text.parse::<Template>(), Err(UnbalancedBrace), "{text}");
        }
    }
}
