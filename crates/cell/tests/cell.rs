//! The handle and the process together, on a tiny random model.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod tiny;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cell::{Cell, CellError, CellSpec, Event, Generation};
use serde_json::json;
use tempfile::TempDir;
use tiny::{CONTEXT, Tiny, greedy, user};
use wire::cell::{Done, FailureKind, Finish, Prompt, Sampling};

/// The example that serves cells; built by `cargo test` beside the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/cell_process");
    assert!(
        program.exists(),
        "{} is missing; `cargo build -p cell --examples` makes it",
        program.display()
    );
    program
}

fn spec(model: &Path) -> CellSpec {
    CellSpec {
        program: program(),
        args: Vec::new(),
        model: model.to_owned(),
        threads: 1,
        context_limit: None,
        queue: 2,
        start_timeout: Duration::from_secs(60),
    }
}

/// A cell that takes long over each answer: many layers, a long context.
async fn slow_cell() -> (Cell, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let model = Tiny {
        layers: 40,
        context: 100_000,
        ..Tiny::default()
    }
    .write(folder.path());
    (Cell::start(spec(&model)).await.unwrap(), folder)
}

async fn cell() -> (Cell, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (
        Cell::start(spec(&Tiny::default().write(folder.path())))
            .await
            .unwrap(),
        folder,
    )
}

/// Never ends by itself.
fn endless() -> Sampling {
    Sampling {
        logit_bias: [(0, -100.0), (tiny::IM_END, -100.0)].into(),
        max_tokens: None,
        ..greedy(0)
    }
}

async fn collect(mut generation: Generation) -> Result<(String, Done), CellError> {
    let (mut text, mut prompt) = (String::new(), None);
    while let Some(event) = generation.next().await {
        match event? {
            Event::Started { prompt_tokens } => prompt = Some(prompt_tokens),
            Event::Token(token) => text.push_str(&token.text),
            Event::Done(done) => {
                assert_eq!(prompt, Some(done.prompt_tokens));
                assert!(generation.next().await.is_none(), "nothing follows the end");
                return Ok((text, done));
            }
        }
    }
    panic!("no end");
}

/// Waits until the generation produced something.
async fn first_token(generation: &mut Generation) {
    loop {
        match generation.next().await.unwrap().unwrap() {
            Event::Token(_) => return,
            Event::Started { .. } => {}
            Event::Done(done) => panic!("ended at once: {done:?}"),
        }
    }
}

#[tokio::test]
async fn a_cell_answers_counts_and_says_what_it_is() {
    let (cell, _folder) = cell().await;
    assert_eq!(
        (cell.facts().context_length, cell.facts().supports_tools),
        (CONTEXT, true)
    );
    let (text, done) = collect(cell.generate(user("hello"), greedy(12)).unwrap())
        .await
        .unwrap();
    assert!(!text.is_empty() && done.completion_tokens <= 12);
    assert_eq!(
        cell.count_tokens(user("hello")).await.unwrap(),
        done.prompt_tokens
    );
    assert_eq!(
        cell.count_tokens(Prompt::Raw("hello".into()))
            .await
            .unwrap(),
        1
    );
    let again = collect(cell.generate(user("hello"), greedy(12)).unwrap())
        .await
        .unwrap();
    assert_eq!(
        (text, done.completion_tokens),
        (again.0, again.1.completion_tokens)
    );
}

