//! The texts of the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

/// Folders that hold no text of ours: build output, version control, what fuzzing leaves, installed packages.
const NOT_OURS: [&str; 9] = [
    "target",
    ".git",
    "corpus",
    "artifacts",
    "node_modules",
    "vendor",
    ".venv",
    "__pycache__",
    "proptest-regressions",
];
/// Names whose texts the rules read.
const READ: [&str; 4] = ["rs", "md", "toml", "py"];
/// A larger text is a data file, whatever its name.
const MAX_BYTES: u64 = 4 << 20;

/// The names of all files below a root, and the texts of those that rules read. Paths use `/`.
#[derive(Debug, Default)]
pub struct Tree {
    texts: BTreeMap<String, String>,
    names: BTreeSet<String>,
}

impl Tree {
    /// Reads the tree below `root`. Links are not followed; a text that is not UTF-8 is only a name.
    ///
    /// # Errors
    /// When a folder or a file cannot be read.
    pub fn read(root: &Path) -> io::Result<Tree> {
        let mut tree = Tree::default();
        tree.walk(root, "")?;
        Ok(tree)
    }

    fn walk(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() && !NOT_OURS.contains(&name.as_str()) {
                self.walk(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() {
                let read = READ
                    .iter()
                    .any(|ending| name.ends_with(&format!(".{ending}")));
                if read
                    && entry.metadata()?.len() <= MAX_BYTES
                    && let Ok(text) = String::from_utf8(fs::read(entry.path())?)
                {
                    self.texts.insert(path.clone(), text);
                }
                self.names.insert(path);
            }
        }
        Ok(())
    }

    /// A tree of these texts.
    pub fn of(texts: &[(&str, &str)]) -> Tree {
        Tree {
            texts: texts
                .iter()
                .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
                .collect(),
            names: texts.iter().map(|(path, _)| (*path).to_owned()).collect(),
        }
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Whether there is a file or a folder of that path.
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.names.contains(path)
            || self
                .names
                .range(folder.clone()..)
                .next()
                .is_some_and(|name| name.starts_with(&folder))
    }

    /// The paths of all files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The path and the text of every file of that ending.
    pub fn texts(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        let ending = format!(".{ending}");
        let all = self
            .texts
            .iter()
            .filter(move |(path, _)| path.ends_with(&ending));
        all.map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The path and the text of every Rust file of a crate that is built into it, tests beside it left out.
    pub fn library(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts("rs").filter(|(path, _)| {
            (path.starts_with("crates/") || path.starts_with("xtask/")) && path.contains("/src/")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_knows_files_and_folders_by_their_whole_names() {
        let tree = Tree::of(&[("a/b/c.rs", ""), ("a/bc.md", "")]);
        for (path, there) in [
            ("a", true),
            ("a/b", true),
            ("a/b/", true),
            ("a/b/c.rs", true),
            ("a/bc", false),
            ("c.rs", false),
        ] {
            assert_eq!(tree.has(path), there, "{path}");
        }
        assert_eq!(tree.texts("rs").count(), 1);
    }
}
