//! Every promise of SPECIFICATION.md names the tests that keep it.
//!
//! A promise is one line: a table row or a list item that begins with its number, `P` and digits, and that names at
//! least one test behind `test:` or `tests:`, each as `` `file::name` `` in backticks:
//!
//! ```text
//! | P7 | Reserved money never exceeds any limit. | test: `crates/policy/tests/book/any_order.rs::reserved_and_…` |
//! - **P8** A model without a price is refused. tests: `crates/a/src/b.rs::one`, `tests/sdk/test_chat.py::test_two`
//! ```
//!
//! The file is Rust (`fn` under `#[test]` or `#[…::test]`, also inside a macro such as `proptest!`; not `#[ignore]`d) or
//! Python (`def`). Modules between the file and the name are allowed and not looked at. A number stands once.

use std::collections::BTreeSet;

use crate::{Finding, Tree, source};

const FILE: &str = "SPECIFICATION.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |line, what, why, remedy| {
        findings.push(Finding {
            file: FILE.to_owned(),
            line,
            what,
            why,
            remedy,
        })
    };
    let mut numbers = BTreeSet::new();
    for (line, text) in tree
        .text(FILE)
        .unwrap_or_default()
        .lines()
        .enumerate()
        .map(|(index, text)| (index + 1, text))
    {
        let Some(number) = promise(text) else {
            continue;
        };
        if !numbers.insert(number) {
            let what = format!("P{number} stands twice");
            found(
                line,
                what,
                "a promise is quoted by its number",
                "give it the next free number",
            );
        }
        let named = named_tests(text);
        if named.is_empty() {
            let what = format!("P{number} names no test");
            found(
                line,
                what,
                "a promise that nothing checks is a wish",
                "add test: `file::name`",
            );
        }
        for test in named {
            if let Some(what) = wrong(tree, test) {
                let what = format!("P{number}: {what}");
                found(
                    line,
                    what,
                    "a promise that nothing checks is a wish",
                    "name a test that exists and runs",
                );
            }
        }
    }
    if numbers.is_empty() {
        found(
            1,
            "no promises".to_owned(),
            "the product stands by numbered promises",
            "write them, with their tests",
        );
    }
    findings
}

/// The number of the promise that a line is.
fn promise(line: &str) -> Option<u32> {
    let line = line.trim_start();
    let item = line
        .strip_prefix('|')
        .or_else(|| line.strip_prefix("- "))
        .or_else(|| line.strip_prefix("* "))?;
    let number = item
        .trim_start()
        .trim_start_matches('*')
        .strip_prefix('P')?;
    let digits = number
        .find(|c: char| !c.is_ascii_digit())
        .map_or(number, |end| number.split_at(end).0);
    digits.parse().ok()
}

/// What stands in backticks behind `test:` or `tests:`.
fn named_tests(line: &str) -> Vec<&str> {
    let behind = line
        .split_once("tests:")
        .or_else(|| line.split_once("test:"));
    let quoted = behind.map(|(_, behind)| behind.split('`').skip(1).step_by(2));
    quoted.into_iter().flatten().collect()
}

/// What is wrong with a test's name.
fn wrong(tree: &Tree, test: &str) -> Option<String> {
    let Some((file, name)) = test
        .split_once("::")
        .map(|(file, rest)| (file, rest.rsplit("::").next().unwrap_or(rest)))
    else {
        return Some(format!("`{test}` is not file::name"));
    };
    let Some(text) = tree.text(file) else {
        return Some(format!("the file {file} does not exist"));
    };
    if file.ends_with(".rs") {
        match source::tests(text)
            .into_iter()
            .find(|test| test.name == name)
        {
            None => Some(format!("no test {name} in {file}")),
            Some(test) => test
                .ignored
                .then(|| format!("the test {name} in {file} is ignored")),
        }
    } else {
        let defined = |line: &str| {
            let line = line.trim_start();
            let line = line.strip_prefix("async ").unwrap_or(line);
            line.strip_prefix("def ")
                .and_then(|rest| rest.strip_prefix(name))
                .is_some_and(|rest| rest.starts_with('('))
        };
        (!text.lines().any(defined)).then(|| format!("no test {name} in {file}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::places;

    fn check_page(page: &str, expected: &[usize]) {
        let expected: Vec<String> = expected
            .iter()
            .map(|line| format!("SPECIFICATION.md:{line}"))
            .collect();
        let tree = [
            (FILE, page),
            (
                "a/b.rs",
                "#[test] fn kept() {} #[test] #[ignore] fn asleep() {} fn not_a_test() {}",
            ),
            ("a/c.rs", "proptest! { #[test] fn drawn(x in 0..1) {} }"),
            (
                "a/d.py",
                "def test_it(x):\n    pass\nclass A:\n    async def test_in(self): pass\n",
            ),
        ];
        assert_eq!(places(check, &tree), expected, "{page}");
    }

    #[test]
    fn a_promise_whose_tests_exist_is_good() {
        check_page("# Promises\n\n| P1 | text | test: `a/b.rs::kept` |", &[]);
        check_page(
            "- P1 text. tests: `a/b.rs::tests::kept`, `a/c.rs::drawn`, `a/d.py::test_it`",
            &[],
        );
        check_page("* **P12** text; test: `a/d.py::A::test_in`", &[]);
    }

    #[test]
    fn a_promise_that_nothing_keeps_is_found() {
        check_page("# Nothing\nP1 is not one", &[1]);
        check_page("| P1 | text | `a/b.rs::kept` |", &[1]);
        check_page("| P1 | text | test: |", &[1]);
        check_page("| P1 | text | test: `kept` |", &[1]);
        check_page("| P1 | text | test: `a/gone.rs::kept` |", &[1]);
        check_page("| P1 | text | test: `a/b.rs::gone` |", &[1]);
        check_page("| P1 | text | test: `a/b.rs::not_a_test` |", &[1]);
        check_page("| P1 | text | test: `a/b.rs::asleep` |", &[1]);
        check_page("| P1 | text | tests: `a/b.rs::kept`, `a/b.rs::kep` |", &[1]);
        check_page("| P1 | text | test: `a/d.py::test_i` |", &[1]);
        check_page(
            "| P1 | a | test: `a/b.rs::kept` |\n| P1 | b | test: `a/b.rs::kept` |",
            &[2],
        );
        assert_eq!(places(check, &[]), ["SPECIFICATION.md:1"]);
    }
}
