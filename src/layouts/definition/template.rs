//! Names with places for parameters: `bull:{queue}:wait`, with `{{` and `}}` for literal braces and
//! `{0x06}` for a byte that is no text. A template is parsed once, with the layout, and filled per trigger.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error};

use super::{
    super::{Arguments, name::Name, read::member_key::MemberKey, weight::Weight},
    form::{Filling, Form},
};

/// What is said of a key whose template is empty.
pub(in crate::layouts) const EMPTY_KEY: &str = "`key` is empty, and no key has that name";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::layouts) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Parameter(String),
}

/// One value for each parameter that some templates name, and what a job counts with these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::layouts) struct Binding<'a> {
    values: BTreeMap<&'a str, &'a [u8]>,
    pub(in crate::layouts) weight: Weight,
}

impl<'a> Binding<'a> {
    /// Every combination of values of these parameters, up to one more than a trigger may have; none
    /// if one of them has no value.
    pub(in crate::layouts) fn all(
        parameters: impl Iterator<Item = &'a str>,
        arguments: &'a Arguments,
    ) -> Vec<Self> {
        let mut bindings = vec![Self { values: BTreeMap::new(), weight: Weight::ONE }];
        for parameter in parameters {
            let values = arguments.values(parameter);
            let with_each = |binding: Self| {
                if binding.values.contains_key(parameter) {
                    return vec![binding];
                }
                let with = |(value, weight): &(&'a [u8], Weight)| {
                    let mut bound = binding.clone();
                    bound.values.insert(parameter, value);
                    bound.weight = bound.weight.of(*weight);
                    bound
                };
                values.iter().map(with).collect()
            };
            let most = arguments.most_reads() + 1;
            bindings = bindings.into_iter().flat_map(with_each).take(most).collect();
        }
        bindings
    }
}

impl<'a> Binding<'a> {
    /// The binding with the one value of each of these that it lacks; `None` if one has none, or
    /// several.
    pub(in crate::layouts) fn with(
        &self,
        parameters: Vec<&'a str>,
        arguments: &'a Arguments,
    ) -> Option<Self> {
        let mut bound = self.clone();
        for parameter in parameters {
            if !bound.values.contains_key(parameter) {
                match arguments.values(parameter)[..] {
                    [(value, _)] => bound.values.insert(parameter, value),
                    _ => return None,
                };
            }
        }
        Some(bound)
    }
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::layouts) struct BadBrace;

impl fmt::Display for BadBrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an unbalanced brace; write {name} for a parameter, {0x06} for a byte, {{ and }} for braces",
        )
    }
}

impl FromStr for Template {
    type Err = BadBrace;

    fn from_str(text: &str) -> Result<Self, BadBrace> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        let close = |literal: &mut String| Piece::Literal(std::mem::take(literal).into_bytes());
        while let Some(c) = chars.next() {
            match c {
                '{' | '}' if chars.next_if_eq(&c).is_some() => literal.push(c),
                '{' => {
                    let mut place = String::new();
                    loop {
                        match chars.next() {
                            Some('}') => break,
                            Some('{') | None => return Err(BadBrace),
                            Some(c) => place.push(c),
                        }
                    }
                    pieces.push(close(&mut literal));
                    pieces.push(match place.strip_prefix("0x") {
                        Some(byte) => {
                            let byte = u8::from_str_radix(byte, 16).map_err(|_| BadBrace)?;
                            Piece::Literal(vec![byte])
                        }
                        None => Piece::Parameter(place),
                    });
                }
                '}' => return Err(BadBrace),
                _ => literal.push(c),
            }
        }
        pieces.push(close(&mut literal));
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
    pub(in crate::layouts) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// Whether it stands for no name at all.
    pub(in crate::layouts) fn is_empty(&self) -> bool {
        let is_nothing = |piece: &Piece| match piece {
            Piece::Literal(bytes) => bytes.is_empty(),
            Piece::Parameter(_) => false,
        };
        self.0.iter().all(is_nothing)
    }

    /// Whether it is this parameter and nothing else.
    pub(in crate::layouts) fn is_only(&self, parameter: &str) -> bool {
        let mut pieces = self
            .0
            .iter()
            .filter(|piece| !matches!(piece, Piece::Literal(bytes) if bytes.is_empty()));
        let is_it = |piece: &Piece| matches!(piece, Piece::Parameter(name) if name == parameter);
        pieces.next().is_some_and(is_it) && pieces.next().is_none()
    }

