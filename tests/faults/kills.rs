//! The process dies at any moment: what it acknowledged is still there, and every journal verifies.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::harness::chance::Chance;
use crate::harness::client::chat;
use crate::harness::gateway::{Gateway, Home};
use crate::harness::journal::{Entry, Export};
use crate::harness::raw::Raw;
use crate::harness::tenants::{Tenant, mint};
use crate::harness::until;
use crate::harness::upstream::Upstream;

const KILLS: usize = 20;
const CLIENTS: usize = 8;

#[test]
fn nothing_that_was_acknowledged_is_lost_by_a_kill_at_any_moment() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "");
    let mut chance = Chance::new(20);
    let mut gateway = home.serve();
    let tenants = [Tenant::create(&gateway, "a"), Tenant::create(&gateway, "b")];
    let mut acknowledged = [Vec::new(), Vec::new()];
    for round in 0..KILLS {
        let life = [Mutex::new(Vec::new()), Mutex::new(Vec::new())];
        let over = AtomicBool::new(false);
        let mut minted = Vec::new();
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (base, tenant) = (gateway.data_plane.clone(), client % 2);
                let (key, log, over) = (&tenants[tenant].app_key, &life[tenant], &over);
                scope.spawn(move || load(&base, key, client % 4 >= 2, log, over));
            }
            let enough = chance.below(60) as usize;
            until("calls are acknowledged", Duration::from_secs(20), || {
                life.iter()
                    .map(|log| log.lock().unwrap().len())
                    .sum::<usize>()
                    >= enough
            });
            for tenant in &tenants {
                let (_, key) = mint(
                    &gateway.operator(),
                    &tenant.id,
                    &json!({"name": "new", "scopes": ["infer"]}),
                );
                minted.push(key);
            }
            // the moment itself is anywhere in the life of a call
            std::thread::sleep(Duration::from_micros(chance.below(20_000)));
            kill(&gateway);
            over.store(true, Ordering::SeqCst);
        });
        gateway.kill();
        gateway = home.serve();
        for key in &minted {
            assert_eq!(
                gateway.caller(key).get("/v1/models").status,
                200,
                "round {round}: a minted key is gone"
            );
        }
        for (at, life) in life.into_iter().enumerate() {
            let (tenant, life) = (&tenants[at], life.into_inner().unwrap());
            for id in &life {
                let found = tenant.app(&gateway).get(&format!("/tenant/v1/calls/{id}"));
                assert_eq!(found.status, 200, "round {round}: {id} is lost");
                assert_eq!(
                    found.json()["state"],
                    json!("settled"),
                    "round {round}: {}",
                    found.text()
                );
            }
            acknowledged[at].extend(life);
            Export::verified(&home, &gateway, &tenant.id);
        }
    }
    assert!(
        acknowledged.iter().map(Vec::len).sum::<usize>() > KILLS * 10,
        "hardly any load"
    );
    let mut recovered = 0;
    let mut known = BTreeSet::new();
    for (tenant, acknowledged) in tenants.iter().zip(&acknowledged) {
        let calls = Export::verified(&home, &gateway, &tenant.id).calls();
        assert!(
            calls.values().all(Entry::is_settled),
            "a call of an earlier life is still open"
        );
        for id in acknowledged {
            assert!(calls.contains_key(id), "{id} is not in the journal");
        }
        recovered += calls
            .values()
            .filter(|call| call.outcome() == "recovered_after_crash")
            .count();
        known.extend(calls.into_keys());
    }
    assert!(recovered > 0, "no kill met a call under way");
    for seen in upstream.seen() {
        assert!(
            known.contains(&seen.id()),
            "the upstream saw {}, which no journal has",
            seen.id()
        );
    }
    eprintln!(
        "{} acknowledged, {recovered} recovered",
        acknowledged.iter().map(Vec::len).sum::<usize>()
    );
}

/// Calls until the gateway is gone, and writes down what was acknowledged: a stream by its head, an answer whole.
fn load(base: &str, key: &str, streams: bool, log: &Mutex<Vec<String>>, over: &AtomicBool) {
    let mut body = chat(
        "free",
        if streams {
            "tokens=20 delay_ms=1"
        } else {
            "hello"
        },
    );
    body["stream"] = json!(streams);
    while let Ok(mut connection) = Raw::connect(base) {
        while connection.post("/v1/chat/completions", key, &body) {
            let Some(reply) = connection.reply() else {
                break;
            };
            assert_eq!(reply.status, 200, "{}", reply.text());
            if streams || reply.whole {
                log.lock()
                    .unwrap()
                    .push(reply.header("x-request-id").unwrap().to_owned());
            }
            if !reply.whole {
                break;
            }
        }
        if over.load(Ordering::SeqCst) {
            break;
        }
    }
}

/// `kill -9` without waiting.
fn kill(gateway: &Gateway) {
    let told = std::process::Command::new("kill")
        .args(["-9", &gateway.pid().to_string()])
        .status()
        .unwrap();
    assert!(told.success());
}
