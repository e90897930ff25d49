//! A deployment is moved from files to a database and back, and nothing of it changes.

use crate::{
    server::server,
    support::{
        Site, Tenant, ask, completed, engine, mint, money, now, open_again, rights, sent,
        tenant_limits, verified,
    },
};
use compartment::{
    Copied, Engine, House, HouseConfig, HouseError,
    administration::{UsageBy, UsageQuery},
};
use policy::{Limits, Nanos, Right};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::task::block_in_place;

/// Calls of a tenant that may spend 1, each for 0.03.
async fn call(site: &Site, token: &str, calls: u32) {
    let (home, who) = site.admit(token).await.unwrap();
    for _ in 0..calls {
        let mut permit = home.permit(&who, ask(10, 20), now()).await.unwrap();
        sent(&mut permit);
        let _ = permit.settle(completed(10, 20));
    }
}

async fn spent(tenant: &Tenant) -> Nanos {
    let day = jiff::civil::date(2026, 11, 24);
    let query = UsageQuery {
        from: day,
        to: day,
        credential: None,
        model: None,
        by: UsageBy::Each,
    };
    tenant.admin.usage(query).await.unwrap().total.cost
}

async fn filled() -> (Site, Vec<(String, String)>) {
    let site = Site::in_files();
    let mut tokens = Vec::new();
    for name in ["one", "two", "three"] {
        let tenant = site.tenant(name).await;
        let limits = tenant_limits(Limits {
            money_total: Some(money("1")),
            ..Limits::NONE
        });
        tenant.admin.limits().set(limits, now()).await.unwrap();
        for n in 0..5 {
            mint(&tenant.admin, &format!("key {n}"), rights(&[Right::Infer])).await;
        }
        call(&site, &tenant.token, 7).await;
        tokens.push((name.to_owned(), tenant.token));
        site.house.rounds(now()).await.unwrap();
    }
    site.house.last_round(now()).await.unwrap();
    (site, tokens)
}

/// The lock is free once the last task of the old house is over.
fn copy(config: &HouseConfig, from: &Engine, to: &Engine) -> Result<Copied, HouseError> {
    loop {
        match House::copy_store(config, from, to, now(), &mut |_| ()) {
            Err(HouseError::InUse) => std::thread::yield_now(),
            done => return done,
        }
    }
}

/// Each tenant admits its key, has spent `each`, and its journal verifies; `records` are added up.
async fn looked_at(site: &Site, tokens: &[(String, String)], each: &str) -> u64 {
    let mut records = 0;
    let facts = site.operator.tenants(None, 10).await.unwrap();
    for (name, token) in tokens {
        let facts = facts.iter().find(|facts| facts.name == *name).unwrap();
        let admin = site.operator.tenant(&facts.id, now()).await.unwrap();
        let (home, who) = site.admit(token).await.unwrap();
        drop((home, who));
        let key = mint(&admin, "another", rights(&[Right::Infer])).await;
        let tenant = Tenant {
            id: facts.id,
            admin,
            token: token.clone(),
            key,
        };
        assert_eq!(spent(&tenant).await, money(each), "{name}");
        let report = verified(&tenant.admin).await;
        assert_eq!((report.open_calls, report.over_reservation), (0, 0));
        records += report.records;
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_moved_to_postgres_and_back_and_goes_on() {
    let Some(server) = block_in_place(server) else {
        return;
    };
    let (site, tokens) = filled().await;
    let before = looked_at(&site, &tokens, "0.21").await;
    let postgres = engine(&block_in_place(|| server.database()));
    // nobody may serve meanwhile
    assert!(matches!(
        House::copy_store(
            &site.config,
            &Engine::Embedded,
            &postgres,
            now(),
            &mut |_| ()
        ),
        Err(HouseError::InUse)
    ));
    site.house.last_round(now()).await.unwrap();
    let Site {
        house,
        operator,
        operator_key,
        keys,
        folder,
        config,
    } = site;
    drop((house, operator));
    // interrupted in the middle of the second tenant, it is gone on with
    let mut inside = 0;
    let interrupted = block_in_place(|| {
        catch_unwind(AssertUnwindSafe(|| {
            loop {
                let copied = House::copy_store(
                    &config,
                    &Engine::Embedded,
                    &postgres,
                    now(),
                    &mut |so_far| {
                        inside += u32::from(so_far.tenants == 1);
                        assert!(inside < 4, "interrupted on purpose");
                    },
                );
                if !matches!(copied, Err(HouseError::InUse)) {
                    return copied;
                }
            }
        }))
    });
    assert!(interrupted.is_err());
    let half = HouseConfig {
        store: postgres.clone(),
        ..config.clone()
    };
    assert!(matches!(
        House::open(half.clone()).err(),
        Some(HouseError::NotInitialised)
    ));
    let copied = block_in_place(|| copy(&config, &Engine::Embedded, &postgres)).unwrap();
    assert_eq!((copied.tenants, copied.unchanged), (2, 1));
    assert!(copied.records > 20 && copied.rows > 10 && copied.heads > 0);
    // once more, it only compares
    let again = block_in_place(|| copy(&config, &Engine::Embedded, &postgres)).unwrap();
    assert_eq!(
        again,
        Copied {
            unchanged: 3,
            ..Copied::default()
        }
    );

    let house = open_again(&half).await;
    let operator = house.operator(&operator_key).unwrap();
    let site = Site {
        house,
        operator,
        operator_key,
        keys,
        folder,
        config: half,
    };
    // to look mints a key and exports, which are records
    assert!(looked_at(&site, &tokens, "0.21").await > before);
    call(&site, &tokens[0].1, 26).await;
    let (home, who) = site.admit(&tokens[0].1).await.unwrap();
    let refused = home.permit(&who, ask(10, 20), now()).await.unwrap_err();
    assert_eq!(refused.status(), 402, "the money that was spent is spent");
    drop((home, who));
    site.house.last_round(now()).await.unwrap();

    let config = site.config.clone();
    let fresh = HouseConfig {
        store: Engine::Embedded,
        data_dir: site.folder.path().join("fresh"),
        ..config.clone()
    };
    let site = {
        let Site {
            house,
            operator,
            operator_key,
            keys,
            folder,
            ..
        } = site;
        drop((house, operator));
        // what was served from since is another past than that of the files it came from
        assert!(matches!(
            block_in_place(|| copy(&config, &Engine::Embedded, &postgres)),
            Err(HouseError::OtherDeployment)
        ));
        let back = block_in_place(|| copy(&fresh, &postgres, &Engine::Embedded)).unwrap();
        assert_eq!((back.tenants, back.unchanged), (3, 0));
        let house = open_again(&fresh).await;
        let operator = house.operator(&operator_key).unwrap();
        Site {
            house,
            operator,
            operator_key,
            keys,
            folder,
            config: fresh,
        }
    };
    let (home, who) = site.admit(&tokens[0].1).await.unwrap();
    assert_eq!(
        home.permit(&who, ask(10, 20), now())
            .await
            .unwrap_err()
            .status(),
        402
    );
    drop((home, who));
    assert!(looked_at(&site, &tokens[1..], "0.21").await > 0);
}
