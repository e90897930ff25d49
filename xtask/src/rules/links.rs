//! Every link in a page leads somewhere: a relative one to a file or folder, its anchor to a heading. A path in backticks
//! that begins with one of our folders exists too; one with a placeholder (`*`, `<…>`, `{…}`) is not a path.

use std::collections::BTreeMap;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::{Finding, Tree};

/// Folders at the root; code that begins with one of them is a path.
const FOLDERS: [&str; 9] = [
    "crates/", "xtask/", "tests/", "docs/", "fuzz/", "spec/", "bench/", "clients/", ".ci/",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let pages: BTreeMap<&str, Page> = tree
        .texts("md")
        .map(|(path, text)| (path, Page::read(text)))
        .collect();
    let mut findings = Vec::new();
    for (path, page) in &pages {
        let mut found = |line, what, why, remedy| {
            findings.push(Finding {
                file: (*path).to_owned(),
                line,
                what,
                why,
                remedy,
            });
        };
        for (line, target) in &page.links {
            if let Some(what) = dead(tree, &pages, path, target) {
                found(
                    *line,
                    what,
                    "a reader ends up nowhere",
                    "correct the link or write what it leads to",
                );
            }
        }
        for (line, code) in &page.paths {
            if !tree.has(code) {
                let what = format!("`{code}` does not exist");
                found(
                    *line,
                    what,
                    "a reader looks for it in vain",
                    "name the file as it is called now",
                );
            }
        }
    }
    findings
}

/// What is wrong with a link; nothing where it leads out of the tree.
fn dead(tree: &Tree, pages: &BTreeMap<&str, Page>, from: &str, target: &str) -> Option<String> {
    let leads_out = target.starts_with("//")
        || target
            .split_once(':')
            .is_some_and(|(scheme, _)| !scheme.contains('/'));
    if leads_out {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if file.is_empty() {
        Some(from.to_owned())
    } else {
        join(folder, file)
    };
    let Some(path) = path.filter(|path| path.is_empty() || tree.has(path)) else {
        return Some(format!("the link to {target} leads to no file"));
    };
    match pages.get(path.as_str()) {
        Some(page) if !anchor.is_empty() && !page.anchors.contains(&anchor.to_owned()) => {
            Some(format!("the link to {target} leads to no heading"))
        }
        _ => None,
    }
}

/// A relative path, seen from a folder; nothing where it leaves the tree or begins at a root.
fn join(folder: &str, file: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    if file.starts_with('/') {
        return None;
    }
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// What a page links to, and what can be linked to in it; lines are counted from 1.
#[derive(Default)]
struct Page {
    links: Vec<(usize, String)>,
    paths: Vec<(usize, String)>,
    anchors: Vec<String>,
}

impl Page {
    fn read(text: &str) -> Page {
        let mut page = Page::default();
        let mut heading: Option<String> = None;
        let line = |offset: usize| {
            text.bytes()
                .take(offset)
                .filter(|byte| *byte == b'\n')
                .count()
                + 1
        };
        // a reference without a definition is left as text, as readers see it; say so here instead
        let mut undefined = Vec::new();
        let options =
            Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    undefined.push((line(range.start), dest_url.to_string()));
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    if let Some(title) = heading.take() {
                        page.add_anchor(&title);
                    }
                }
                Event::Code(code) => {
                    if let Some(title) = &mut heading {
                        title.push_str(&code);
                    }
                    page.paths
                        .extend(as_path(&code).map(|path| (line(range.start), path)));
                }
                Event::Text(words) => {
                    if let Some(title) = &mut heading {
                        title.push_str(&words);
                    }
                }
                _ => {}
            }
        }
        page.links = undefined;
        page
    }

    /// The anchor as the usual readers make it: lower case, without marks, dashes for spaces, a number for a repetition.
    fn add_anchor(&mut self, title: &str) {
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept
            .flat_map(char::to_lowercase)
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let repeated = (1..).map(|n| format!("{anchor}-{n}"));
        let fresh = std::iter::once(anchor.clone())
            .chain(repeated)
            .find(|anchor| !self.anchors.contains(anchor));
        self.anchors.extend(fresh);
    }
}

/// The path that a piece of code is, without `::item` and `:line` behind it.
fn as_path(code: &str) -> Option<String> {
    if !FOLDERS.iter().any(|folder| code.starts_with(folder))
        || code.contains([' ', '*', '<', '{', '…', '$'])
    {
        return None;
    }
    let path = code.split_once(':').map_or(code, |(path, _)| path);
    Some(path.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::places;

    const OTHER: (&str, &str) = (
        "docs/a/other.md",
        "# The `First` Heading, here!\n## Twice\n## Twice\n",
    );

    fn check_page(text: &str, expected: &[usize]) {
        let expected: Vec<String> = expected
            .iter()
            .map(|line| format!("docs/page.md:{line}"))
            .collect();
        let tree = [("docs/page.md", text), OTHER, ("crates/x/src/y.rs", "")];
        assert_eq!(places(check, &tree), expected, "{text}");
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        check_page(
            "[a](a/other.md) [b](../crates/x) [c](https://x.example/y) [d](mailto:a@b.c) [e](./a/)",
            &[],
        );
        check_page(
            "[a](a/other.md#the-first-heading-here) [b](a/other.md#twice-1)\n# Own\n[c](#own)",
            &[],
        );
        check_page("one\n\n[a](a/gone.md)", &[3]);
        check_page("[a](/docs/page.md)", &[1]);
        check_page("[a](../../outside.md)", &[1]);
        check_page("[a](a/other.md#twice-2)", &[1]);
        check_page("[a](#nowhere)", &[1]);
        check_page("![picture](gone.svg)", &[1]);
        check_page("| a | b |\n|---|---|\n| x | [y](gone.md) |", &[3]);
        check_page("text [by reference][r]\n\n[r]: gone.md\n", &[1]);
        check_page("```\n[a](gone.md)\n```\n\n`[a](gone.md)`", &[]);
    }

    #[test]
    fn a_path_in_code_that_does_not_exist_is_found() {
        check_page(
            "`crates/x/src/y.rs`, `crates/x/`, `crates/x/src/y.rs::name` and `crates/x/src/y.rs:12`",
            &[],
        );
        check_page(
            "`crates/*/src`, `crates/<name>`, `docs/decisions/NNNN-{title}.md`, `src/y.rs`, `cargo test`",
            &[],
        );
        check_page("see\n`crates/x/src/z.rs`", &[2]);
        check_page("`xtask/gone`", &[1]);
    }
}
