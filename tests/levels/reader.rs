//! What one source file says that a rule of the levels could be about: paths, prints, lints.
//!
//! It does not know which names are wrong.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{
    Attribute, File, Item, ItemExternCrate, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility,
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
    /// Whether it only hands a name on, as `pub use` does.
    pub is_handed_on: bool,
    pub what: What,
}

/// Everything that a file of this module says.
pub fn read(module: Vec<String>, is_test: bool, file: &File) -> Vec<Found> {
    let mut imports = Imports { paths: BTreeMap::new(), handed_on: BTreeSet::new() };
    imports.visit_file(file);
    let place = Place::of(module, file);
    let mut reader = Reader { place, is_test, is_handed_on: false, imports, found: Vec::new() };
    reader.visit_file(file);
    reader.found
}

/// What the imports of a file bind at its top: a name, and the path in this crate that it stands for.
pub fn bound(module: Vec<String>, file: &File) -> BTreeMap<String, Vec<String>> {
    let place = Place::of(module, file);
    let uses = file.items.iter().filter_map(|item| {
        let Item::Use(item) = item else { return None };
        (!is_cfg_test(&item.attrs)).then_some(&item.tree)
    });
    let paths = uses.flat_map(use_paths);
    paths.filter_map(|path| Some((path.bound?, place.own_path(&path.names)?))).collect()
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

/// Where a path stands: its module, and the modules that the file of that module declares.
struct Place {
    module: Vec<String>,
    depth: usize,
    children: BTreeSet<String>,
}

impl Place {
    fn of(module: Vec<String>, file: &File) -> Self {
        let children = file.items.iter().filter_map(|item| {
            let Item::Mod(child) = item else { return None };
            child.content.is_none().then(|| child.ident.to_string())
        });
        Self { depth: module.len(), module, children: children.collect() }
    }

    /// A path from the root of the crate on, if it is one of this crate.
    fn own_path(&self, names: &[String]) -> Option<Vec<String>> {
        match names.first()?.as_str() {
            "crate" | "penstock" => Some(names[1..].to_vec()),
            "self" | "super" => {
                let ups = names.iter().take_while(|name| ["self", "super"].contains(&&***name));
                let (steps, ups) = (ups.clone().count(), ups.filter(|up| *up == "super").count());
                let depth = self.module.len().saturating_sub(ups);
                Some([&self.module[..depth], &names[steps..]].concat())
            }
            child if self.module.len() == self.depth && self.children.contains(child) => {
                Some([&self.module[..], names].concat())
            }
            _ => None,
        }
    }
}

/// What the imports of a file bind: a name, and the path that it stands for.
struct Imports {
    paths: BTreeMap<String, Vec<String>>,
    /// Those that it hands on, and may use itself as well.
    handed_on: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for UsePath { names, bound, .. } in use_paths(&item.tree) {
            if let Some(bound) = bound {
                if !matches!(item.vis, Visibility::Inherited) {
                    self.handed_on.insert(bound.clone());
                }
                self.paths.insert(bound, names);
            }
        }
    }
}

struct Reader {
    place: Place,
    is_test: bool,
    is_handed_on: bool,
    imports: Imports,
    found: Vec<Found>,
}

impl Reader {
    fn note(&mut self, line: usize, what: What) {
        let Self { is_test, is_handed_on, .. } = *self;
        self.found.push(Found { line, is_test, is_handed_on, what });
    }

    /// A path as it stands in the code: its first name may be an imported one.
    fn path(&mut self, names: &[String], line: usize) {
        let imported = names.first().and_then(|first| self.imports.paths.get(first));
        let whole = imported.map(|path| [path, &names[1..]].concat());
        self.whole_path(whole.as_deref().unwrap_or(names), line);
    }

    fn whole_path(&mut self, names: &[String], line: usize) {
        match (names, self.place.own_path(names)) {
            ([], _) => {}
            ([first, rest @ ..], _) if first == "penstock" && !rest.is_empty() => {
                self.note(line, What::Service(rest.to_vec()));
            }
            (_, None) => self.note(line, What::Other(names.to_vec())),
            (_, Some(own)) if own.is_empty() => {}
            (_, Some(own)) => self.note(line, What::Own(own)),
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
            reader.is_handed_on = !matches!(item.vis, Visibility::Inherited);
            for UsePath { names, line, .. } in use_paths(&item.tree) {
                reader.whole_path(&names, line);
            }
            reader.is_handed_on = false;
        });
    }

    fn visit_item_extern_crate(&mut self, item: &'ast ItemExternCrate) {
        let line = item.ident.span().start().line;
        self.note(line, What::Other(vec![item.ident.to_string()]));
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.within(&item.attrs, |reader| {
            reader.place.module.push(item.ident.to_string());
            visit::visit_item_mod(reader, item);
            reader.place.module.pop();
        });
    }

    /// `pub(in crate::a)` uses nothing of `a`.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 || self.imports.handed_on.contains(&names[0]) {
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
