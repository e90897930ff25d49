//! CHANGELOG.md has a heading for what comes next.

use crate::{Finding, Tree};

const FILE: &str = "CHANGELOG.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let headed = |text: &str| {
        text.lines()
            .any(|line| matches!(line.trim_end(), "## Unreleased" | "## [Unreleased]"))
    };
    if tree.text(FILE).is_some_and(headed) {
        return Vec::new();
    }
    vec![Finding {
        file: FILE.to_owned(),
        line: 1,
        what: "no heading \"## Unreleased\"".to_owned(),
        why: "whoever upgrades reads there what changes",
        remedy: "write it, with the changes below it",
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::places;

    #[test]
    fn a_changelog_without_what_comes_next_is_found() {
        for good in ["# Changes\n\n## Unreleased\n", "## [Unreleased]\r\n"] {
            assert_eq!(places(check, &[(FILE, good)]), Vec::<String>::new());
        }
        for bad in ["# Unreleased", "## 0.1.0\nUnreleased", "text ## Unreleased"] {
            assert_eq!(places(check, &[(FILE, bad)]), ["CHANGELOG.md:1"]);
        }
        assert_eq!(places(check, &[]), ["CHANGELOG.md:1"]);
    }
}
