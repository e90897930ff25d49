//! No public signature names a tenant id: below the door a handle carries its tenant, and nobody can pass another's.
//! The operator's administration of tenants is the exception, by the list below.
//!
//! Public means reachable from outside the crate. A `pub fn` counts when its module is public from the crate's root, or
//! when its name, or that of the type or trait it belongs to, is handed out by a `pub use` of a public module.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{ImplItemFn, Item, ItemFn, ItemImpl, ItemTrait, Signature, UseTree, Visibility};

use crate::{Finding, Tree};

const TENANT_ID: &str = "TenantId";
/// Modules, with all below them, in which an operator names a tenant.
const OPERATORS: [&str; 2] = ["compartment::administration", "compartment::house"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, Vec<Module<'_>>> = BTreeMap::new();
    for (path, text) in tree.library() {
        if let Some((name, place)) = place(path)
            && let Ok(file) = syn::parse_file(text)
        {
            let modules = crates.entry(name).or_default();
            split(path, place, file.items, modules);
        }
    }
    crates
        .iter()
        .flat_map(|(name, modules)| look_through(name, modules))
        .collect()
}

/// One module, with the items that stand in it directly.
struct Module<'a> {
    file: &'a str,
    place: Vec<String>,
    items: Vec<Item>,
}

/// The crate and the module that a file is. A binary has no outside.
fn place(path: &str) -> Option<(&str, Vec<String>)> {
    let (folder, inside) = path.split_once("/src/")?;
    let name = folder.rsplit('/').next()?;
    let inside = inside.strip_suffix(".rs")?;
    let mut place: Vec<String> = inside.split('/').map(str::to_owned).collect();
    match place.last().map(String::as_str) {
        Some("main") => return None,
        Some("lib" | "mod") => _ = place.pop(),
        _ => {}
    }
    (!inside.starts_with("bin/")).then_some((name, place))
}

/// Takes modules that are written inside others out of them; those for tests are dropped.
fn split<'a>(file: &'a str, place: Vec<String>, items: Vec<Item>, modules: &mut Vec<Module<'a>>) {
    let mut direct = Vec::new();
    for item in items {
        match item {
            Item::Mod(mut module) if module.content.is_some() => {
                let inner = module
                    .content
                    .take()
                    .map(|(_, items)| items)
                    .unwrap_or_default();
                if !for_tests(&module.attrs) {
                    let place = place
                        .iter()
                        .cloned()
                        .chain([module.ident.to_string()])
                        .collect();
                    split(file, place, inner, modules);
                    direct.push(Item::Mod(module));
                }
            }
            other => direct.push(other),
        }
    }
    modules.push(Module {
        file,
        place,
        items: direct,
    });
}

fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|word| word == "test")
    })
}

