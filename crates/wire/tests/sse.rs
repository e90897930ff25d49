//! Server-sent events as the standard wants them, and bounded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use wire::sse::{DONE, DONE_DATA, Decoder, Oversize, data_frame};

fn decode(stream: &[u8]) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    let mut decoder = Decoder::new(10_000);
    decoder
        .push(stream, &mut |event| {
            seen.push((event.kind.into_owned(), event.data.into_owned()))
        })
        .unwrap();
    seen
}

#[test]
fn streams_are_read_as_the_standard_says() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("", &[]),
        ("data: a\n\n", &[("", "a")]),
        ("data:a\n\ndata:  b\n\n", &[("", "a"), ("", " b")]),
        (
            "data: a\r\n\r\ndata: b\r\rdata: c\n\r\n",
            &[("", "a"), ("", "b"), ("", "c")],
        ),
        ("data: a\ndata: b\ndata:\n\n", &[("", "a\nb\n")]),
        ("data\n\n", &[("", "")]),
        ("data:\n\n", &[("", "")]),
        (": comment\n\n:\n\ndata: a\n\n", &[("", "a")]),
        ("event: ping\n\ndata: a\n\n", &[("", "a")]),
        (
            "event: x\nevent: error\ndata: a\n\ndata: b\n\n",
            &[("error", "a"), ("", "b")],
        ),
        ("\u{feff}data: a\n\n\u{feff}data: b\n\n", &[("", "a")]),
        (
            "id: 1\nretry: 5\nnonsense: x\n data: x\nDATA: x\ndata: a: b\n\n",
            &[("", "a: b")],
        ),
        ("data: a\n\ndata: unfinished\n", &[("", "a")]),
        ("data: a\n\ndata: unfinished", &[("", "a")]),
        ("data: é😀\n\n", &[("", "é😀")]),
        ("\n\n\n\r\r\n", &[]),
    ];
    for (stream, expected) in cases {
        let expected: Vec<_> = expected
            .iter()
            .map(|(kind, data)| ((*kind).to_owned(), (*data).to_owned()))
            .collect();
        assert_eq!(decode(stream.as_bytes()), expected, "{stream:?}");
    }
    assert_eq!(
        decode(b"data: a\xffb\n\n"),
        [(String::new(), "a\u{fffd}b".to_owned())]
    );
}

#[test]
fn an_event_that_never_ends_is_refused_while_little_is_held() {
    for piece in [
        "data: aaaaaaaaaa\n",
        "x",
        "data:\n",
        "event: e\ndata: bbbbbbbbbb\n",
        ": comment ",
    ] {
        let mut decoder = Decoder::new(1000);
        let pushed = (0..10_000).find(|_| decoder.push(piece.as_bytes(), &mut |_| ()).is_err());
        assert!(pushed.is_some_and(|n| n * piece.len() < 8000), "{piece:?}");
        assert_eq!(
            decoder.push(b"\n\n", &mut |_| ()),
            Err(Oversize),
            "it stays refused"
        );
    }
    let mut decoder = Decoder::new(1000);
    for _ in 0..10_000 {
        decoder
            .push(
                b": a comment on a line of its own\ndata: short\n\n",
                &mut |_| (),
            )
            .unwrap();
    }
}

#[test]
fn what_we_frame_is_what_we_read() {
    for json in [r#"{"a":1}"#, "", "{\n\"a\":1}"] {
        assert_eq!(
            decode(&data_frame(json.as_bytes())),
            [(String::new(), json.to_owned())]
        );
    }
    assert_eq!(&data_frame(b"{}")[..], b"data: {}\n\n");
    assert_eq!(decode(DONE), [(String::new(), DONE_DATA.to_owned())]);
}