#[tokio::test]
async fn refusals_have_a_kind_and_the_cell_goes_on() {
    let (cell, _folder) = cell().await;
    let kind = |prompt, sampling| async {
        collect(cell.generate(prompt, sampling).unwrap())
            .await
            .unwrap_err()
            .kind()
    };
    assert_eq!(
        kind(Prompt::Raw("x".repeat(600)), greedy(1)).await,
        FailureKind::ContextLengthExceeded
    );
    let hot = Sampling {
        temperature: 9.0,
        ..greedy(1)
    };
    assert_eq!(kind(user("x"), hot).await, FailureKind::InvalidRequest);
    let bad = Prompt::Chat {
        messages: vec![json!({"role": "nobody"})],
        tools: vec![],
    };
    assert_eq!(
        cell.count_tokens(bad).await.unwrap_err().kind(),
        FailureKind::InvalidRequest
    );
    // what a frame cannot carry is refused here and does not reach the process
    let deep = (0..110).fold(json!("x"), |inner, _| json!([inner]));
    let deep = Prompt::Chat {
        messages: vec![json!({"role": "user", "content": deep})],
        tools: vec![],
    };
    assert_eq!(
        cell.generate(deep.clone(), greedy(1)).unwrap_err().kind(),
        FailureKind::InvalidRequest
    );
    assert_eq!(
        cell.count_tokens(deep).await.unwrap_err().kind(),
        FailureKind::InvalidRequest
    );
    let endless = Sampling {
        temperature: f32::INFINITY,
        ..greedy(1)
    };
    assert_eq!(
        cell.generate(user("x"), endless).unwrap_err().kind(),
        FailureKind::InvalidRequest
    );
    let vast = Prompt::Raw("x".repeat(17 << 20));
    assert_eq!(
        cell.generate(vast, greedy(1)).unwrap_err().kind(),
        FailureKind::InvalidRequest
    );
    let nested = (0..90).fold(json!("x"), |inner, _| json!([inner]));
    let nested = Prompt::Chat {
        messages: vec![json!({"role": "user", "content": nested})],
        tools: vec![],
    };
    assert_eq!(kind(nested, greedy(1)).await, FailureKind::InvalidRequest);
    assert!(cell.is_alive());
    collect(cell.generate(user("hello"), greedy(3)).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn requests_queue_up_to_a_bound_and_more_are_refused_as_busy() {
    let (cell, _folder) = slow_cell().await;
    let mut running = cell.generate(user("hello"), endless()).unwrap();
    first_token(&mut running).await;
    let waiting: Vec<Generation> = (0..2)
        .map(|_| cell.generate(user("hello"), greedy(2)).unwrap())
        .collect();
    assert!(matches!(
        cell.generate(user("hello"), greedy(2)),
        Err(CellError::Busy)
    ));
    // counting does not wait for any of them
    assert!(cell.count_tokens(user("hello")).await.unwrap() > 0);
    drop(running);
    for generation in waiting {
        assert_eq!(collect(generation).await.unwrap().1.completion_tokens, 2);
    }
    collect(cell.generate(user("hello"), greedy(1)).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn dropping_or_cancelling_a_generation_frees_the_cell_at_once() {
    let (cell, _folder) = slow_cell().await;
    let mut running = cell.generate(user("hello"), endless()).unwrap();
    first_token(&mut running).await;
    let done = running.cancel().await.unwrap();
    assert_eq!(done.finish, Finish::Cancelled);
    assert!(
        done.prompt_tokens > 0 && done.completion_tokens > 0,
        "{done:?}"
    );

    // in the middle of a long prompt, which alone takes many times longer than this
    let long = Prompt::Raw("x".repeat(90_000));
    let mut reading = cell.generate(long, endless()).unwrap();
    assert!(matches!(
        reading.next().await,
        Some(Ok(Event::Started { .. }))
    ));
    let start = Instant::now();
    drop(reading);
    collect(cell.generate(user("hello"), greedy(1)).unwrap())
        .await
        .unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );

    // one that waits its turn is gone at once, and the running one goes on
    let mut running = cell.generate(user("hello"), endless()).unwrap();
    first_token(&mut running).await;
    let waiting = cell.generate(user("hello"), endless()).unwrap();
    let done = waiting.cancel().await.unwrap();
    assert_eq!(
        (done.finish, done.prompt_tokens, done.completion_tokens),
        (Finish::Cancelled, 0, 0)
    );
    first_token(&mut running).await;
    drop(running);
    collect(cell.generate(user("hello"), greedy(1)).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn the_death_of_the_process_ends_every_call_with_an_error() {
    let (cell, _folder) = slow_cell().await;
    let mut running = cell.generate(user("hello"), endless()).unwrap();
    first_token(&mut running).await;
    let waiting = cell.generate(user("hello"), greedy(2)).unwrap();
    for pid in children() {
        std::process::Command::new("kill")
            .args(["-9", &pid])
            .status()
            .unwrap();
    }
    let ends = [
        collect_until_error(running).await,
        collect_until_error(waiting).await,
    ];
    assert!(
        ends.iter().all(|error| matches!(error, CellError::Died)),
        "{ends:?}"
    );
    assert!(!cell.is_alive());
    assert!(matches!(
        cell.generate(user("hello"), greedy(1)).map(drop),
        Err(CellError::Died)
    ));
    assert!(matches!(
        cell.count_tokens(user("hello")).await,
        Err(CellError::Died)
    ));
}

async fn collect_until_error(mut generation: Generation) -> CellError {
    loop {
        if let Err(error) = generation.next().await.expect("an error must come first") {
            return error;
        }
    }
}

/// Process ids of this test thread's cells: children whose threads were started from here.
fn children() -> Vec<String> {
    let thread = format!("/proc/self/task/{}/children", thread_id());
    std::fs::read_to_string(thread)
        .unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

fn thread_id() -> String {
    std::fs::read_link("/proc/thread-self")
        .unwrap()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn dropping_the_cell_ends_the_process() {
    let (cell, _folder) = cell().await;
    let pid = children()
        .pop()
        .expect("the cell is a child of this thread");
    drop(cell);
    while Path::new(&format!("/proc/{pid}")).exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_not_a_cell_is_an_error_and_not_a_hang() {
    let folder = tempfile::tempdir().unwrap();
    let model = Tiny::default().write(folder.path());
    let start = |program: &str, args: &[&str]| {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        Cell::start(CellSpec {
            program: program.into(),
            args,
            start_timeout: Duration::from_secs(2),
            ..spec(&model)
        })
    };
    assert!(matches!(
        start("/nonexistent", &[]).await,
        Err(CellError::Start(_))
    ));
    assert!(matches!(
        start("/bin/true", &[]).await,
        Err(CellError::Died)
    ));
    assert!(matches!(
        start("/bin/sleep", &["60"]).await,
        Err(CellError::StartTimeout)
    ));
    // a child that talks nonsense on the socket it was given
    for script in [
        "printf '\\377\\377\\377\\377' >&0; sleep 60",
        "printf '\\002\\000\\000\\000{}' >&0; sleep 60",
        "printf '\\005\\000\\000\\000hello' >&0; sleep 60",
        r#"m='{"done":{"id":7,"finish":"stop","prompt_tokens":1,"completion_tokens":1}}'; printf '\111\000\000\000%s' "$m" >&0; sleep 60"#,
    ] {
        let outcome = start("/bin/sh", &["-c", script]).await;
        assert!(
            matches!(outcome, Err(CellError::Protocol)),
            "{script}: {outcome:?}"
        );
    }
    let missing = Cell::start(CellSpec {
        model: folder.path().join("none.gguf"),
        ..spec(&model)
    })
    .await;
    assert!(matches!(missing, Err(CellError::Model(_))), "{missing:?}");
}