fn look_through(name: &str, modules: &[Module<'_>]) -> Vec<Finding> {
    let public = Public::of(modules);
    let mut findings = Vec::new();
    for module in modules {
        let place = std::iter::once(name)
            .chain(module.place.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("::");
        let operators = |known: &&str| place == **known || place.starts_with(&format!("{known}::"));
        if OPERATORS.iter().any(operators) {
            continue;
        }
        let mut functions = Functions {
            public: &public,
            open: public.modules.contains(&module.place),
            found: Vec::new(),
        };
        module
            .items
            .iter()
            .for_each(|item| functions.visit_item(item));
        findings.extend(functions.found.into_iter().map(|(line, function)| Finding {
            file: module.file.to_owned(),
            line,
            what: format!("the public {function} names a tenant id"),
            why: "whoever can name a tenant can name another's",
            remedy: "make it a method of a handle that carries its tenant, or pub(crate)",
        }));
    }
    findings
}

/// What of a crate can be reached from outside.
struct Public {
    modules: BTreeSet<Vec<String>>,
    /// Functions, types and traits that are handed out, or public in a public module.
    names: BTreeSet<String>,
}

impl Public {
    fn of(modules: &[Module<'_>]) -> Public {
        let mut public = Public {
            modules: BTreeSet::from([Vec::new()]),
            names: BTreeSet::new(),
        };
        // each round opens what the round before made reachable; a crate has few levels
        loop {
            let before = (public.modules.len(), public.names.len());
            for module in modules
                .iter()
                .filter(|module| public.modules.contains(&module.place))
                .collect::<Vec<_>>()
            {
                module
                    .items
                    .iter()
                    .for_each(|item| public.open(item, &module.place, modules));
            }
            if before == (public.modules.len(), public.names.len()) {
                return public;
            }
        }
    }

    fn open(&mut self, item: &Item, place: &[String], modules: &[Module<'_>]) {
        let (visibility, name) = match item {
            Item::Mod(item) => {
                if matches!(item.vis, Visibility::Public(_)) {
                    self.modules.insert(
                        place
                            .iter()
                            .cloned()
                            .chain([item.ident.to_string()])
                            .collect(),
                    );
                }
                return;
            }
            Item::Use(item) => {
                if matches!(item.vis, Visibility::Public(_)) {
                    self.hand_out(&item.tree, None, modules);
                }
                return;
            }
            Item::Struct(item) => (&item.vis, &item.ident),
            Item::Enum(item) => (&item.vis, &item.ident),
            Item::Trait(item) => (&item.vis, &item.ident),
            Item::Type(item) => (&item.vis, &item.ident),
            Item::Fn(item) => (&item.vis, &item.sig.ident),
            _ => return,
        };
        if matches!(visibility, Visibility::Public(_)) {
            self.names.insert(name.to_string());
        }
    }

    /// What a `pub use` names: an item, a module, or everything of a module. Paths are matched by their last words: a
    /// name too many that is taken for public costs a finding, one too few would hide one.
    fn hand_out(&mut self, tree: &UseTree, parent: Option<&str>, modules: &[Module<'_>]) {
        let mut open_module = |word: &str| {
            for module in modules
                .iter()
                .filter(|module| module.place.last().is_some_and(|last| last == word))
            {
                self.modules.insert(module.place.clone());
            }
        };
        match tree {
            UseTree::Path(path) => {
                self.hand_out(&path.tree, Some(&path.ident.to_string()), modules)
            }
            UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|tree| self.hand_out(tree, parent, modules)),
            UseTree::Glob(_) => parent.into_iter().for_each(open_module),
            UseTree::Name(name) => {
                open_module(&name.ident.to_string());
                self.names.insert(name.ident.to_string());
            }
            UseTree::Rename(name) => {
                open_module(&name.ident.to_string());
                self.names.insert(name.ident.to_string());
            }
        }
    }
}

struct Functions<'a> {
    public: &'a Public,
    /// Whether the module they stand in is public.
    open: bool,
    found: Vec<(usize, String)>,
}

impl Functions<'_> {
    fn look(&mut self, signature: &Signature) {
        let mut names = Names(false);
        names.visit_signature(signature);
        if names.0 {
            self.found.push((
                signature.ident.span().start().line,
                signature.ident.to_string(),
            ));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        let reachable = self.open || self.public.names.contains(&item.sig.ident.to_string());
        if reachable && matches!(item.vis, Visibility::Public(_)) && !for_tests(&item.attrs) {
            self.look(&item.sig);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        // a trait's functions are looked at where it is declared, and the id may speak of itself
        let own = last_word(&item.self_ty);
        let reachable = own
            .as_ref()
            .is_some_and(|own| own != TENANT_ID && self.public.names.contains(own));
        if reachable && item.trait_.is_none() {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if matches!(item.vis, Visibility::Public(_)) && !for_tests(&item.attrs) {
            self.look(&item.sig);
        }
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        if self.public.names.contains(&item.ident.to_string())
            && matches!(item.vis, Visibility::Public(_))
        {
            for item in &item.items {
                if let syn::TraitItem::Fn(function) = item {
                    self.look(&function.sig);
                }
            }
        }
    }
}

fn last_word(own: &syn::Type) -> Option<String> {
    match own {
        syn::Type::Path(path) => path
            .path
            .segments
            .last()
            .map(|segment| segment.ident.to_string()),
        _ => None,
    }
}

/// Whether a signature names the id anywhere, in what goes in or what comes out.
struct Names(bool);

impl<'ast> Visit<'ast> for Names {
    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        self.0 |= segment.ident == TENANT_ID;
        visit::visit_path_segment(self, segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::places;

    const LIB: &str = "pub mod open; mod shut; pub(crate) mod inside; pub use shut::{Handed, handed}; pub use inside::all::*;";

    fn check_module(file: &str, text: &str, expected: &[usize]) {
        let path = format!("crates/compartment/src/{file}.rs");
        let expected: Vec<String> = expected
            .iter()
            .map(|line| format!("{path}:{line}"))
            .collect();
        let all = [
            ("crates/compartment/src/lib.rs", LIB),
            ("crates/compartment/src/inside.rs", "pub mod all;"),
            (&path, text),
        ];
        assert_eq!(places(check, &all), expected, "{file}: {text}");
    }

    #[test]
    fn a_tenant_id_in_a_reachable_signature_is_found() {
        check_module("open", "pub fn a(t: &TenantId) {}", &[1]);
        check_module(
            "open",
            "pub async fn a() -> Result<Vec<crate::TenantId>, E> {}",
            &[1],
        );
        check_module("open", "pub fn a(f: impl Fn(&TenantId) -> u8) {}", &[1]);
        check_module("open", "pub fn a<F>(f: F) where F: Fn(TenantId) {}", &[1]);
        check_module(
            "open",
            "pub struct S;\nimpl S {\n  pub fn a(&self, t: TenantId) {}\n}",
            &[3],
        );
        check_module("open", "pub trait T { fn a(&self, t: TenantId); }", &[1]);
        check_module("open", "pub mod deep { pub fn a(t: TenantId) {} }", &[1]);
        check_module(
            "shut",
            "pub struct Handed;\nimpl Handed { pub fn a(t: TenantId) {} }",
            &[2],
        );
        check_module("shut", "pub fn handed(t: TenantId) {}", &[1]);
        check_module("inside/all", "pub fn a(t: TenantId) {}", &[1]);
    }

    #[test]
    fn what_cannot_be_reached_may_name_a_tenant() {
        check_module(
            "open",
            "pub(crate) fn a(t: TenantId) {} fn b(t: TenantId) {}",
            &[],
        );
        check_module(
            "open",
            "pub struct S; impl S { pub(crate) fn a(t: TenantId) {} }",
            &[],
        );
        check_module("open", "struct S; impl S { pub fn a(t: TenantId) {} }", &[]);
        check_module(
            "open",
            "#[cfg(test)] mod tests { pub fn a(t: TenantId) {} }",
            &[],
        );
        check_module(
            "open",
            "pub struct TenantId; impl TenantId { pub fn parse() -> Option<TenantId> {} }",
            &[],
        );
        check_module("open", "pub fn a(t: TenantName) { let t: TenantId; }", &[]);
        check_module(
            "shut",
            "pub fn a(t: TenantId) {} pub struct S; impl S { pub fn b(t: TenantId) {} }",
            &[],
        );
        check_module("shut", "pub mod deep { pub fn a(t: TenantId) {} }", &[]);
        check_module("administration", "pub fn a(t: TenantId) {}", &[]);
        check_module("house/open", "pub fn a(t: TenantId) {}", &[]);
        assert_eq!(
            places(
                check,
                &[("crates/x/src/main.rs", "pub fn a(t: TenantId) {}")]
            ),
            Vec::<String>::new()
        );
    }
}
