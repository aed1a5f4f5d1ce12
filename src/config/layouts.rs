//! The sections `[layouts.NAME]`: a platform team's own frameworks, in the format of the built-in ones. They
//! have no secrets, so what is wrong is told in full.

use std::collections::BTreeMap;

use toml::Table;

use crate::{
    layouts::{Layout, Registry},
    limits,
    trigger::is_reserved,
};

use super::{
    connection,
    problem::{ConfigProblems, Spot},
    spanned::Spanned,
};

/// The built-in layouts and these.
pub(super) fn settle(
    sections: BTreeMap<String, Spanned<Table>>,
    problems: &mut ConfigProblems,
) -> Registry {
    let mut registry = Registry::builtin().clone();
    if sections.len() > limits::LAYOUTS {
        let (given, most) = (sections.len(), limits::LAYOUTS);
        let what = format!("{given} layouts are defined, at most {most} may be");
        problems.add(&Spot::new("layouts"), what);
        return registry;
    }
    for (name, Spanned { spot, value }) in sections {
        if !connection::is_name(&name) {
            let what = "is no name of a layout: 1 to 63 of a-z, 0-9 and -, the first no -";
            problems.add(&spot, what);
        } else if registry.get(&name).is_some() {
            problems.add(&spot, "is the name of a built-in layout; give it another one");
        } else {
            match Layout::from_table(&name, value) {
                Ok(layout) => match reserved(&layout) {
                    Some(key) => {
                        let what = format!(
                            "`{key}` means something else in every trigger; give the parameter \
                             another name"
                        );
                        problems.add(&spot.key("params"), what);
                    }
                    None => registry.add(layout),
                },
                Err(error) => problems.add(&spot, error.to_string()),
            }
        }
    }
    registry
}

/// The first name or alias of a parameter that no trigger would get to it.
fn reserved(layout: &Layout) -> Option<&str> {
    let names = layout.parameters().flat_map(|(name, parameter)| {
        [name].into_iter().chain(parameter.aliases.iter().map(String::as_str))
    });
    names.into_iter().find(|name| is_reserved(name))
}
