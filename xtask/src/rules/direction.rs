//! Dependencies point one way (ARCHITECTURE.md): what decides knows nothing of what acts, and only the binary and the
//! black-box tests know everything.

use toml::{Table, Value};

use crate::{Finding, Tree};

/// Each crate of ours with those of ours that it may use. A crate that is not here is found.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("wire", &[]),
    ("policy", &[]),
    ("evidence", &[]),
    ("redact", &["wire"]),
    ("compartment", &["wire", "redact", "policy", "evidence"]),
    ("cell", &["wire"]),
    (
        "gateway",
        &["wire", "policy", "evidence", "compartment", "cell"],
    ),
    ("probe", &["wire"]),
    (
        "cofferdam",
        &[
            "wire",
            "policy",
            "evidence",
            "compartment",
            "cell",
            "gateway",
            "probe",
        ],
    ),
    (
        "cofferdam-tests",
        &[
            "wire",
            "policy",
            "evidence",
            "compartment",
            "cell",
            "gateway",
            "probe",
            "cofferdam",
        ],
    ),
    ("xtask", &["gateway"]),
];

/// Crates that have no clock, socket, file, randomness or async runtime.
const PURE: [&str; 4] = ["wire", "redact", "policy", "evidence"];
const IMPURE: [&str; 20] = [
    "async-std",
    "axum",
    "fastrand",
    "futures-util",
    "getrandom",
    "http-body",
    "hyper",
    "hyper-rustls",
    "hyper-util",
    "mio",
    "rand",
    "reqwest",
    "rusqlite",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tokio-util",
    "tower",
    "ureq",
];
const NAMES_NOTHING: [&str; 8] = [
    "common", "core", "helpers", "misc", "shared", "types", "util", "utils",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts("toml") {
        if path.ends_with("/Cargo.toml") && !path.starts_with("fuzz/") {
            manifest(path, text, &mut findings);
        }
    }
    findings
}

fn manifest(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let mut found = |needle: &str, what: String, why, remedy| {
        findings.push(Finding {
            file: path.to_owned(),
            line: line_of(text, needle),
            what,
            why,
            remedy,
        });
    };
    let Ok(table) = text.parse::<Table>() else {
        return found(
            "",
            "not a TOML file".into(),
            "cargo cannot read it",
            "repair it",
        );
    };
    let Some(name) = table
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(Value::as_str)
    else {
        return;
    };
    if name
        .split(['-', '_'])
        .any(|word| NAMES_NOTHING.contains(&word))
    {
        let what = format!("a crate named {name}");
        found(
            "name",
            what,
            "it names no responsibility",
            "name it after the one it has, or give the code to whoever does",
        );
    }
    let Some((_, may_use)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
        let what = format!("the crate {name} has no place in the order of crates");
        return found(
            "name",
            what,
            "nobody decided what it may depend on",
            "give it a place in xtask/src/rules/direction.rs",
        );
    };
    for dependency in dependencies(&table) {
        let used = dependency.package.as_str();
        let ours = MAY_USE.iter().any(|(known, _)| *known == used);
        if ours && used != name && !may_use.contains(&used) {
            let what = format!("{name} depends on {used}");
            found(
                &dependency.key,
                what,
                "dependencies point one way",
                "move the code to where both may use it",
            );
        }
        if PURE.contains(&name) && !dependency.only_tests && IMPURE.contains(&used) {
            let what = format!("{name} depends on {used}");
            found(
                &dependency.key,
                what,
                "this crate is pure",
                "make time, randomness and bytes arguments",
            );
        }
    }
}

struct Dependency {
    key: String,
    package: String,
    only_tests: bool,
}

/// Every dependency of a manifest, also those for one platform, by the name of its package.
fn dependencies(table: &Table) -> Vec<Dependency> {
    let platforms = table.get("target").and_then(Value::as_table);
    let tables = std::iter::once(table).chain(
        platforms
            .into_iter()
            .flat_map(Table::values)
            .filter_map(Value::as_table),
    );
    let mut found = Vec::new();
    for table in tables {
        for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
            for (key, value) in table
                .get(kind)
                .and_then(Value::as_table)
                .into_iter()
                .flatten()
            {
                let package = value.get("package").and_then(Value::as_str).unwrap_or(key);
                let only_tests = kind == "dev-dependencies";
                found.push(Dependency {
                    key: key.clone(),
                    package: package.to_owned(),
                    only_tests,
                });
            }
        }
    }
    found
}

/// The first line that begins with the key.
fn line_of(text: &str, key: &str) -> usize {
    let begins = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.starts_with([' ', '=', '.']))
    };
    text.lines().position(begins).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::places;

    fn check_manifest(name: &str, rest: &str, expected: &[usize]) {
        let path = format!("crates/{name}/Cargo.toml");
        let text = format!("[package]\nname = \"{name}\"\n{rest}");
        let expected: Vec<String> = expected
            .iter()
            .map(|line| format!("{path}:{line}"))
            .collect();
        assert_eq!(places(check, &[(&path, &text)]), expected, "{text}");
    }

    #[test]
    fn a_dependency_against_the_order_is_found() {
        check_manifest(
            "compartment",
            "[dependencies]\nwire = { workspace = true }\ntokio = \"1\"",
            &[],
        );
        check_manifest("wire", "[dependencies]\npolicy.workspace = true", &[4]);
        check_manifest(
            "policy",
            "[dev-dependencies]\ngateway = { path = \"../gateway\" }",
            &[4],
        );
        check_manifest(
            "evidence",
            "[dependencies]\nx = { package = \"wire\", path = \"\" }",
            &[4],
        );
        check_manifest("gateway", "[dependencies]\ncofferdam = \"*\"", &[4]);
        check_manifest("cofferdam-tests", "[dependencies]\ncofferdam = \"*\"", &[]);
        check_manifest(
            "probe",
            "[build-dependencies]\nwire = \"*\"\ncell = \"*\"",
            &[5],
        );
        check_manifest("probe", "[dev-dependencies]\ngateway = \"*\"", &[4]);
        check_manifest("gateway", "[dev-dependencies]\nprobe = \"*\"", &[4]);
    }

    #[test]
    fn an_impure_dependency_of_a_pure_crate_is_found() {
        check_manifest("policy", "[dependencies]\ntokio = \"1\"", &[4]);
        check_manifest(
            "wire",
            "[target.'cfg(unix)'.dependencies]\nrand = \"1\"",
            &[4],
        );
        check_manifest("evidence", "[dev-dependencies]\nrand = \"1\"", &[]);
    }

    #[test]
    fn a_crate_without_a_place_or_a_meaning_is_found() {
        check_manifest("newcomer", "", &[2]);
        check_manifest("cofferdam-utils", "", &[2, 2]);
        assert_eq!(
            places(check, &[("crates/x/Cargo.toml", "[package")]),
            ["crates/x/Cargo.toml:1"]
        );
    }
}