    /// What stands before and after this parameter, for each combination of the others' values; none
    /// if it does not name the parameter exactly once.
    pub(in crate::layouts) fn around(
        &self,
        parameter: &str,
        arguments: &Arguments,
    ) -> Vec<MemberKey> {
        let is_it = |piece: &Piece| matches!(piece, Piece::Parameter(name) if name == parameter);
        let Some(at) = self.0.iter().position(is_it) else { return vec![] };
        let (before, after) = (Self(self.0[..at].to_vec()), Self(self.0[at + 1..].to_vec()));
        if after.0.iter().any(is_it) {
            return vec![];
        }
        let others = before.parameters().chain(after.parameters());
        let around = |binding: &Binding<'_>| {
            Some(MemberKey { before: before.fill(binding)?, after: after.fill(binding)? })
        };
        Binding::all(others, arguments).iter().filter_map(around).collect()
    }

    /// How a key of it looks around this parameter; `None` if it does not name it exactly once, lacks a
    /// value, or has an open place between others.
    pub(in crate::layouts) fn form(
        &self,
        parameter: &str,
        filling: &dyn Fn(&str) -> Option<Filling>,
    ) -> Option<Form> {
        let is_something =
            |piece: &&Piece| !matches!(piece, Piece::Literal(bytes) if bytes.is_empty());
        let pieces: Vec<&Piece> = self.0.iter().filter(is_something).collect();
        let (mut form, mut is_past) = (Form::default(), false);
        for (place, piece) in pieces.iter().enumerate() {
            let bytes = match piece {
                Piece::Literal(bytes) => bytes.clone(),
                Piece::Parameter(name) if name == parameter && is_past => return None,
                Piece::Parameter(name) if name == parameter => {
                    is_past = true;
                    continue;
                }
                Piece::Parameter(name) => match filling(name)? {
                    Filling::Is(bytes) => bytes,
                    Filling::Open if place == 0 => {
                        form.open_before = true;
                        continue;
                    }
                    Filling::Open if is_past && place + 1 == pieces.len() => {
                        form.open_after = true;
                        continue;
                    }
                    Filling::Open => return None,
                },
            };
            let side = if is_past { &mut form.after } else { &mut form.before };
            side.extend(bytes);
        }
        let is_loose =
            form.open_before && form.before.is_empty() || form.open_after && form.after.is_empty();
        (is_past && !is_loose).then_some(form)
    }

    /// The name with these values; `None` if the binding lacks one.
    pub(in crate::layouts) fn fill(&self, binding: &Binding<'_>) -> Option<Name> {
        let mut name = Vec::new();
        for piece in &self.0 {
            name.extend_from_slice(match piece {
                Piece::Literal(bytes) => bytes,
                Piece::Parameter(parameter) => binding.values.get(parameter.as_str())?,
            });
        }
        Some(Name::new(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::Argument;

    fn expand(template: &str, arguments: &Arguments) -> Vec<Vec<u8>> {
        let template: Template = template.parse().unwrap();
        let bindings = Binding::all(template.parameters(), arguments);
        bindings.iter().map(|bound| template.fill(bound).unwrap().as_bytes().to_vec()).collect()
    }

    fn names(names: &[&str]) -> Argument {
        Argument::Names(names.iter().map(|name| ((*name).into(), Weight::ONE)).collect())
    }

    #[test]
    fn each_value_of_a_parameter_makes_a_name() {
        let mut arguments = Arguments::default();
        arguments.set("queue", names(&["a", "b"]));
        assert_eq!(expand("bull:{queue}:wait", &arguments), [b"bull:a:wait", b"bull:b:wait"]);
        assert_eq!(expand("asynq:{{{queue}}}:t", &arguments), [b"asynq:{a}:t", b"asynq:{b}:t"]);
        assert_eq!(expand("{queue}{queue}", &arguments), [b"aa", b"bb"]);
        assert!(expand("{other}", &arguments).is_empty());
    }

    #[test]
    fn a_byte_that_is_no_text_has_a_place_of_its_own() {
        let mut arguments = Arguments::default();
        arguments.set("queue", names(&["celery"]));
        arguments.set("step", names(&["3", "6"]));
        let lists = expand("{queue}{0x06}{0x16}{step}", &arguments);
        assert_eq!(lists, [b"celery\x06\x163", b"celery\x06\x166"]);
        assert_eq!(expand("{0xff}", &arguments), [b"\xff"]);
    }

    #[test]
    fn the_weight_of_a_binding_is_that_of_its_values() {
        let mut arguments = Arguments::default();
        let weighted = vec![("a".into(), Weight::ONE), ("b".into(), Weight::new(3.0).unwrap())];
        arguments.set("queue", Argument::Names(weighted));
        let bindings = Binding::all(["queue"].into_iter(), &arguments);
        let weights: Vec<f64> = bindings.iter().map(|bound| bound.weight.get()).collect();
        assert_eq!(weights, [1.0, 3.0]);
    }

    #[test]
    fn an_unbalanced_brace_is_refused() {
        for text in ["{", "}", "a{b", "a}b", "{a{b}}", "{0xfff}", "{0x}"] {
            assert_eq!(text.parse::<Template>(), Err(BadBrace), "{text}");
        }
    }
}
