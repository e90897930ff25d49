//! Names of files and folders say what is in them.

use crate::{Finding, Tree};

/// Words that say nothing, and therefore gather everything.
const BANNED: [&str; 16] = [
    "common", "core", "helper", "helpers", "misc", "util", "utils", "shared", "stuff", "types",
    "base", "manager", "old", "tmp", "bak", "copy",
];
/// Where the rule holds.
const OURS: [&str; 6] = ["crates/", "xtask/", "tests/", "fuzz/", "bench/", "docs/"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let ours = tree
        .names()
        .filter(|path| OURS.iter().any(|folder| path.starts_with(folder)));
    let named = ours.filter_map(|path| {
        let mut words = path.split('/').flat_map(|part| {
            let stem = part.split_once('.').map_or(part, |(stem, _)| stem);
            stem.split(['_', '-'])
        });
        let word = words.find(|word| BANNED.contains(word))?;
        Some(Finding {
            file: path.to_owned(),
            line: 1,
            what: format!("the word \"{word}\" in a name"),
            why: "it names no subject, so that anything ends up there",
            remedy: "name the file or folder after its one responsibility",
        })
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::places;

    #[test]
    fn names_that_say_nothing_are_found() {
        for bad in [
            "crates/a/src/utils.rs",
            "crates/common/src/lib.rs",
            "tests/test_helpers.rs",
            "crates/a/src/core/x.rs",
        ] {
            assert_eq!(places(check, &[(bad, "")]), [format!("{bad}:1")]);
        }
        let good = [
            "crates/a/src/score.rs",
            "crates/a/src/prototypes.rs",
            "shared/x.rs",
            "crates/a/src/basement.rs",
        ];
        for good in good {
            assert_eq!(places(check, &[(good, "")]), Vec::<String>::new(), "{good}");
        }
    }
}
