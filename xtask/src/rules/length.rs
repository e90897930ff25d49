//! A Rust file has at most 500 lines.

use crate::{Finding, Tree};

const MOST: usize = 500;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let long = tree.texts("rs").filter_map(|(path, text)| {
        let lines = text.lines().count();
        (lines > MOST).then(|| Finding {
            file: path.to_owned(),
            line: MOST + 1,
            what: format!("{lines} lines"),
            why: "a file has one subject and at most 500 lines",
            remedy: "split it by subject",
        })
    });
    long.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::places;

    #[test]
    fn a_file_of_501_lines_is_found() {
        let lines = |count| "//\n".repeat(count);
        assert_eq!(
            places(check, &[("a.rs", &lines(500)), ("a.md", &lines(501))]),
            Vec::<String>::new()
        );
        assert_eq!(places(check, &[("a.rs", &lines(501))]), ["a.rs:501"]);
    }
}
