//! What one source file says that a rule of the levels could be about: paths, prints, lints.
//!
//! It is apart from the rules because it only resolves names, as the compiler would and as far as
//! the levels need it. It does not know which names are wrong.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{
    Attribute, File, Item, ItemExternCrate, ItemMod, ItemUse, Macro, Meta, UseTree,
    visit::{self, Visit},
};

/// One thing that a file says.
pub enum What {
    /// A path within this crate, its top-level module first.
    Own(Vec<String>),
    /// A path that starts with the name of the service's library: main.rs says it of its own crate.
    Service(Vec<String>),
    /// A path that starts with another crate, or with a type.
    Other(Vec<String>),
    /// A call of a macro; only its name.
    Macro(String),
    /// `allow(…)`.
    Allow,
    /// `expect(…)` without a reason.
    Unreasoned,
}

/// Where it says it, and whether only tests are compiled with it.
pub struct Found {
    pub line: usize,
    pub is_test: bool,
    pub what: What,
}

/// Everything that a file of this module says.
pub fn read(module: Vec<String>, is_test: bool, file: &File) -> Vec<Found> {
    let mut imports = Imports(BTreeMap::new());
    imports.visit_file(file);
    let mut reader = Reader { module, is_test, imports: imports.0, found: Vec::new() };
    reader.visit_file(file);
    reader.found
}

/// `a/b/c.rs` is `[a, b, c]`, `a/mod.rs` is `[a]`, `lib.rs` and `main.rs` are the root.
pub fn module_of(path: &str) -> Vec<String> {
    let mut parts: Vec<String> =
        path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let is_root = parts.len() == 1 && ["lib", "main"].contains(&parts[0].as_str());
    if is_root || parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The modules in files of their own that are only compiled for tests: `#[cfg(test)] mod name;`.
pub fn test_modules(module: &[String], file: &File) -> Vec<Vec<String>> {
    let child = |item: &Item| {
        let Item::Mod(child) = item else { return None };
        let is_test = child.content.is_none() && is_cfg_test(&child.attrs);
        is_test.then(|| module.iter().cloned().chain([child.ident.to_string()]).collect())
    };
    file.items.iter().filter_map(child).collect()
}

fn is_cfg_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        list.is_ok_and(|list| list.path.is_ident("cfg") && list.tokens.to_string() == "test")
    })
}

/// One path of a `use` tree, and the name that it binds.
struct UsePath {
    names: Vec<String>,
    line: usize,
    bound: Option<String>,
}

fn use_paths(tree: &UseTree) -> Vec<UsePath> {
    let leaf = |ident: &Ident, bound: Option<&Ident>| UsePath {
        names: vec![ident.to_string()],
        line: ident.span().start().line,
        bound: bound.map(ToString::to_string),
    };
    match tree {
        UseTree::Name(name) if name.ident == "self" => vec![leaf(&name.ident, None)],
        UseTree::Name(name) => vec![leaf(&name.ident, Some(&name.ident))],
        UseTree::Rename(rename) => vec![leaf(&rename.ident, Some(&rename.rename))],
        UseTree::Glob(glob) => {
            let line = glob.star_token.spans[0].start().line;
            vec![UsePath { names: vec!["*".to_owned()], line, bound: None }]
        }
        UseTree::Group(group) => group.items.iter().flat_map(use_paths).collect(),
        UseTree::Path(path) => {
            let name = path.ident.to_string();
            let mut paths = use_paths(&path.tree);
            for below in &mut paths {
                if below.names == ["self"] {
                    below.names.clear();
                    below.bound.get_or_insert_with(|| name.clone());
                }
                below.names.insert(0, name.clone());
            }
            paths
        }
    }
}

/// What the imports of a file bind: a name, and the path that it stands for.
struct Imports(BTreeMap<String, Vec<String>>);

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for UsePath { names, bound, .. } in use_paths(&item.tree) {
            if let Some(bound) = bound {
                self.0.insert(bound, names);
            }
        }
    }
}

struct Reader {
    module: Vec<String>,
    is_test: bool,
    imports: BTreeMap<String, Vec<String>>,
    found: Vec<Found>,
}

