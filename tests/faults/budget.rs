//! Money under concurrency, clients that leave, and a gateway that is killed (attack 23).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, RwLock};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::chance::Chance;
use crate::harness::client::chat;
use crate::harness::gateway::{Gateway, Home};
use crate::harness::journal::{Entry, Export};
use crate::harness::raw::Raw;
use crate::harness::tenants::Tenant;
use crate::harness::upstream::Upstream;
use crate::harness::{nanos, until};

const CLIENTS: u64 = 200;
/// What every client asks: about 800 tokens, most of them out, over a second or two.
const ASKED: &str = "tokens=800 delay_ms=1";
/// Tokens of one such call: 800 out, and in what the upstream counts.
const TOKENS: u64 = 800 + (ASKED.len() as u64).div_ceil(4) + 1;
/// A token costs this much, in units of 1e-9.
const PER_TOKEN: u64 = 1000;
const BUDGET: u64 = 10 * TOKENS * PER_TOKEN;
/// More than the prompt alone can cost, as it is bounded before the call.
const PROMPT: u64 = 320 * PER_TOKEN;

/// How one client fared.
#[derive(Debug, PartialEq, Eq)]
enum Fared {
    /// It had its answer.
    Served,
    /// It left in the middle.
    Left,
    /// It was refused for want of money until the end.
    Refused,
    /// The gateway died while it listened.
    Lost,
}

#[test]
fn two_hundred_calls_against_a_budget_for_ten_with_a_kill_in_the_middle_never_spend_more() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "");
    let first = home.serve();
    let tenant = Tenant::create(&first, "a");
    let budget = format!("0.{BUDGET:09}");
    tenant.limit(&first, json!({"tenant": {"money_total": budget}}));
    assert_eq!(spent(&first, &tenant), 0);

    // where the gateway is; nowhere while it is dead
    let address = RwLock::new(Some(first.data_plane.clone()));
    let (over, through, start) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        Barrier::new(CLIENTS as usize),
    );
    let began = Instant::now();
    let (second, fared) = std::thread::scope(|scope| {
        let _release = Release(&over);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (address, over, through, start, key) =
                    (&address, &over, &through, &start, &tenant.app_key);
                scope.spawn(move || {
                    start.wait();
                    let fared = client(number, address, over, key);
                    through.fetch_add(1, Ordering::SeqCst);
                    fared
                })
            })
            .collect();
        // in the middle: some are through, and all the money that is left is held by others
        let middle = || through.load(Ordering::SeqCst) >= 3;
        until("calls are under way", Duration::from_secs(20), middle);
        *address.write().unwrap() = None;
        first.kill();
        let second = home.serve();
        assert!(spent(&second, &tenant) <= BUDGET, "after the restart");
        *address.write().unwrap() = Some(second.data_plane.clone());
        // whoever is refused tries again, until what is left pays for no prompt
        let exhausted = || {
            tenant.app(&second).chat("fake", ASKED).status == 402
                && spent(&second, &tenant) + PROMPT > BUDGET
        };
        until("the budget is used up", Duration::from_secs(30), exhausted);
        over.store(true, Ordering::SeqCst);
        let fared: Vec<_> = clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect();
        (second, fared)
    });
    let count = |what: Fared| fared.iter().filter(|fared| **fared == what).count();
    let told = format!(
        "{} served, {} left, {} refused, {} lost in {:?}",
        count(Fared::Served),
        count(Fared::Left),
        count(Fared::Refused),
        count(Fared::Lost),
        began.elapsed()
    );
    assert!(
        count(Fared::Served) <= 10 && count(Fared::Refused) > 100,
        "{told}"
    );
    // nothing is cut by the restart alone: the ledger is as large as the spending
    let calls = settled(&home, &second, &tenant);
    let spent = spent(&second, &tenant);
    assert!(spent <= BUDGET, "{spent} of {BUDGET}: {told}");
    assert!(
        spent > BUDGET / 2,
        "the budget was hardly used: {spent} of {BUDGET}: {told}"
    );
    assert_eq!(
        spent,
        calls.values().map(Entry::cost).sum::<u64>(),
        "usage and journal differ: {told}"
    );
    equals_what_was_seen(&calls, &upstream);
    eprintln!("{told}; {spent} of {BUDGET} spent in {} calls", calls.len());
}

