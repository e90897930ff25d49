//! The rules, one in a file.

mod attributes;
mod changelog;
mod compartments;
mod direction;
mod fuzzing;
mod length;
mod links;
mod names;
mod promises;
mod tenants;

use crate::{Finding, Tree};

const RULES: [fn(&Tree) -> Vec<Finding>; 10] = [
    attributes::check,
    changelog::check,
    compartments::check,
    direction::check,
    fuzzing::check,
    length::check,
    links::check,
    names::check,
    promises::check,
    tenants::check,
];

/// Everything in the tree that breaks a rule, in the order of files and lines.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(tree)).collect();
    findings.sort();
    findings.dedup();
    findings
}

/// What a rule says of these texts, as `file:line`.
#[cfg(test)]
fn places(rule: fn(&Tree) -> Vec<Finding>, texts: &[(&str, &str)]) -> Vec<String> {
    let mut findings = rule(&Tree::of(texts));
    findings.sort();
    findings
        .iter()
        .map(|finding| format!("{}:{}", finding.file, finding.line))
        .collect()
}
