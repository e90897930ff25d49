//! Whose answer is whose, under load and with clients that leave in the middle (attack 13).

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::harness::chance::Chance;
use crate::harness::client::chat;
use crate::harness::gateway::Home;
use crate::harness::raw::Raw;
use crate::harness::tenants::Tenant;
use crate::harness::upstream::Upstream;

const STREAMS: u64 = 64;
const CALLS_OF_EACH: u64 = 48;

#[test]
fn of_64_streams_at_once_with_a_third_of_them_left_none_gets_a_word_of_another() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "");
    let gateway = home.serve();
    let tenants = [Tenant::create(&gateway, "a"), Tenant::create(&gateway, "b")];
    let (whole, left) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for stream in 0..STREAMS {
            let (base, key) = (&gateway.data_plane, &tenants[stream as usize % 2].app_key);
            let (whole, left) = (&whole, &left);
            scope.spawn(move || {
                let mut chance = Chance::new(stream);
                let mut connection = Raw::connect(base).unwrap();
                for _ in 0..CALLS_OF_EACH {
                    let said = format!("tokens=8 {} {}", stream, chance.hex());
                    let mut body = chat("free", &said);
                    body["stream"] = json!(true);
                    assert!(
                        connection.post("/v1/chat/completions", key, &body),
                        "the connection was closed"
                    );
                    let expected = format!("echo {said}");
                    if chance.percent(30) {
                        let part = connection.leave_after(chance.below(2500) as usize);
                        connection = Raw::connect(base).unwrap();
                        if let Some(part) = part {
                            let heard = part.streamed();
                            assert!(
                                expected.starts_with(heard.trim_end_matches('.')),
                                "{heard:?} is not of {expected:?}"
                            );
                        }
                        left.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    let reply = connection.reply().expect("no answer");
                    assert_eq!((reply.status, reply.whole), (200, true), "{}", reply.text());
                    assert_eq!(reply.streamed().trim_end_matches('.'), expected);
                    assert_eq!(reply.events().last().map(String::as_str), Some("[DONE]"));
                    whole.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let (whole, left) = (whole.into_inner(), left.into_inner());
    assert_eq!(whole + left, (STREAMS * CALLS_OF_EACH) as usize);
    assert!(left > whole / 4, "{left} left, {whole} stayed");
    // and the upstream was never asked one thing on behalf of the other
    for tenant in &tenants {
        assert_eq!(tenant.app(&gateway).chat("free", "still here").status, 200);
    }
}
