//! A lint is switched off in library code by `#[expect(…, reason = "…")]` only: it says why, and it complains once the
//! reason is gone. An `#[allow(…)]` must give a reason too. A test file may begin with `#![allow(…)]`.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.library() {
        let mut lines = Vec::new();
        if let Ok(tokens) = text.parse() {
            unexplained(tokens, false, &mut lines);
        }
        findings.extend(lines.into_iter().map(|(line, word)| Finding {
            file: path.to_owned(),
            line,
            what: format!("`{word}` without a reason"),
            why: "nobody can tell whether the exception still holds",
            remedy: "write #[expect(…, reason = \"…\")]",
        }));
    }
    findings
}

/// The lines of `allow(…)` and `expect(…)` inside attributes, also inside `cfg_attr`, that give no reason.
fn unexplained(tokens: TokenStream, attribute: bool, found: &mut Vec<(usize, String)>) {
    let mut before: Option<TokenTree> = None;
    let mut earlier: Option<TokenTree> = None;
    for token in tokens {
        if let TokenTree::Group(group) = &token {
            if let (true, Some(TokenTree::Ident(word))) = (attribute, &before)
                && (word == "allow" || word == "expect")
                && !gives_reason(group)
            {
                found.push((word.span().start().line, word.to_string()));
            }
            let opens = group.delimiter() == Delimiter::Bracket && is_mark(&before, &earlier);
            unexplained(
                group.stream(),
                opens || (attribute && group.delimiter() == Delimiter::Parenthesis),
                found,
            );
        }
        earlier = before.replace(token);
    }
}

/// Whether a `[` here follows `#` or `#!`.
fn is_mark(before: &Option<TokenTree>, earlier: &Option<TokenTree>) -> bool {
    let mark = |token: &Option<TokenTree>, wanted| matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == wanted);
    mark(before, '#') || (mark(before, '!') && mark(earlier, '#'))
}

fn gives_reason(group: &Group) -> bool {
    group
        .stream()
        .into_iter()
        .any(|token| matches!(token, TokenTree::Ident(word) if word == "reason"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::places;

    #[test]
    fn a_lint_switched_off_without_a_reason_is_found() {
        let text = r#"#![allow(clippy::x)]
#[allow(dead_code)]
fn a() { b.expect("text"); allow(1); let c = [expect(2)]; }
#[expect(clippy::y, reason = "because")]
fn d() {
    #[expect(unused)]
    let e = vec![1];
}
#[cfg_attr(test, allow(unused))]
#[cfg_attr(test, allow(unused, reason = "because"))]
fn f() {}
// #[allow(dead_code)]
"#;
        let lines = ["1", "2", "6", "9"].map(|line| format!("crates/a/src/b.rs:{line}"));
        assert_eq!(places(check, &[("crates/a/src/b.rs", text)]), lines);
        assert_eq!(
            places(check, &[("crates/a/tests/b.rs", text)]),
            Vec::<String>::new()
        );
    }
}
