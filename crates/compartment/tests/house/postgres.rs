//! The promises of the house once more, where Postgres keeps the store.

use crate::{
    budget,
    server::{Server, own_server, server},
    support::{
        Site, ask, completed, engine, money, no_issuer, now, provider, sent, tenant_limits,
        verified,
    },
};
use compartment::{House, HouseConfig, HouseError, StoreError};
use policy::Limits;
use std::time::{Duration, Instant};
use tokio::task::block_in_place;

/// A deployment in a database of its own.
fn site(server: &Server) -> Site {
    Site::on(engine(&block_in_place(|| server.database())), no_issuer())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_budget_holds_on_postgres() {
    let Some(server) = block_in_place(server) else {
        return;
    };
    budget::never_spend_more(site(server)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_outlives_a_restart_on_postgres() {
    let Some(server) = block_in_place(server) else {
        return;
    };
    budget::outlives_a_restart(site(server)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused_and_one_without_a_deployment_too() {
    let Some(server) = block_in_place(server) else {
        return;
    };
    let site = site(server);
    let elsewhere = tempfile::tempdir().unwrap();
    let keyring = elsewhere.path().join("keyring");
    std::fs::create_dir_all(elsewhere.path().join("data")).unwrap();
    std::fs::create_dir_all(&keyring).unwrap();
    for file in std::fs::read_dir(&site.config.keyring_dir).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), keyring.join(file.file_name())).unwrap();
    }
    let second = HouseConfig {
        data_dir: elsewhere.path().join("data"),
        keyring_dir: keyring,
        ..site.config.clone()
    };
    assert!(matches!(
        House::open(second).err(),
        Some(HouseError::Store(StoreError::InUse))
    ));
    let empty = block_in_place(|| server.database());
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("data")).unwrap();
    std::fs::create_dir_all(folder.path().join("keyring")).unwrap();
    let nothing = HouseConfig {
        store: engine(&empty),
        data_dir: folder.path().join("data"),
        keyring_dir: folder.path().join("keyring"),
        provider: provider(folder.path()),
        ..site.config.clone()
    };
    assert!(matches!(
        House::open(nothing).err(),
        Some(HouseError::NotInitialised)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_refuses_with_503_and_recovers_with_every_call_recorded() {
    let Some(server) = block_in_place(own_server) else {
        return;
    };
    let database = block_in_place(|| server.database());
    let site = Site::on(engine(&database), no_issuer());
    let tenant = site.tenant("one").await;
    let limits = tenant_limits(Limits {
        money_total: Some(money("0.090")),
        ..Limits::NONE
    });
    tenant.admin.limits().set(limits, now()).await.unwrap();
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    // of three calls that the money is for, one is under way when the server goes
    let mut under_way = home.permit(&who, ask(10, 20), now()).await.unwrap();
    sent(&mut under_way);
    under_way.durable().await.unwrap();
    block_in_place(|| server.crash());
    assert_eq!(under_way.settle(completed(10, 20)).cost, money("0.030"));
    let refused = home.permit(&who, ask(10, 20), now()).await.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (503, "store_unavailable")
    );
    assert!(refused.retry_after().is_some());
    assert!(!site.house.health().await.store);
    block_in_place(|| server.go());
    let began = Instant::now();
    while !(block_in_place(|| server.is_served(&database)) && site.house.health().await.store) {
        assert!(began.elapsed() < Duration::from_secs(30), "it serves again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // what a round does once a second: what could not be written is
    site.house.rounds(now()).await.unwrap();
    let mut again = home.permit(&who, ask(10, 20), now()).await.unwrap();
    sent(&mut again);
    let _ = again.settle(completed(10, 20));
    let mut last = home.permit(&who, ask(10, 20), now()).await.unwrap();
    sent(&mut last);
    let _ = last.settle(completed(10, 20));
    let refused = home.permit(&who, ask(10, 20), now()).await.unwrap_err();
    assert_eq!(refused.status(), 402);
    assert!(site.house.health().await.store);
    let report = verified(&tenant.admin).await;
    let sums = report.models.values().next().copied().unwrap();
    assert_eq!(
        (sums.cost_nanos, report.open_calls),
        (u128::from(money("0.090").get()), 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_nothing_refuses_in_seconds_and_goes_on_when_it_does() {
    let Some(server) = block_in_place(own_server) else {
        return;
    };
    let database = block_in_place(|| server.database());
    let site = Site::on(engine(&database), no_issuer());
    let tenant = site.tenant("one").await;
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    let mut under_way = home.permit(&who, ask(10, 20), now()).await.unwrap();
    sent(&mut under_way);
    block_in_place(|| server.pause(true));
    let began = Instant::now();
    let refused = home.permit(&who, ask(10, 20), now()).await.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (503, "store_unavailable")
    );
    assert!(began.elapsed() < Duration::from_secs(10));
    let _ = under_way.settle(completed(10, 20));
    // by now the session that says who serves has not answered either
    let began = Instant::now();
    assert!(home.permit(&who, ask(10, 20), now()).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(1), "refused at once");
    block_in_place(|| server.pause(false));
    let began = Instant::now();
    // what a round does once a second: what could not be written is
    while !site.house.health().await.store || site.house.rounds(now()).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "it serves again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut again = home.permit(&who, ask(10, 20), now()).await.unwrap();
    sent(&mut again);
    let _ = again.settle(completed(10, 20));
    let report = verified(&tenant.admin).await;
    let sums = report.models.values().next().copied().unwrap();
    // the refused one is in the journal, and cost nothing
    assert_eq!(
        (sums.calls, sums.cost_nanos),
        (3, u128::from(money("0.060").get()))
    );
    assert_eq!(report.open_calls, 0);
}
