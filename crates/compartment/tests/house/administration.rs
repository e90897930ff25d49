//! What stewards and operators may do, and what of it shows.

use crate::support::{Site, ask, at, mint, money, now, rights, tenant_limits, verified, wish};
use compartment::{
    House, HouseError, Models, Refused,
    administration::{ChangeKey, MintKey, UsageBy, UsageQuery},
};
use policy::{Limits, Right};
use std::{num::NonZeroU32, sync::Arc};

#[tokio::test]
async fn a_steward_lives_within_the_operators_limits_whatever_it_sets() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let money_limit = |text| {
        tenant_limits(Limits {
            money_total: Some(money(text)),
            ..Limits::NONE
        })
    };
    tenant
        .admin
        .limits()
        .set(money_limit("1"), now())
        .await
        .unwrap();
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    let steward = home.steward(&who, now()).unwrap();
    for (own, holds) in [("0.5", "0.5"), ("100", "1")] {
        let limits = steward.limits().set(money_limit(own), now()).await.unwrap();
        assert_eq!(limits.effective.tenant.money_total, Some(money(holds)));
        assert_eq!(limits.operator.tenant.money_total, Some(money("1")));
    }
    let none = steward
        .limits()
        .set(tenant_limits(Limits::NONE), now())
        .await
        .unwrap();
    assert_eq!(none.effective.tenant.money_total, Some(money("1")));
    // A key minted by the steward with limits of its own stays below, too.
    let mut generous = wish("generous", rights(&[Right::Infer]));
    generous.limits = Limits {
        money_total: Some(money("50")),
        ..Limits::NONE
    };
    steward.keys().mint(generous, now()).await.unwrap();
    assert_eq!(
        steward.limits().get().effective.tenant.money_total,
        Some(money("1"))
    );

    // Both tiers are there again after a restart.
    let steward_tier = steward.limits().get().steward;
    let token = tenant.token.clone();
    drop((home, steward, tenant));
    let site = site.reopened().await;
    let (home, who) = site.admit(&token).await.unwrap();
    let again = home.steward(&who, now()).unwrap().limits().get();
    assert_eq!(
        (again.steward, again.operator.tenant.money_total),
        (steward_tier, Some(money("1")))
    );
}

#[tokio::test]
async fn nobody_mints_a_key_that_can_do_more_than_their_own() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let mut narrow = wish("steward", rights(&[Right::Steward, Right::Infer]));
    narrow.models = Models::from_list(Some(vec!["small".into()])).unwrap();
    let narrow = tenant.admin.keys().mint(narrow, now()).await.unwrap();
    let (home, who) = site.admit(narrow.secret.expose()).await.unwrap();
    let steward = home.steward(&who, now()).unwrap();
    let only = |names: &[&str]| {
        Models::from_list(Some(names.iter().map(|&n| n.into()).collect())).unwrap()
    };
    let cases = [
        (vec![Right::Infer], only(&["small"]), true),
        (vec![Right::Audit], only(&["small"]), false),
        (vec![Right::Infer], only(&["small", "large"]), false),
        (vec![Right::Infer], Models::All, false),
        (vec![], only(&["small"]), false),
    ];
    for (scopes, models, allowed) in cases {
        let mut key = wish("key", rights(&scopes));
        key.models = models.clone();
        let minted = steward.keys().mint(key, now()).await;
        assert_eq!(minted.is_ok(), allowed, "{scopes:?} {models:?}");
        let Ok(minted) = minted else { continue };
        let change = ChangeKey {
            scopes: Some(rights(&[Right::MintSessions])),
            ..ChangeKey::default()
        };
        assert_eq!(
            steward
                .keys()
                .change(&minted.facts.id, change, now())
                .await
                .unwrap_err()
                .status(),
            403
        );
    }
    // Nor by way of changing its own.
    let change = ChangeKey {
        models: Some(Models::All),
        ..ChangeKey::default()
    };
    assert_eq!(
        steward
            .keys()
            .change(&narrow.facts.id, change, now())
            .await
            .unwrap_err()
            .status(),
        403
    );
}

