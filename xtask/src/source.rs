//! What several rules read out of Rust source.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A test function as it stands in the source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) ignored: bool,
}

/// Every test function of a file, also those inside macros such as `proptest!`. Nothing where the file does not parse:
/// the compiler says that better.
pub(crate) fn tests(text: &str) -> Vec<Test> {
    let mut found = Vec::new();
    if let Ok(tokens) = text.parse() {
        collect_tests(tokens, &mut found);
    }
    found
}

fn collect_tests(tokens: TokenStream, found: &mut Vec<Test>) {
    let (mut test, mut ignored) = (false, false);
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                if let Some(TokenTree::Group(attribute)) = tokens.peek()
                    && attribute.delimiter() == Delimiter::Bracket
                {
                    let words = path(attribute.stream());
                    test |= words.last().is_some_and(|word| word == "test");
                    ignored |= words.last().is_some_and(|word| word == "ignore");
                    tokens.next();
                }
            }
            TokenTree::Ident(word) if word == "fn" => {
                if let (true, Some(TokenTree::Ident(name))) = (test, tokens.peek()) {
                    found.push(Test {
                        name: name.to_string(),
                        ignored,
                    });
                }
                (test, ignored) = (false, false);
            }
            TokenTree::Group(group) => {
                collect_tests(group.stream(), found);
                // `pub(crate)` may stand between an attribute and its function; a body may not
                if group.delimiter() == Delimiter::Brace {
                    (test, ignored) = (false, false);
                }
            }
            _ => {}
        }
    }
}

/// The words of the path that an attribute begins with: `tokio`, `test` of `tokio::test(flavor = "…")`.
fn path(attribute: TokenStream) -> Vec<String> {
    let mut words = Vec::new();
    for token in attribute {
        match token {
            TokenTree::Ident(word) => words.push(word.to_string()),
            TokenTree::Punct(mark) if mark.as_char() == ':' => {}
            _ => break,
        }
    }
    words
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn tests_are_found_wherever_they_stand() {
        let text = r##"
            fn helper() {}
            #[cfg(test)] mod tests {
                #[test] fn plain() { let x = |fn_: u8| fn_; }
                #[test] #[ignore = "slow"] fn skipped() {}
                #[tokio::test(flavor = "multi_thread")] async fn waits() {}
                #[cfg(test)] pub(crate) fn not_one() {}
                proptest! { #![proptest_config(x())] #[test] fn drawn(a in 0..1u8) {} }
            }
            // #[test] fn comment() {}
            const TEXT: &str = "#[test] fn text() {}";
        "##;
        let names: Vec<String> = tests(text)
            .into_iter()
            .map(|test| format!("{} {}", test.name, test.ignored))
            .collect();
        assert_eq!(
            names,
            ["plain false", "skipped true", "waits false", "drawn false"]
        );
        assert_eq!(tests("fn ("), []);
    }
}
