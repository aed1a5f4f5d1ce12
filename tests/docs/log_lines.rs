//! The lines of the log as the source writes them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

/// Every message that is logged, with its level.
pub fn log_lines() -> BTreeMap<String, String> {
    let mut lines = Lines::default();
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        lines.visit_file(&syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap());
    }
    lines.0
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let mut found: Vec<_> = files.into_iter().filter(is_rust).collect();
    found.extend(folders.iter().flat_map(|folder| sources(folder)));
    found
}

#[derive(Default)]
struct Lines(BTreeMap<String, String>);

impl<'ast> Visit<'ast> for Lines {
    fn visit_macro(&mut self, macro_: &'ast syn::Macro) {
        let name = macro_.path.segments.last().unwrap().ident.to_string();
        if ["debug", "info", "warn", "error"].contains(&name.as_str()) {
            let message = last_text(&macro_.tokens).expect("a line has a message");
            self.0.insert(message, name);
        } else {
            // What stands in `select!` and the like is no expression to the reader.
            self.inside(&macro_.tokens);
        }
    }
}

impl Lines {
    fn inside(&mut self, tokens: &TokenStream) {
        let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            let TokenTree::Group(group) = token else { continue };
            let called = match tokens.get(at.wrapping_sub(2)..at) {
                Some([TokenTree::Ident(name), TokenTree::Punct(mark)]) if mark.as_char() == '!' => {
                    name.to_string()
                }
                _ => String::new(),
            };
            if ["debug", "info", "warn", "error"].contains(&called.as_str()) {
                self.0.insert(last_text(&group.stream()).expect("a line has a message"), called);
            } else {
                self.inside(&group.stream());
            }
        }
    }
}

/// The last argument that is a text: fields come before it.
fn last_text(tokens: &TokenStream) -> Option<String> {
    let texts = tokens.clone().into_iter().filter_map(|token| match token {
        TokenTree::Literal(literal) => {
            if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                Some(text.value())
            } else {
                None
            }
        }
        TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Punct(_) => None,
    });
    texts.last()
}
