//! What fails refuses, hurts nobody else, and recovers.

use crate::support::{Site, ask, completed, now};
use compartment::Refused;
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
    assert_eq!((refused.status(), refused.code()), (503, "key_service_unavailable"));
    assert!(refused.retry_after().is_some());
    assert!(site.admit(&open_token).await.is_ok());
    let _ = home.permit(&who, ask(1, 1), now()).await.unwrap().settle(completed(1, 1));
    assert!(site.operator.create_tenant("new", now()).await.is_err());
    assert!(!site.house.health().await.keys && site.house.health().await.store);

    site.keys.down.store(false, Ordering::SeqCst);
    assert!(site.admit(&closed_token).await.is_ok());
    // The creation that failed can be repeated.
    assert!(site.operator.create_tenant("new", now()).await.unwrap().1);
    assert!(site.house.health().await.keys);
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
    let held = [site.admit(&tokens[0]).await.unwrap(), site.admit(&tokens[1]).await.unwrap()];
    assert_eq!(site.admit(&tokens[2]).await.unwrap_err(), Refused::Overloaded);
    drop(held);
    assert!(site.admit(&tokens[2]).await.is_ok());
}

#[tokio::test]
async fn another_keyring_opens_nothing() {
    let (site, other) = (Site::new(), Site::new());
    let tenant = site.tenant("one").await;
    drop(tenant);
    let Site { house, operator, folder, mut config, .. } = site;
    drop((house, operator));
    config.keyring_dir = other.config.keyring_dir.clone();
    config.provider = other.config.provider.clone();
    let Site { house, operator, folder: _other, .. } = other;
    drop((house, operator));
    assert!(matches!(compartment::House::open(config), Err(compartment::HouseError::KeysDoNotFit)));
    drop(folder);
}