/// Lets the clients go when the test fails, so that it ends.
struct Release<'a>(&'a AtomicBool);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Tries until it is served, leaves, or is told that it is over.
fn client(number: u64, address: &RwLock<Option<String>>, over: &AtomicBool, key: &str) -> Fared {
    let mut chance = Chance::new(number);
    let leaves = number.is_multiple_of(2);
    let streams = number % 4 < 2;
    let mut body = chat("fake", ASKED);
    body["max_tokens"] = json!(800);
    body["stream"] = json!(streams);
    while !over.load(Ordering::SeqCst) {
        let base = address.read().unwrap().clone();
        let Some(mut connection) = base.and_then(|base| Raw::connect(&base).ok()) else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        if !connection.post("/v1/chat/completions", key, &body) {
            continue;
        }
        let reply = if leaves {
            connection.leave_after(chance.below(200_000) as usize)
        } else {
            connection.reply()
        };
        match reply {
            Some(reply) if reply.status == 200 && leaves => return Fared::Left,
            Some(reply) if reply.status == 200 && reply.whole => return Fared::Served,
            Some(reply) if reply.status == 200 => return Fared::Lost,
            Some(reply) => assert!(
                reply.status == 402 || !reply.whole,
                "{} {}",
                reply.status,
                reply.text()
            ),
            // dead before it said anything, or the client left before
            None => {}
        }
        std::thread::sleep(Duration::from_millis(chance.below(40)));
    }
    Fared::Refused
}

/// What the tenant has spent, in units of 1e-9.
fn spent(gateway: &Gateway, tenant: &Tenant) -> u64 {
    let usage = gateway
        .operator()
        .get(&format!("/admin/v1/tenants/{}/usage", tenant.id))
        .ok();
    nanos(&usage["total"]["cost"])
}

/// All calls, once all of them are settled; the journal is verified on the way.
fn settled(home: &Home, gateway: &Gateway, tenant: &Tenant) -> BTreeMap<String, Entry> {
    let mut calls = BTreeMap::new();
    until("every call is settled", Duration::from_secs(20), || {
        calls = Export::verified(home, gateway, &tenant.id).calls();
        calls.values().all(Entry::is_settled)
    });
    calls
}

/// The ledger is what the upstream saw: every call of either is one of the other, or left no trace and no cost.
fn equals_what_was_seen(calls: &BTreeMap<String, Entry>, upstream: &Upstream) {
    let mut seen = BTreeMap::new();
    for request in upstream.seen() {
        assert!(
            seen.insert(request.id(), request.reports).is_none(),
            "the upstream got {} twice",
            request.id()
        );
    }
    for (id, tokens) in &seen {
        let call = calls
            .get(id)
            .unwrap_or_else(|| panic!("the upstream saw {id}, which the journal lacks"));
        assert!(call.cost() <= call.reserved(), "{call:?}");
        if call.outcome() == "completed" {
            assert_eq!(call.cost(), tokens * PER_TOKEN, "{call:?}");
        }
        assert!(call.cost() > 0, "the upstream worked for nothing: {call:?}");
    }
    for (id, call) in calls.iter().filter(|(id, _)| !seen.contains_key(*id)) {
        let fair = call.cost() == 0 || call.outcome() == "recovered_after_crash";
        assert!(
            fair,
            "{id} cost something and never reached the upstream: {call:?}"
        );
        if call.outcome() == "recovered_after_crash" {
            assert_eq!(call.cost(), call.reserved(), "{call:?}");
        }
    }
}

#[test]
fn concurrent_calls_of_one_key_never_spend_more_than_its_own_budget() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "");
    let gateway = home.serve();
    let tenant = Tenant::create(&gateway, "a");
    // about four calls' worth for a key, and more for the tenant
    let budget = 4 * TOKENS * PER_TOKEN;
    tenant.limit(&gateway, json!({"each_key": {"money_per_day": format!("0.{budget:09}")}, "tenant": {"money_total": "1"}}));
    let served = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let mut body = chat("fake", "tokens=800");
                    body["max_tokens"] = json!(800);
                    match tenant.app(&gateway).post("/v1/chat/completions", &body) {
                        answer if answer.status == 200 => _ = served.fetch_add(1, Ordering::SeqCst),
                        answer => {
                            assert_eq!(answer.code(), "insufficient_quota", "{}", answer.text())
                        }
                    }
                }
            });
        }
    });
    let spent = spent(&gateway, &tenant);
    assert!(spent <= budget, "{spent} of {budget}");
    assert!((2..=8).contains(&served.into_inner()));
    let calls = settled(&home, &gateway, &tenant);
    assert_eq!(spent, calls.values().map(Entry::cost).sum::<u64>());
    equals_what_was_seen(&calls, &upstream);
}
