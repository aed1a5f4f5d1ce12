//! Conditions on the arguments of a trigger.

use std::collections::BTreeMap;

use crate::layouts::parameter::Arguments;

use super::role::{ParameterRole, Use};

/// Conditions: these parameters, choices all, have these values.
pub(in crate::layouts) type When = BTreeMap<String, String>;

pub(in crate::layouts) fn is_met(when: &When, arguments: &Arguments) -> bool {
    when.iter().all(|(name, word)| arguments.choice(name) == Some(word))
}

/// The parameters in conditions.
pub(in crate::layouts) fn uses_of_when(when: &When) -> Vec<Use> {
    let of = |(parameter, word): (&String, &String)| Use {
        parameter: parameter.clone(),
        as_a: ParameterRole::Word(word.clone()),
    };
    when.iter().map(of).collect()
}