#[tokio::test]
async fn a_changed_key_is_changed_at_once_and_for_good() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let key = mint(&tenant.admin, "app", rights(&[Right::Infer])).await;
    let (home, who) = site.admit(key.secret.expose()).await.unwrap();
    assert!(home.may_use(&who, "large"));
    let change = ChangeKey {
        name: Some("renamed".into()),
        models: Some(Models::from_list(Some(vec!["small".into()])).unwrap()),
        limits: Some(Limits {
            requests_per_minute: NonZeroU32::new(1),
            ..Limits::NONE
        }),
        expires: Some(Some(at(1000))),
        scopes: None,
    };
    let changed = tenant
        .admin
        .keys()
        .change(&key.facts.id, change, now())
        .await
        .unwrap();
    assert_eq!(
        tenant.admin.keys().get(&key.facts.id).await.unwrap(),
        changed
    );
    let (home, who) = site.admit(key.secret.expose()).await.unwrap();
    assert!(!home.may_use(&who, "large"));
    drop(home.permit(&who, ask(1, 1), now()).await.unwrap());
    assert_eq!(
        home.permit(&who, ask(1, 1), now())
            .await
            .unwrap_err()
            .status(),
        429
    );
    let gate = site.house.gatehouse();
    assert_eq!(
        gate.admit(key.secret.expose(), at(1000)).await.unwrap_err(),
        Refused::Unauthorized
    );
    let past = ChangeKey {
        expires: Some(Some(at(-1))),
        ..ChangeKey::default()
    };
    assert_eq!(
        tenant
            .admin
            .keys()
            .change(&key.facts.id, past, now())
            .await
            .unwrap_err()
            .status(),
        400
    );
}

#[tokio::test]
async fn the_last_steward_key_may_go_and_the_operator_mints_another() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    let steward = home.steward(&who, now()).unwrap();
    steward
        .keys()
        .revoke(&tenant.key.facts.id, now())
        .await
        .unwrap();
    assert_eq!(
        home.steward(&who, now()).unwrap_err(),
        Refused::Unauthorized
    );
    let again = mint(&tenant.admin, "again", rights(&[Right::Steward])).await;
    assert!(site.admit(again.secret.expose()).await.is_ok());
}

#[tokio::test]
async fn scopes_are_needed_for_what_they_name() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let key = mint(&tenant.admin, "none of it", rights(&[Right::MintSessions])).await;
    let (home, who) = site.admit(key.secret.expose()).await.unwrap();
    assert_eq!(
        home.steward(&who, now()).unwrap_err(),
        Refused::Forbidden {
            needs: Right::Steward
        }
    );
    assert_eq!(
        home.auditor(&who, now()).unwrap_err(),
        Refused::Forbidden {
            needs: Right::Audit
        }
    );
    let refused = home.permit(&who, ask(1, 1), now()).await.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (403, "insufficient_permissions")
    );
    assert!(!home.may_use(&who, "small"));
}

#[tokio::test]
async fn a_model_that_is_not_offered_and_one_that_is_not_allowed_are_the_same_404() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let mut only = wish("only", rights(&[Right::Infer]));
    only.models = Models::from_list(Some(vec!["other".into()])).unwrap();
    let only = tenant.admin.keys().mint(only, now()).await.unwrap();
    let (home, who) = site.admit(only.secret.expose()).await.unwrap();
    let not_allowed = home.permit(&who, ask(1, 1), now()).await.unwrap_err();
    let mut unknown = ask(1, 1);
    unknown.offered = None;
    let unknown = home.permit(&who, unknown, now()).await.unwrap_err();
    assert_eq!(not_allowed, unknown);
    assert_eq!((unknown.status(), unknown.code()), (404, "model_not_found"));
}

#[tokio::test]
async fn an_operator_cannot_touch_upstream_credentials() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    assert_eq!(
        tenant.admin.vault().err(),
        Some(Refused::Forbidden {
            needs: Right::Steward
        })
    );
}

