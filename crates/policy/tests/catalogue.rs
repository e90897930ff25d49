//! The promises of price lists: strict, exact, and no guessing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use policy::{Catalogue, PolicyError, Task, TokenUse};
use proptest::prelude::*;

const HEAD: &str = "currency = \"USD\"\nretrieved = \"2026-11-24\"\n";
const TAIL: &str = "source = \"price page\"\nas_of = \"2026-11-01\"\n";

fn list(models: &str) -> Result<Catalogue, PolicyError> {
    Catalogue::parse(&format!("{HEAD}{}", models.replace("TAIL", TAIL)))
}

fn model(name: &str, rest: &str) -> String {
    format!(
        "[[model]]\nname = {name:?}\nvendor = \"v\"\ninput = \"1\"\noutput = \"2\"\n{rest}\n{TAIL}"
    )
}

#[test]
fn the_shipped_list_is_valid_and_knows_well_known_models() {
    let shipped = Catalogue::shipped().unwrap();
    assert_eq!(
        (shipped.currency(), shipped.retrieved()),
        ("USD", "2026-11-24")
    );
    assert!(shipped.models().count() > 70);
    for entry in shipped.models() {
        assert!(entry.source.starts_with("https://"), "{}", entry.name);
        assert!(
            entry.as_of.as_str() <= shipped.retrieved(),
            "{}",
            entry.name
        );
        assert!(entry.price.rates(0).input.get() > 0, "{}", entry.name);
        assert_eq!(
            entry.task == Task::Embedding,
            entry.price.rates(0).output.get() == 0,
            "{}",
            entry.name
        );
    }
    let cost = |model: &str, input, cached_input, output| {
        let tokens = TokenUse {
            input,
            cached_input,
            cache_written: 0,
            output,
        };
        shipped
            .price(model)
            .unwrap()
            .cost(tokens)
            .unwrap()
            .to_string()
    };
    assert_eq!(cost("gpt-4o", 1_000_000, 0, 0), "2.5");
    assert_eq!(cost("gpt-4o-2024-11-20", 0, 0, 1_000_000), "10");
    assert_eq!(cost("gpt-4o-mini", 1_000_000, 1_000_000, 0), "0.075");
    assert_eq!(cost("claude-opus-5-5", 0, 0, 1_000_000), "20");
    assert_eq!(cost("claude-haiku-5-5", 100_000, 0, 0), "0.01");
    assert_eq!(cost("claude-haiku-5-5", 200_000, 0, 0), "0.1");
    assert_eq!(cost("text-embedding-3-small", 1_000_000, 0, 0), "0.02");
}

