//! The decision table: who may call what, one row for each rule and each pair of rules whose order matters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use policy::{Bounds, MAX_CHOICES, Nanos, Price, Pricing, Question, Right, Rights, Task};

/// Columns: rights; allow-lists (`*` none, `,` between names, `/` between lists); model asked for; route; choices;
/// output asked for; what is decided. Models: `paid` 100 tokens out, `free` 50, `new` has no price, `vec` embeds.
const TABLE: &str = "
rights        | models    | model | route  | n  | out | decision
infer         | *         | paid  | text   | 1  | -   | priced 100
infer         | *         | paid  | text   | 1  | 7   | priced 7
infer         | *         | paid  | text   | 1  | 100 | priced 100
infer         | *         | paid  | text   | 1  | 101 | priced 100
infer         | *         | paid  | text   | 16 | 9   | priced 9
infer         | *         | free  | text   | 1  | -   | free 50
infer         | *         | free  | text   | 2  | 60  | free 50
infer         | *         | vec   | vector | 1  | -   | priced 0
infer         | *         | vec   | vector | 1  | 5   | priced 0
infer,steward | *         | paid  | text   | 1  | 1   | priced 1
infer         | paid      | paid  | text   | 1  | -   | priced 100
infer         | free,paid | paid  | text   | 1  | -   | priced 100
infer         | paid/paid | paid  | text   | 1  | -   | priced 100
infer         | paid/free | paid  | text   | 1  | -   | model_not_found
infer         | free/paid | paid  | text   | 1  | -   | model_not_found
infer         | free      | paid  | text   | 1  | -   | model_not_found
infer         | pai       | paid  | text   | 1  | -   | model_not_found
infer         | Paid      | paid  | text   | 1  | -   | model_not_found
infer         | /         | paid  | text   | 1  | -   | model_not_found
infer         | *         | gone  | text   | 1  | -   | model_not_found
infer         | gone      | gone  | text   | 1  | -   | model_not_found
infer         | *         |       | text   | 1  | -   | model_not_found
-             | *         | paid  | text   | 1  | -   | insufficient_permissions
steward       | *         | paid  | text   | 1  | -   | insufficient_permissions
mint_sessions | *         | paid  | text   | 1  | -   | insufficient_permissions
audit         | *         | gone  | text   | 0  | 0   | insufficient_permissions
infer         | *         | vec   | text   | 1  | -   | model_not_for_route
infer         | *         | paid  | vector | 1  | -   | model_not_for_route
infer         | free      | vec   | text   | 1  | -   | model_not_found
infer         | *         | new   | text   | 1  | -   | model_not_priced
infer         | free      | new   | text   | 1  | -   | model_not_found
infer         | *         | new   | vector | 1  | -   | model_not_for_route
infer         | *         | new   | text   | 17 | -   | model_not_priced
infer         | *         | paid  | text   | 0  | -   | choices_out_of_bounds
infer         | *         | paid  | text   | 17 | -   | choices_out_of_bounds
infer         | *         | paid  | text   | 17 | 0   | choices_out_of_bounds
infer         | *         | paid  | text   | 1  | 0   | max_tokens_too_small
infer         | *         | free  | text   | 1  | 0   | max_tokens_too_small
infer         | *         | vec   | vector | 17 | -   | choices_out_of_bounds
";

fn price() -> Price {
    Price::new(Nanos::new(1).unwrap(), Nanos::new(2).unwrap())
}

fn offered(model: &str) -> Option<Bounds> {
    let (task, pricing, max_output) = match model {
        "paid" => (Task::Text, Pricing::Priced(price()), 100),
        "free" => (Task::Text, Pricing::Free, 50),
        "new" => (Task::Text, Pricing::Unpriced, 100),
        "vec" => (Task::Embedding, Pricing::Priced(price()), 0),
        _ => return None,
    };
    Some(Bounds {
        task,
        pricing,
        max_output,
    })
}

fn decide(row: &[&str]) -> String {
    let rights: Rights = row[0]
        .split(',')
        .filter(|word| *word != "-")
        .map(|word| word.parse::<Right>().unwrap())
        .collect();
    let lists: Vec<Vec<String>> = match row[1] {
        "*" => Vec::new(),
        lists => lists
            .split('/')
            .map(|list| list.split(',').map(str::to_owned).collect())
            .collect(),
    };
    let lists: Vec<&[String]> = lists.iter().map(Vec::as_slice).collect();
    let question = Question {
        rights,
        allow_lists: &lists,
        model: row[2],
        offered: offered(row[2]),
        task: if row[3] == "vector" {
            Task::Embedding
        } else {
            Task::Text
        },
        choices: row[4].parse().unwrap(),
        wanted_output: row[5].parse().ok(),
    };
    match question.decide() {
        Ok(decided) => format!(
            "{} {}",
            decided.price.map_or("free", |_| "priced"),
            decided.wanted_output
        ),
        Err(refusal) => {
            assert!(refusal.message.contains("not made"), "{}", refusal.message);
            assert!(
                refusal.retry_after.is_none(),
                "waiting helps against no rule: {row:?}"
            );
            refusal.code.to_string()
        }
    }
}

#[test]
fn every_call_is_decided_as_the_table_says() {
    assert_eq!(MAX_CHOICES, 16, "the table is written for this bound");
    let rows: Vec<Vec<&str>> = TABLE
        .trim()
        .lines()
        .skip(1)
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() > 30);
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let decision = decide(row);
            (decision != row[6]).then(|| format!("{row:?} is decided {decision:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_model_out_of_reach_and_one_that_does_not_exist_are_refused_alike() {
    let refusal = |offered| {
        let lists: [&[String]; 1] = [&["other".to_owned()]];
        let question = Question {
            rights: Rights::NONE.and(Right::Infer),
            allow_lists: &lists,
            model: "paid",
            offered,
            task: Task::Text,
            choices: 1,
            wanted_output: None,
        };
        question.decide().unwrap_err()
    };
    assert_eq!(refusal(offered("paid")), refusal(None));
}

#[test]
fn a_refusal_does_not_repeat_an_endless_model_name() {
    let name = "x".repeat(1 << 20);
    let question = Question {
        rights: Rights::NONE.and(Right::Infer),
        allow_lists: &[],
        model: &name,
        offered: None,
        task: Task::Text,
        choices: 1,
        wanted_output: None,
    };
    assert!(question.decide().unwrap_err().message.len() < 300);
}