impl Reader {
    fn note(&mut self, line: usize, what: What) {
        self.found.push(Found { line, is_test: self.is_test, what });
    }

    /// A path as it stands in the code: its first name may be an imported one.
    fn path(&mut self, names: &[String], line: usize) {
        let imported = names.first().and_then(|first| self.imports.get(first));
        let whole = imported.map(|path| [path, &names[1..]].concat());
        self.whole_path(whole.as_deref().unwrap_or(names), line);
    }

    fn whole_path(&mut self, names: &[String], line: usize) {
        let Some(first) = names.first() else { return };
        let own: Vec<String> = match first.as_str() {
            "penstock" if names.len() > 1 => {
                return self.note(line, What::Service(names[1..].to_vec()));
            }
            "crate" | "penstock" => names[1..].to_vec(),
            "self" | "super" => {
                let ups = names.iter().take_while(|name| ["self", "super"].contains(&&***name));
                let (steps, ups) = (ups.clone().count(), ups.filter(|up| *up == "super").count());
                let depth = self.module.len().saturating_sub(ups);
                [&self.module[..depth], &names[steps..]].concat()
            }
            _ => return self.note(line, What::Other(names.to_vec())),
        };
        if !own.is_empty() {
            self.note(line, What::Own(own));
        }
    }

    /// Paths and calls inside a macro call or an attribute, which syn does not parse.
    fn tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut line, mut colons) = (Vec::new(), 0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.end(&mut path, line);
                        line = name.span().start().line;
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Punct(mark) => {
                    if let ('!', Some(name)) = (mark.as_char(), path.last()) {
                        self.note(line, What::Macro(name.clone()));
                    }
                    self.end(&mut path, line);
                    colons = 0;
                }
                TokenTree::Group(group) => {
                    self.end(&mut path, line);
                    colons = 0;
                    self.tokens(group.stream());
                }
                TokenTree::Literal(_) => colons = 0,
            }
        }
        self.end(&mut path, line);
    }

    fn end(&mut self, path: &mut Vec<String>, line: usize) {
        if path.len() > 1 {
            self.path(path, line);
        }
        path.clear();
    }

    /// `allow(…)` and `expect(…)`, also within `cfg_attr(…)`.
    fn lints(&mut self, name: &Ident, arguments: TokenStream) {
        let line = name.span().start().line;
        let has_reason = arguments.clone().into_iter().any(|token| token.to_string() == "reason");
        if name == "allow" {
            self.note(line, What::Allow);
        } else if name == "expect" && !has_reason {
            self.note(line, What::Unreasoned);
        }
        let mut name = None;
        for token in arguments {
            match (token, name.take()) {
                (TokenTree::Ident(ident), _) => name = Some(ident),
                (TokenTree::Group(group), Some(name)) => self.lints(&name, group.stream()),
                _ => {}
            }
        }
    }

    fn within(&mut self, attributes: &[Attribute], walk: impl FnOnce(&mut Self)) {
        let before = self.is_test;
        self.is_test |= is_cfg_test(attributes);
        walk(self);
        self.is_test = before;
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.within(&item.attrs, |reader| {
            for UsePath { names, line, .. } in use_paths(&item.tree) {
                reader.whole_path(&names, line);
            }
        });
    }

    fn visit_item_extern_crate(&mut self, item: &'ast ItemExternCrate) {
        let line = item.ident.span().start().line;
        self.note(line, What::Other(vec![item.ident.to_string()]));
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.within(&item.attrs, |reader| {
            reader.module.push(item.ident.to_string());
            visit::visit_item_mod(reader, item);
            reader.module.pop();
        });
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.path(&names, path.segments[0].ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        if let Some(segment) = call.path.segments.last() {
            let line = segment.ident.span().start().line;
            self.note(line, What::Macro(segment.ident.to_string()));
        }
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            if let Some(name) = list.path.get_ident() {
                self.lints(name, list.tokens.clone());
            }
            self.tokens(list.tokens.clone());
        }
        visit::visit_attribute(self, attribute);
    }
}