#[tokio::test]
async fn upstream_credentials_are_the_tenants_own_and_never_shown_again() {
    let site = Site::new();
    let (a, b) = (site.tenant("a").await, site.tenant("b").await);
    let ((home, who), (others, _)) = (
        site.admit(&a.token).await.unwrap(),
        site.admit(&b.token).await.unwrap(),
    );
    let steward = home.steward(&who, now()).unwrap();
    let vault = steward.vault().unwrap();
    let first = vault.set("prod", "sk-first", now()).await.unwrap();
    let second = vault.set("prod", "sk-second", now()).await.unwrap();
    assert!(second.version > first.version);
    let opened = home.vault().upstream_credential("prod").unwrap().unwrap();
    assert_eq!(
        (opened.expose(), opened.version()),
        ("sk-second", second.version)
    );
    assert_eq!(format!("{opened:?}"), "UpstreamCredential(9 bytes)");
    assert!(
        others
            .vault()
            .upstream_credential("prod")
            .unwrap()
            .is_none()
    );
    assert!(home.vault().upstream_credential("test").unwrap().is_none());
    assert_eq!(vault.list().unwrap(), [second]);
    for bad in ["", "with space", "line\nbreak", "ü"] {
        assert_eq!(
            vault.set("prod", bad, now()).await.unwrap_err().status(),
            400,
            "{bad:?}"
        );
    }
    vault.remove("prod", now()).await.unwrap();
    assert!(home.vault().upstream_credential("prod").unwrap().is_none());
    assert_eq!(vault.remove("prod", now()).await.unwrap_err().status(), 404);
}

#[tokio::test]
async fn creating_a_tenant_twice_gives_the_same_one() {
    let site = Site::new();
    let (one, new) = site.operator.create_tenant("Acme", now()).await.unwrap();
    assert!(new);
    let (again, new) = site.operator.create_tenant("Acme", now()).await.unwrap();
    assert!(!new && one == again);
    site.operator
        .create_tenant("Umbrella", now())
        .await
        .unwrap();
    let all = site.operator.tenants(None, 10).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(
        site.operator.tenants(Some(&all[0].id), 10).await.unwrap(),
        all[1..]
    );
    for bad in ["", "\n", &"x".repeat(129)] {
        assert_eq!(
            site.operator
                .create_tenant(bad, now())
                .await
                .unwrap_err()
                .status(),
            400
        );
    }
    let unknown = compartment::TenantId::random().unwrap();
    assert_eq!(
        site.operator.tenant(&unknown, now()).await.unwrap_err(),
        Refused::NotFound { what: "tenant" }
    );
}

#[tokio::test]
async fn a_deployment_is_made_once_and_opened_by_one_process() {
    let site = Site::new();
    assert!(matches!(
        House::open(site.config.clone()),
        Err(HouseError::InUse)
    ));
    assert!(matches!(
        House::init(&site.config, now()),
        Err(HouseError::InUse)
    ));
    let site = site.reopened().await;
    let mut elsewhere = site.config.clone();
    elsewhere.data_dir = site.folder.path().join("empty");
    assert!(matches!(
        House::open(elsewhere),
        Err(HouseError::NotInitialised)
    ));
    let mut inside = site.config.clone();
    inside.data_dir = site.folder.path().to_owned();
    assert!(matches!(
        House::init(&inside, now()),
        Err(HouseError::KeyringInsideData)
    ));
    let config = site.config.clone();
    let Site {
        house,
        operator,
        folder,
        ..
    } = site;
    drop((house, operator));
    assert!(House::init(&config, now()).unwrap().is_none());
    let lost = House::add_operator_key(&config, now()).unwrap();
    let house = House::open(config).unwrap();
    assert!(house.operator(lost.expose()).is_ok());
    drop(folder);
}

