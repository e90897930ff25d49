//! The echo upstream answers as an OpenAI-compatible server does, and is a witness of every byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::sync::Arc;
use std::time::Duration;

use probe::echo::{Echo, Recorded, Script};
use probe::target::{Ask, Budget, Client, Dial};
use probe::{Key, Limits, Mode, Options, ProbeError, Scale, Trouble};
use serde_json::json;

async fn started() -> (Echo, Client, Dial) {
    let echo = Echo::start("127.0.0.1:0".parse().unwrap(), 7)
        .await
        .unwrap();
    let url = format!("http://{}/v1", echo.address()).parse().unwrap();
    let budget = Arc::new(Budget::new(Limits::of(Scale::Quick)));
    let client = Client::new(
        &url,
        Key::new("sk-of-a-caller-0123456789").unwrap(),
        Arc::clone(&budget),
    );
    let dial = Dial::new(&url, budget).unwrap();
    (echo, client.with_model("any"), dial)
}

#[tokio::test]
async fn every_answer_carries_the_nonce_of_its_own_request() {
    let (echo, client, _) = started().await;
    let mark = echo.mark();
    let chat = client.chat("hello there").await.unwrap();
    let completion = client.completion("hello again").await.unwrap();
    let embedding = client.embedding("vectors", "hello").await.unwrap();
    let mut stream = client
        .chat_stream("hello in a stream that is longer than one piece")
        .await
        .unwrap();
    let pieces = stream.rest().await.unwrap();
    let said: String = pieces.iter().map(|piece| piece.said()).collect();
    let seen = echo.requests_since(mark);
    let nonces: Vec<&String> = seen.iter().map(|request| &request.nonce).collect();
    assert_eq!(nonces.len(), 4);
    assert_eq!(chat.nonces(), [nonces[0].as_str()]);
    assert_eq!(chat.said(), format!("{} hello there", nonces[0]));
    assert_eq!(completion.said(), format!("{} hello again", nonces[1]));
    assert_eq!(embedding.nonces(), [nonces[2].as_str()]);
    assert_eq!(
        said,
        format!(
            "{} hello in a stream that is longer than one piece",
            nonces[3]
        )
    );
    assert!(pieces.len() > 4 && pieces.last().unwrap().data == "[DONE]");
    let models = client.get("/v1/models").await.unwrap().json();
    assert_eq!(models["data"][0]["id"], "probe-echo");
    assert_eq!(client.get("/v1/other").await.unwrap().status, 404);
}

#[tokio::test]
async fn a_marker_decides_what_is_answered_until_it_is_forgotten() {
    let (echo, client, _) = started().await;
    echo.when("marker-one", |request| Script {
        cached_tokens: u64::try_from(request.prompt().len()).unwrap(),
        headers: vec![("x-extra".into(), "yes".into())],
        with_nonce: false,
        ..Script::say("scripted")
    });
    echo.when("marker-two", |_| Script::fail(503, "down"));
    let one = client.chat("with marker-one in it").await.unwrap();
    assert_eq!(
        (one.said().as_str(), one.header("x-extra").as_deref()),
        ("scripted", Some("yes"))
    );
    assert_eq!(
        one.json()["usage"]["prompt_tokens_details"]["cached_tokens"],
        21
    );
    let two = client.chat("marker-two").await.unwrap();
    assert_eq!(
        (
            two.status,
            two.json()["error"]["message"]
                .as_str()
                .unwrap()
                .contains("down")
        ),
        (503, true)
    );
    let mark = echo.mark();
    echo.forget();
    assert_eq!(client.chat("marker-two").await.unwrap().status, 200);
    assert_eq!(echo.requests_since(mark).len(), 1, "marks stay valid");
}