#[test]
fn a_model_is_known_by_its_name_or_a_listed_alias_and_never_by_a_prefix() {
    let list = list(&model("gpt-4o", r#"aliases = ["gpt-4o-2024-11-20"]"#)).unwrap();
    assert!(list.price("gpt-4o").is_some() && list.price("gpt-4o-2024-11-20").is_some());
    for unknown in [
        "gpt-4o-2024-05-13",
        "gpt-4o-mini",
        "gpt-4",
        "GPT-4o",
        "openai/gpt-4o",
        "gpt-4o ",
        "",
    ] {
        assert!(list.price(unknown).is_none(), "{unknown:?}");
    }
}

#[test]
fn a_bad_list_is_refused_with_its_line() {
    let check =
        |text: &str, line: usize, why: &str| match Catalogue::parse(&text.replace("TAIL", TAIL)) {
            Err(PolicyError::Catalogue {
                line: found,
                reason,
            }) => {
                assert_eq!(found, line, "{text}\n{reason}");
                assert!(reason.contains(why), "{text}\n{reason}");
            }
            other => panic!("{text}: {other:?}"),
        };
    let one = |lines: &str| format!("{HEAD}[[model]]\n{lines}\nTAIL");
    check(
        "currency = \"usd\"\nretrieved = \"2026-11-24\"",
        1,
        "three capital letters",
    );
    check("currency = \"USD\"\nretrieved = \"yesterday\"", 2, "a date");
    check(
        "currency = \"USD\"\nretrieved = \"2026-02-30\"",
        2,
        "a date",
    );
    check("currency = \"USD\"", 1, "retrieved");
    check(&format!("{HEAD}surprise = 1"), 3, "unknown field");
    check(
        &one("name = \"m\"\nvendor = \"v\"\ninput = 1.5\noutput = \"1\""),
        6,
        "decimal string",
    );
    check(
        &one("name = \"m\"\nvendor = \"v\"\ninput = \"1\"\noutput = \"1,5\""),
        7,
        "plain decimal number",
    );
    check(
        &one("name = \"m\"\nvendor = \"v\"\ninput = \"1\"\noutput = \"1\"\nprice = \"1\""),
        8,
        "unknown field",
    );
    check(
        &one("name = \"m\"\nvendor = \"v\"\ninput = \"1\""),
        4,
        "output is missing",
    );
    check(
        &one("name = \"m\"\nvendor = \"v\"\ntask = \"embedding\"\ninput = \"1\"\noutput = \"0\""),
        4,
        "remove output",
    );
    check(
        &one("name = \"m\"\nvendor = \"v\"\ninput = \"1\"\ncached_input = \"2\"\noutput = \"1\""),
        6,
        "cached_input",
    );
    check(
        &one("name = \"\"\nvendor = \"v\"\ninput = \"1\"\noutput = \"1\""),
        4,
        "1 to 256",
    );
    check(
        &one("name = \"a\\u0007\"\nvendor = \"v\"\ninput = \"1\"\noutput = \"1\""),
        4,
        "printable",
    );
    check(
        &one(
            "name = \"m\"\naliases = [\"a\",\n  \"m\"]\nvendor = \"v\"\ninput = \"1\"\noutput = \"1\"",
        ),
        6,
        "twice",
    );
    let first = model("m", "aliases = [\"a\"]");
    let lines = HEAD.lines().count() + first.lines().count();
    check(
        &format!("{HEAD}{first}{}", model("m", "")),
        lines + 2,
        "\"m\" stands in the list twice",
    );
    check(
        &format!("{HEAD}{first}{}", model("a", "")),
        lines + 2,
        "\"a\" stands in the list twice",
    );
    check(
        &format!("{HEAD}{first}{}", model("b", "aliases = [\"a\"]")),
        lines + 6,
        "\"a\" stands in the list twice",
    );
    check("not toml", 1, "");
}

#[test]
fn an_operators_model_replaces_the_shipped_one_and_aliases_follow_it() {
    let shipped = || list(&(model("m", "aliases = [\"m-1\"]") + &model("n", ""))).unwrap();
    let input =
        |list: &Catalogue, model: &str| list.price(model).unwrap().rates(0).input.to_string();

    let dear = "[[model]]\nname = \"m\"\nvendor = \"me\"\ninput = \"7\"\noutput = \"8\"\nTAIL";
    let merged = shipped().overridden_by(list(dear).unwrap()).unwrap();
    assert_eq!(
        (
            input(&merged, "m"),
            input(&merged, "m-1"),
            input(&merged, "n")
        ),
        ("7".into(), "7".into(), "1".into())
    );
    assert_eq!(merged.models().count(), 2);

    let own_snapshot = dear.replace("\"m\"", "\"m-1\"");
    let merged = shipped()
        .overridden_by(list(&own_snapshot).unwrap())
        .unwrap();
    assert_eq!(
        (input(&merged, "m"), input(&merged, "m-1")),
        ("1".into(), "7".into())
    );

    let moved = dear.replace("\"m\"", "\"x\"\naliases = [\"m-1\"]");
    let merged = shipped().overridden_by(list(&moved).unwrap()).unwrap();
    assert_eq!(
        (input(&merged, "m"), input(&merged, "m-1")),
        ("1".into(), "7".into())
    );

    let hides_a_model = dear.replace("\"m\"", "\"x\"\naliases = [\"n\"]");
    assert!(
        shipped()
            .overridden_by(list(&hides_a_model).unwrap())
            .is_err()
    );
    let euros = Catalogue::parse("currency = \"EUR\"\nretrieved = \"2026-11-24\"").unwrap();
    assert!(
        shipped()
            .overridden_by(euros)
            .unwrap_err()
            .to_string()
            .contains("EUR")
    );
}

#[test]
fn a_list_without_end_is_refused_unread() {
    let endless = "#".repeat((4 << 20) + 1);
    assert!(
        Catalogue::parse(&endless)
            .unwrap_err()
            .to_string()
            .contains("larger")
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_list_parser_panic(text in "(\\PC|\n|\"|=|\\[){0,200}") {
        let _ = Catalogue::parse(&text);
        let _ = Catalogue::parse(&format!("{HEAD}[[model]]\n{text}"));
    }
}