#[tokio::test]
async fn usage_adds_up_by_day_credential_and_model() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let other = mint(&tenant.admin, "other", rights(&[Right::Infer])).await;
    for (token, calls) in [(tenant.token.as_str(), 3), (other.secret.expose(), 2)] {
        let (home, who) = site.admit(token).await.unwrap();
        for _ in 0..calls {
            let mut permit = home.permit(&who, ask(10, 20), now()).await.unwrap();
            crate::support::sent(&mut permit);
            let _ = permit.settle(crate::support::completed(1, 2));
        }
    }
    site.house.settled().await;
    let day = jiff::civil::date(2026, 11, 24);
    let query = |by| UsageQuery {
        from: day,
        to: day,
        credential: None,
        model: None,
        by,
    };
    for (by, rows) in [
        (UsageBy::Day, 1),
        (UsageBy::Credential, 2),
        (UsageBy::Model, 1),
        (UsageBy::Each, 2),
    ] {
        let usage = tenant.admin.usage(query(by)).await.unwrap();
        assert_eq!(
            (usage.rows.len(), usage.total.calls, usage.total.cost),
            (rows, 5, money("0.015")),
            "{by:?}"
        );
        assert_eq!(
            usage.rows.iter().map(|row| row.output_tokens).sum::<u64>(),
            10
        );
    }
    let mut one = query(UsageBy::Each);
    one.credential = Some(other.facts.id.to_string());
    assert_eq!(tenant.admin.usage(one).await.unwrap().total.calls, 2);
}

#[tokio::test]
async fn every_act_is_in_the_journal_and_its_head_in_the_deployment_log() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    let steward = home.steward(&who, now()).unwrap();
    steward
        .limits()
        .set(tenant_limits(Limits::NONE), now())
        .await
        .unwrap();
    steward
        .vault()
        .unwrap()
        .set("prod", "sk", now())
        .await
        .unwrap();
    site.operator.suspend(&tenant.id, now()).await.unwrap();
    site.operator.resume(&tenant.id, now()).await.unwrap();
    site.house.rounds(at(1)).await.unwrap();
    let report = verified(&tenant.admin).await;
    // created, minted, limits, vault, suspended, resumed, exported
    assert_eq!((report.records, report.kinds.get("admin")), (7, Some(&7)));
    let log = report.deployment.expect("a head in the deployment log");
    let _ = log;
    let checkpoint = site
        .operator
        .deployment_checkpoint()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(checkpoint.size, 1);
    let proof = tenant.admin.journal().proof(2, at(2)).await.unwrap();
    assert_eq!(proof.record.seq, 2);
    assert!(proof.checkpoint.size >= 7);
    assert_eq!(
        tenant.admin.journal().proof(1000, at(2)).await.unwrap_err(),
        Refused::NotFound { what: "record" }
    );
}

#[tokio::test]
async fn a_resident_is_made_once_for_each_compartment() {
    struct Pool(u8);
    let site = Site::new();
    let (a, b) = (site.tenant("a").await, site.tenant("b").await);
    let (home, _) = site.admit(&a.token).await.unwrap();
    let (again, _) = site.admit(&a.token).await.unwrap();
    let (others, _) = site.admit(&b.token).await.unwrap();
    let one = home.resident(|| Pool(1));
    assert!(Arc::ptr_eq(&one, &again.resident(|| Pool(2))));
    assert_eq!(others.resident(|| Pool(3)).0, 3);
    assert_eq!(one.0, 1);
}

#[tokio::test]
async fn a_key_that_ends_hands_on_nothing_that_outlives_it() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let end = now() + jiff::SignedDuration::from_hours(1);
    let wish = |expires| MintKey {
        name: "handed on".to_owned(),
        scopes: [Right::Steward].into_iter().collect(),
        models: Models::All,
        limits: Limits::NONE,
        expires,
    };
    let own = tenant
        .admin
        .keys()
        .mint(wish(Some(end)), now())
        .await
        .unwrap();
    let (home, who) = site.admit(own.secret.expose()).await.unwrap();
    let steward = home.steward(&who, now()).unwrap();
    let later = end + jiff::SignedDuration::from_secs(1);
    for beyond in [None, Some(later)] {
        let refused = steward.keys().mint(wish(beyond), now()).await.unwrap_err();
        assert_eq!(refused.status(), 403, "{beyond:?}");
    }
    let minted = steward.keys().mint(wish(Some(end)), now()).await.unwrap();
    for beyond in [None, Some(later)] {
        let change = ChangeKey {
            expires: Some(beyond),
            ..ChangeKey::default()
        };
        let refused = steward.keys().change(&minted.facts.id, change, now()).await;
        assert_eq!(refused.unwrap_err().status(), 403, "{beyond:?}");
    }
}
