//! No function has two compartments, or a compartment and a sealed value, in its arguments: there is nothing to mix up.

use syn::visit::{self, Visit};
use syn::{FnArg, ImplItemFn, ItemFn, ItemImpl, Signature, TraitItemFn};

use crate::{Finding, Tree};

const COMPARTMENT: &str = "Compartment";
/// Sealed values are named so.
const SEALED: &str = "Sealed";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree
        .texts("rs")
        // what must not compile does on purpose what nothing else may
        .filter(|(path, _)| path.starts_with("crates/") && !path.contains("/must_not_compile/"))
    {
        let Ok(file) = syn::parse_file(text) else {
            continue;
        };
        let mut functions = Functions {
            own: Count::default(),
            found: Vec::new(),
        };
        functions.visit_file(&file);
        findings.extend(functions.found.into_iter().map(|(line, name)| Finding {
            file: path.to_owned(),
            line,
            what: format!("{name} takes two compartments, or a compartment and a sealed value"),
            why: "the two could belong to different tenants",
            remedy: "let the value open itself, or make it a method of what the compartment hands out",
        }));
    }
    findings
}

struct Functions {
    /// What the type whose methods are visited names: each `self` brings it.
    own: Count,
    found: Vec<(usize, String)>,
}

impl Functions {
    fn look(&mut self, signature: &Signature) {
        let mut count = Count::default();
        for input in &signature.inputs {
            match input {
                FnArg::Typed(argument) => count.visit_type(&argument.ty),
                FnArg::Receiver(_) => {
                    count.compartments += self.own.compartments;
                    count.sealed += self.own.sealed;
                }
            }
        }
        if count.compartments > 1 || (count.compartments > 0 && count.sealed > 0) {
            self.found.push((
                signature.ident.span().start().line,
                signature.ident.to_string(),
            ));
        }
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let outer = std::mem::take(&mut self.own);
        self.own.visit_type(&item.self_ty);
        visit::visit_item_impl(self, item);
        self.own = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.look(&item.sig);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.look(&item.sig);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.look(&item.sig);
        visit::visit_trait_item_fn(self, item);
    }
}

/// How often a type names either kind.
#[derive(Default)]
struct Count {
    compartments: usize,
    sealed: usize,
}

impl<'ast> Visit<'ast> for Count {
    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        self.compartments += usize::from(segment.ident == COMPARTMENT);
        self.sealed += usize::from(segment.ident.to_string().starts_with(SEALED));
        visit::visit_path_segment(self, segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::places;

    #[test]
    fn a_function_that_could_mix_two_tenants_is_found() {
        let text = "
fn one(a: &Compartment) -> Compartment {}
fn two(a: &Compartment, b: Arc<Compartment>) {}
fn pair(a: Vec<(Compartment, x::Compartment)>) {}
fn sealed(a: Compartment, b: &SealedText) {}
fn only_sealed(b: Sealed<u8>) {}
impl Compartment { fn me(&self) {} fn other(&self, b: &Compartment) {} fn open(self, b: Sealed) {} }
impl Store { fn of(&self, a: &Compartment) {} }
trait T { fn both(a: Compartment, b: Compartment); }
mod m { fn nested() { fn inner(a: Compartment, b: Compartment) {} } }
";
        let lines =
            ["3", "4", "5", "7", "7", "9", "10"].map(|line| format!("crates/a/src/b.rs:{line}"));
        assert_eq!(places(check, &[("crates/a/src/b.rs", text)]), lines);
    }
}
