//! `kill -9` in the middle of everything: no money is spent twice, no record is lost, the journal verifies.
//!
//! A test binary of its own: while a process is started, it shares the lock on every data folder that is open here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../postgres/mod.rs"]
mod server;
#[allow(dead_code)]
#[path = "../house/support.rs"]
mod support;

use crate::support::{
    Site, at, completed, config, money, no_issuer, now, open_again, provider, sent, tenant_limits,
    verified,
};
use policy::Limits;
use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

const FOLDER: &str = "COFFERDAM_TEST_CRASH_FOLDER";
const TOKEN: &str = "COFFERDAM_TEST_CRASH_TOKEN";

/// Not a test by itself: the process that is killed. It makes calls without end, and says on standard output what its
/// upstream would have charged for, before it settles.
#[test]
fn crash_child() {
    let (Ok(folder), Ok(token)) = (env::var(FOLDER), env::var(TOKEN)) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let folder = Path::new(&folder);
        let house = open_again(&config(folder, provider(folder), no_issuer())).await;
        let (home, who) = house.gatehouse().admit(&token, now()).await.unwrap();
        let calls = (0..8).map(|n| {
            let (home, who) = (home.clone(), who.clone());
            tokio::spawn(async move {
                loop {
                    let Ok(mut permit) =
                        home.permit(&who, crate::support::ask(10, 20), at(n)).await
                    else {
                        tokio::task::yield_now().await;
                        continue;
                    };
                    sent(&mut permit);
                    // Nothing left before this line; from here on the upstream may charge all that was reserved.
                    println!("sent {} {}", permit.call_id(), permit.max_output());
                    if n % 2 == 0 {
                        permit.durable().await.unwrap();
                    }
                    let _ = permit.settle(completed(10, 3));
                }
            })
        });
        futures_util::future::join_all(calls).await;
    });
}

#[tokio::test]
async fn a_process_that_is_killed_has_spent_no_more_than_its_budget_and_lost_no_record() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let budget = money("6");
    tenant
        .admin
        .limits()
        .set(
            tenant_limits(Limits {
                money_total: Some(budget),
                ..Limits::NONE
            }),
            now(),
        )
        .await
        .unwrap();
    let (id, token, operator_key) = (tenant.id, tenant.token.clone(), site.operator_key.clone());
    let Site {
        house,
        operator,
        folder,
        config,
        ..
    } = site;
    drop((tenant, operator, house));
    // The child waits for the lock, which is free once the last task here is over.
    let mut sent = Vec::new();
    for lines in [3, 40, 97] {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash_child", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(TOKEN, &token)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = Vec::new();
        while seen.len() < lines {
            let line = output.next().expect("the child runs on").unwrap();
            if let Some(at) = line.find("sent call_") {
                seen.push(line[at..].to_owned());
            }
        }
        // SIGKILL
        child.kill().unwrap();
        child.wait().unwrap();
        seen.extend(
            output
                .map_while(Result::ok)
                .filter_map(|line| line.find("sent call_").map(|at| line[at..].to_owned())),
        );
        sent.extend(seen);
    }
    let house = open_again(&config).await;
    let operator = house.operator(&operator_key).unwrap();
    let (home, _) = house.gatehouse().admit(&token, now()).await.unwrap();
    let mut total = 0;
    for line in &sent {
        let words: Vec<_> = line.split(' ').collect();
        // A line that the kill cut in half says nothing.
        let [_, call, reserved] = words[..] else {
            continue;
        };
        let (Ok(call), Ok(reserved)) = (call.parse(), reserved.parse::<u64>()) else {
            continue;
        };
        let call = home
            .calls()
            .get(&call)
            .await
            .unwrap()
            .expect("a call that was sent is on record");
        let end = call
            .end
            .expect("a call is settled by the time its tenant is open");
        match end.outcome {
            "completed" => assert_eq!((end.input_tokens, end.output_tokens), (10, 3.min(reserved))),
            "recovered_after_crash" => assert_eq!((end.cost, end.basis), (call.reserved, "bound")),
            other => panic!("{other}"),
        }
        total += end.cost.get();
    }
    assert!(total > 0 && total <= budget.get(), "{total}");
    let admin = operator.tenant(&id, now()).await.unwrap();
    let report = verified(&admin).await;
    assert_eq!((report.open_calls, report.over_reservation), (0, 0));
    let usage = admin
        .usage(compartment::administration::UsageQuery {
            from: jiff::civil::date(2026, 11, 24),
            to: jiff::civil::date(2026, 11, 24),
            credential: None,
            model: None,
            by: compartment::administration::UsageBy::Day,
        })
        .await
        .unwrap();
    assert!(usage.total.cost <= budget && usage.total.cost.get() >= total);
}
