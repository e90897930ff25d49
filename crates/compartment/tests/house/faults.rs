//! What fails refuses, hurts nobody else, and recovers.

use crate::support::{
    Site, ask, completed, config, money, no_issuer, now, open_again, provider, sent, tenant_limits,
    verified,
};
use compartment::Refused;
use policy::Limits;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn without_the_key_service_closed_tenants_are_refused_open_ones_go_on_and_it_recovers() {
    let site = Site::new();
    let (open, closed) = (site.tenant("open").await, site.tenant("closed").await);
    let (open_token, closed_token) = (open.token.clone(), closed.token.clone());
    drop((open, closed));
    let site = site.reopened().await;
    let (home, who) = site.admit(&open_token).await.unwrap();
    site.keys.down.store(true, Ordering::SeqCst);
    let refused = site.admit(&closed_token).await.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (503, "key_service_unavailable")
    );
    assert!(refused.retry_after().is_some());
    assert!(site.admit(&open_token).await.is_ok());
    let _ = home
        .permit(&who, ask(1, 1), now())
        .await
        .unwrap()
        .settle(completed(1, 1));
    assert!(site.operator.create_tenant("new", now()).await.is_err());
    assert!(!site.house.health().await.keys && site.house.health().await.store);

    site.keys.down.store(false, Ordering::SeqCst);
    assert!(site.admit(&closed_token).await.is_ok());
    // The creation that failed can be repeated.
    assert!(site.operator.create_tenant("new", now()).await.unwrap().1);
    assert!(site.house.health().await.keys);
}

/// Somebody else holds the file: nothing can be written to it, as on a disk that fails.
#[tokio::test]
async fn while_a_tenants_file_takes_nothing_its_calls_go_on_and_are_all_in_it_afterwards() {
    let site = Site::in_files();
    let tenant = site.tenant("one").await;
    let limits = tenant_limits(Limits {
        money_total: Some(money("0.090")),
        ..Limits::NONE
    });
    tenant
        .admin
        .limits()
        .set(limits.clone(), now())
        .await
        .unwrap();
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    let mut permit = home.permit(&who, ask(10, 20), now()).await.unwrap();
    let first = *permit.call_id();
    sent(&mut permit);

    let file = site
        .data()
        .join("tenants")
        .join(tenant.id.to_string())
        .join("store.db");
    let held = rusqlite::Connection::open(file).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let _ = permit.settle(completed(10, 20));
    let mut permit = home.permit(&who, ask(10, 20), now()).await.unwrap();
    let second = *permit.call_id();
    sent(&mut permit);
    permit.durable().await.unwrap();
    // administration has to stand in the file, and says that it does not
    let refused = tenant.admin.limits().set(limits, now()).await.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (503, "store_unavailable")
    );
    let _ = permit.settle(completed(10, 20));

    held.execute_batch("ROLLBACK").unwrap();
    for id in [first, second] {
        assert!(home.calls().get(&id).await.unwrap().unwrap().end.is_some());
    }
    // two calls were charged: the third has the rest
    let third = home.permit(&who, ask(10, 20), now()).await.unwrap();
    assert_eq!(third.max_output(), 20);
    let _ = third.settle(completed(10, 20));
    let report = verified(&tenant.admin).await;
    assert_eq!((report.open_calls, report.over_reservation), (0, 0));
}

#[tokio::test]
async fn more_tenants_than_may_be_open_take_turns_and_lose_nothing() {
    let mut site = Site::new();
    site.config.open_compartments = 2;
    let mut tokens = Vec::new();
    for n in 0..5 {
        tokens.push(site.tenant(&n.to_string()).await.token);
    }
    let site = site.reopened().await;
    for _ in 0..3 {
        for token in &tokens {
            let (home, who) = site.admit(token).await.unwrap();
            let permit = home.permit(&who, ask(1, 1), now()).await.unwrap();
            let id = *permit.call_id();
            let _ = permit.settle(completed(1, 1));
            site.house.settled().await;
            assert!(home.calls().get(&id).await.unwrap().unwrap().end.is_some());
        }
        assert!(site.house.stats().open_compartments <= 2);
    }
    let held = [
        site.admit(&tokens[0]).await.unwrap(),
        site.admit(&tokens[1]).await.unwrap(),
    ];
    assert_eq!(
        site.admit(&tokens[2]).await.unwrap_err(),
        Refused::Overloaded
    );
    drop(held);
    assert!(site.admit(&tokens[2]).await.is_ok());
}

#[tokio::test]
async fn another_keyring_opens_nothing() {
    let (site, other) = (Site::new(), Site::new());
    let tenant = site.tenant("one").await;
    drop(tenant);
    let Site {
        house,
        operator,
        folder,
        mut config,
        ..
    } = site;
    drop((house, operator));
    config.keyring_dir = other.config.keyring_dir.clone();
    config.provider = other.config.provider.clone();
    let Site {
        house,
        operator,
        folder: _other,
        ..
    } = other;
    drop((house, operator));
    assert!(matches!(
        compartment::House::open(config),
        Err(compartment::HouseError::KeysDoNotFit)
    ));
    drop(folder);
}

/// The lines of every segment of the commit log.
fn noted(site: &Site) -> String {
    std::fs::read_dir(site.data().join("log"))
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

#[tokio::test]
async fn the_commit_log_is_empty_after_the_last_round_and_a_round_catches_up_after_a_crash() {
    let site = Site::in_files();
    let tenant = site.tenant("one").await;
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    let permit = home.permit(&who, ask(1, 1), now()).await.unwrap();
    let id = *permit.call_id();
    let _ = permit.settle(completed(1, 1));
    assert_eq!(noted(&site).lines().count(), 2);
    // what a process that dies now leaves
    let left = tempfile::tempdir().unwrap();
    copy(site.folder.path(), left.path());
    site.house.last_round(now()).await.unwrap();
    assert_eq!(noted(&site), "");

    let keys = provider(left.path());
    let config = config(left.path(), keys, no_issuer());
    let house = open_again(&config).await;
    assert_eq!(house.stats().open_compartments, 0);
    house.rounds(now()).await.unwrap();
    assert_eq!(house.stats().open_compartments, 1);
    house.last_round(now()).await.unwrap();
    let gatehouse = house.gatehouse();
    let (home, _) = gatehouse.admit(&tenant.token, now()).await.unwrap();
    assert!(home.calls().get(&id).await.unwrap().unwrap().end.is_some());
    let after = Site {
        folder: left,
        config,
        house,
        ..site
    };
    assert_eq!(noted(&after), "");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &target);
        } else {
            std::fs::copy(file.path(), target).unwrap();
        }
    }
}