#[tokio::test]
async fn requests_are_recorded_byte_for_byte_with_their_place_on_the_connection() {
    let (echo, client, dial) = started().await;
    let mark = echo.mark();
    let body = client.chat_body("raw");
    let lines = ["X-Odd:  Value".to_owned(), "x-odd: second".to_owned()];
    let mut socket = dial.open().await.unwrap();
    let bytes = dial.post(&client, "/v1/chat/completions", &lines, &body);
    for _ in 0..2 {
        socket.write(&bytes).await.unwrap();
        assert!(socket.answer("POST").await.unwrap().unwrap().is_ok());
    }
    // the rest of something smuggled: not a request, but seen
    socket.write(b"leftover without an end").await.unwrap();
    socket.finish().await.unwrap();
    assert!(
        echo.wait(mark, Duration::from_secs(5), |seen| seen.len() == 3)
            .await
    );
    let seen = echo.requests_since(mark);
    assert_eq!(
        seen.iter()
            .map(|request| request.position)
            .collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert!(
        seen.iter()
            .all(|request| request.connection == seen[0].connection)
    );
    assert_eq!(
        seen.iter()
            .map(|request| request.malformed)
            .collect::<Vec<_>>(),
        [false, false, true]
    );
    assert!(
        bytes.starts_with(&seen[0].head.raw)
            && seen[0]
                .head
                .raw
                .windows(14)
                .any(|raw| raw == b"X-Odd:  Value\r"[..].as_ref())
    );
    assert_eq!(
        seen[0].head.all("x-odd").collect::<Vec<_>>(),
        ["Value", "second"]
    );
    assert_eq!(seen[0].json().unwrap(), body);
    assert_eq!(&*seen[2].head.raw, b"leftover without an end");
}

#[tokio::test]
async fn a_dropped_stream_ends_the_call() {
    let (echo, client, _) = started().await;
    let pieces: Vec<String> = (0..1000).map(|n| format!("{n} ")).collect();
    echo.when("slow", move |_| Script {
        pieces: Some(pieces.clone()),
        each_after: Duration::from_millis(5),
        ..Script::default()
    });
    let mark = echo.mark();
    let mut stream = client.chat_stream("slow").await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().said(), "0 ");
    assert_eq!(echo.requests_since(mark)[0].was_answered_whole(), None);
    drop(stream);
    let broken_off = |seen: &[Arc<Recorded>]| seen[0].was_answered_whole() == Some(false);
    assert!(echo.wait(mark, Duration::from_secs(4), broken_off).await);
    client.chat("after").await.unwrap();
    let whole = |seen: &[Arc<Recorded>]| seen[1].was_answered_whole() == Some(true);
    assert!(echo.wait(mark, Duration::from_secs(4), whole).await);
}

#[tokio::test]
async fn what_takes_too_long_or_too_much_is_trouble_and_not_a_wait_without_end() {
    let (echo, _, _) = started().await;
    echo.when("never", |_| Script {
        first_after: Duration::from_secs(3600),
        ..Script::default()
    });
    let url = format!("http://{}", echo.address()).parse().unwrap();
    let limits = Limits {
        requests: 2,
        request: Duration::from_millis(200),
        ..Limits::of(Scale::Quick)
    };
    let client = Client::new(&url, Key::new("k").unwrap(), Arc::new(Budget::new(limits)));
    assert_eq!(client.chat("never").await.unwrap_err(), Trouble::TimedOut);
    assert!(client.chat("now").await.is_ok());
    assert_eq!(client.chat("now").await.unwrap_err(), Trouble::Spent);
}

#[tokio::test]
async fn an_answer_that_is_not_the_echos_own_is_found_out() {
    // another echo upstream in the gateway's place: its nonces look right and are not ours
    let other = Echo::start("127.0.0.1:0".parse().unwrap(), 1)
        .await
        .unwrap();
    let target = format!("http://{}", other.address()).parse().unwrap();
    let key = |text| Key::new(text).unwrap();
    let mode = Mode::Echo {
        listen: "127.0.0.1:0".parse().unwrap(),
    };
    let refused = probe::run(
        Options::new(target, key("sk-a"), key("sk-b"), mode, 1),
        |_| {},
    )
    .await;
    assert!(
        matches!(refused, Err(ProbeError::EchoNotReached { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_target_that_hands_keys_back_does_not_get_them_into_our_messages() {
    let secret = "sk-a-secret-of-tenant-a-0123456789";
    let echo = Echo::start("127.0.0.1:0".parse().unwrap(), 1)
        .await
        .unwrap();
    echo.when("plain call", move |_| {
        Script::fail(403, format!("{secret} is not allowed"))
    });
    let target = format!("http://{}", echo.address()).parse().unwrap();
    let options = Options::new(
        target,
        Key::new(secret).unwrap(),
        Key::new("sk-b").unwrap(),
        Mode::Live,
        1,
    );
    let refused = probe::run(options, |_| {}).await.unwrap_err();
    assert!(matches!(refused, ProbeError::NoAnswer { tenant: 'A', .. }));
    let told = format!("{refused} {refused:?}");
    assert!(told.contains("403") && !told.contains(secret), "{told}");
}

#[tokio::test]
async fn the_callers_own_authorization_takes_the_place_of_its_key() {
    let (echo, client, _) = started().await;
    let mark = echo.mark();
    let ask = Ask::post("/v1/chat/completions", &json!({"messages": []}));
    client
        .send(&ask.clone().header("Authorization", "Bearer other"))
        .await
        .unwrap();
    client.send(&ask.clone().without_key()).await.unwrap();
    client.send(&ask).await.unwrap();
    let seen = echo.requests_since(mark);
    let keys: Vec<Option<&str>> = seen
        .iter()
        .map(|request| request.head.get("authorization"))
        .collect();
    assert_eq!(
        keys,
        [
            Some("Bearer other"),
            None,
            Some("Bearer sk-of-a-caller-0123456789")
        ]
    );
}
