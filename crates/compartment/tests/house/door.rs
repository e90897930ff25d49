//! Who is admitted, and to what.

use crate::support::{Site, at, mint, now, rights, wish};
use compartment::{
    ApiKeyId, CallId, IssuerId, MintSession, Models, Refused, administration::ChangeKey,
};
use policy::{Limits, Right};
use std::num::NonZeroU32;

/// Every credential that is not good gets the same answer.
#[tokio::test]
async fn wrong_unknown_expired_and_revoked_credentials_get_one_answer() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let other = site.tenant("two").await;
    let revoked = mint(&tenant.admin, "revoked", rights(&[Right::Infer])).await;
    tenant
        .admin
        .keys()
        .revoke(&revoked.facts.id, now())
        .await
        .unwrap();
    let mut brief = wish("brief", rights(&[Right::Infer]));
    brief.expires = Some(at(10));
    let brief = tenant.admin.keys().mint(brief, now()).await.unwrap();
    let (_, unknown) =
        compartment::credential::mint(compartment::credential::ApiKeyKind::Tenant).unwrap();
    assert!(site.admit(brief.secret.expose()).await.is_ok());

    // The id of one key with the secret of another, and a checksum that fits.
    let (a, b) = (tenant.token.as_str(), other.token.as_str());
    let mixed = format!("{}{}", &a[..38], &b[38..102]);
    let mixed = format!("{mixed}_{:08x}", crc32fast::hash(mixed.as_bytes()));

    let cases = [
        ("revoked", revoked.secret.expose(), now()),
        ("expired", brief.secret.expose(), at(10)),
        ("unknown", unknown.expose(), now()),
        ("another's secret", &mixed, now()),
        ("cut", &a[..a.len() - 1], now()),
        ("operator's", &site.operator_key, now()),
        ("nothing", "", now()),
        ("garbage", "Bearer ' OR 1=1", now()),
        ("three parts", "a.b.c", now()),
    ];
    for (what, token, when) in cases {
        let refused = site.house.gatehouse().admit(token, when).await.unwrap_err();
        assert_eq!(refused, Refused::Unauthorized, "{what}");
        assert_eq!(
            (refused.status(), refused.code()),
            (401, "invalid_api_key"),
            "{what}"
        );
    }
    assert_eq!(site.house.operator(a).unwrap_err(), Refused::Unauthorized);
    assert!(
        site.house
            .operator(&format!("Bearer {}", site.operator_key))
            .is_ok()
    );
}

#[tokio::test]
async fn revocation_takes_effect_at_once_for_the_key_its_sessions_and_handles_already_held() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let (compartment, who) = site.admit(&tenant.token).await.unwrap();
    let minted = mint(
        &tenant.admin,
        "app",
        rights(&[Right::Infer, Right::MintSessions]),
    )
    .await;
    let (app, app_key) = site.admit(minted.secret.expose()).await.unwrap();
    let session = app
        .mint_session(&app_key, session("alice"), now())
        .await
        .unwrap();
    let (held, bound) = site.admit(session.token.expose()).await.unwrap();
    assert!(bound.is_subject_bound() && bound.scopes() == rights(&[Right::Infer]));

    let steward = compartment.steward(&who, now()).unwrap();
    steward
        .keys()
        .revoke(&minted.facts.id, now())
        .await
        .unwrap();
    for token in [minted.secret.expose(), session.token.expose()] {
        assert_eq!(site.admit(token).await.unwrap_err(), Refused::Unauthorized);
    }
    let ask = crate::support::ask(1, 1);
    assert_eq!(
        held.permit(&bound, ask, now()).await.unwrap_err(),
        Refused::Unauthorized
    );

    // Still so after a restart, from what was recorded.
    drop((compartment, steward, app, held));
    let (token, secret) = (tenant.token.clone(), minted.secret.expose().to_owned());
    drop(tenant);
    let site = site.reopened().await;
    assert_eq!(
        site.admit(&secret).await.unwrap_err(),
        Refused::Unauthorized
    );
    assert!(site.admit(&token).await.is_ok());
}

#[tokio::test]
async fn foreign_ids_are_told_exactly_what_random_ids_are_told() {
    let site = Site::new();
    let (a, b) = (site.tenant("a").await, site.tenant("b").await);
    let (home, who) = site.admit(&a.token).await.unwrap();
    let permit = home
        .permit(&who, crate::support::ask(1, 1), now())
        .await
        .unwrap();
    let call = *permit.call_id();
    drop(permit);

    let (others, other) = site.admit(&b.token).await.unwrap();
    let steward = others.steward(&other, now()).unwrap();
    let random_key = ApiKeyId::random().unwrap();
    let nothing = ChangeKey::default;
    let keys = steward.keys();
    for id in [&a.key.facts.id, &random_key] {
        let expected = Refused::NotFound { what: "key" };
        assert_eq!(keys.get(id).await.unwrap_err(), expected);
        assert_eq!(keys.revoke(id, now()).await.unwrap_err(), expected);
        assert_eq!(
            keys.change(id, nothing(), now()).await.unwrap_err(),
            expected
        );
    }
    for id in [call, CallId::mint(now()).unwrap()] {
        assert_eq!(others.calls().get(&id).await.unwrap(), None);
    }
    let issuer = IssuerId::random().unwrap();
    assert_eq!(
        steward.issuers().get(&issuer).unwrap_err(),
        Refused::NotFound { what: "issuer" }
    );
    assert!(home.calls().get(&call).await.unwrap().is_some());
    // B's attempts left A as it was.
    assert!(site.admit(&a.token).await.is_ok());
}

#[tokio::test]
async fn a_principal_is_worth_nothing_at_another_compartment() {
    let site = Site::new();
    let (a, b) = (site.tenant("a").await, site.tenant("b").await);
    let ((home, _), (_, stranger)) = (
        site.admit(&a.token).await.unwrap(),
        site.admit(&b.token).await.unwrap(),
    );
    assert_eq!(
        home.permit(&stranger, crate::support::ask(1, 1), now())
            .await
            .unwrap_err(),
        Refused::Unauthorized
    );
    assert_eq!(
        home.steward(&stranger, now()).unwrap_err(),
        Refused::Unauthorized
    );
    assert_eq!(
        home.auditor(&stranger, now()).unwrap_err(),
        Refused::Unauthorized
    );
    assert!(!home.may_use(&stranger, "small"));
    let minted = home.mint_session(&stranger, session("eve"), now()).await;
    assert_eq!(minted.unwrap_err(), Refused::Unauthorized);

    // Nor does an end user's principal widen to its tenant's handle, or the tenant's narrow to an end user's.
    let (whole, key) = site.admit(&a.token).await.unwrap();
    let token = whole
        .mint_session(&key, session("alice"), now())
        .await
        .unwrap()
        .token;
    let (narrow, bound) = site.admit(token.expose()).await.unwrap();
    let ask = || crate::support::ask(1, 1);
    assert_eq!(
        whole.permit(&bound, ask(), now()).await.unwrap_err(),
        Refused::Unauthorized
    );
    assert_eq!(
        narrow.permit(&key, ask(), now()).await.unwrap_err(),
        Refused::Unauthorized
    );
    assert_eq!(
        narrow.steward(&key, now()).unwrap_err(),
        Refused::Unauthorized
    );
}

#[tokio::test]
async fn an_end_user_reaches_its_own_calls_alone() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    let mut calls = Vec::new();
    for subject in ["alice", "bob"] {
        let token = home
            .mint_session(&who, session(subject), now())
            .await
            .unwrap()
            .token;
        let (narrow, bound) = site.admit(token.expose()).await.unwrap();
        let permit = narrow
            .permit(&bound, crate::support::ask(1, 1), now())
            .await
            .unwrap();
        calls.push((narrow, bound, *permit.call_id()));
    }
    site.house.settled().await;
    for (n, (narrow, bound, own)) in calls.iter().enumerate() {
        let foreign = calls[1 - n].2;
        assert!(narrow.calls().get(own).await.unwrap().is_some());
        assert_eq!(narrow.calls().get(&foreign).await.unwrap(), None);
        assert!(home.calls().get(own).await.unwrap().is_some());
        for refused in [
            narrow.steward(bound, now()).unwrap_err(),
            narrow.auditor(bound, now()).unwrap_err(),
        ] {
            assert_eq!(refused.status(), 403);
        }
    }
    assert_ne!(
        home.calls()
            .get(&calls[0].2)
            .await
            .unwrap()
            .unwrap()
            .subject,
        home.calls()
            .get(&calls[1].2)
            .await
            .unwrap()
            .unwrap()
            .subject
    );
}

#[tokio::test]
async fn a_session_ends_with_its_time_and_never_names_more_than_its_key() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let mut narrow = wish("app", rights(&[Right::MintSessions]));
    narrow.models = Models::from_list(Some(vec!["small".into(), "large".into()])).unwrap();
    let app = tenant.admin.keys().mint(narrow, now()).await.unwrap();
    let (home, who) = site.admit(app.secret.expose()).await.unwrap();
    let models = |names: &[&str]| {
        Models::from_list(Some(names.iter().map(|&n| n.into()).collect())).unwrap()
    };

    let mut wide = session("alice");
    wide.models = models(&["small", "huge"]);
    assert_eq!(
        home.mint_session(&who, wide, now())
            .await
            .unwrap_err()
            .status(),
        403
    );
    let mut short = session("alice");
    (short.models, short.seconds) = (models(&["small"]), Some(60));
    let minted = home.mint_session(&who, short, now()).await.unwrap();
    let token = minted.token.expose();
    let (bound_home, bound) = site.admit(token).await.unwrap();
    assert!(bound_home.may_use(&bound, "small") && !bound_home.may_use(&bound, "large"));
    assert_eq!(
        site.house
            .gatehouse()
            .admit(token, at(60))
            .await
            .unwrap_err(),
        Refused::Unauthorized
    );
    assert_eq!(
        bound_home
            .permit(&bound, crate::support::ask(1, 1), at(60))
            .await
            .unwrap_err(),
        Refused::Unauthorized
    );
    for seconds in [0, 86_401] {
        let mut out = session("alice");
        out.seconds = Some(seconds);
        assert_eq!(
            home.mint_session(&who, out, now())
                .await
                .unwrap_err()
                .status(),
            400
        );
    }
    // A key without the scope mints none, and a session mints none either.
    assert_eq!(
        bound_home
            .mint_session(&bound, session("bob"), now())
            .await
            .unwrap_err()
            .status(),
        403
    );
}

#[tokio::test]
async fn a_suspended_tenant_is_told_so_only_with_a_good_credential() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let (held, who) = site.admit(&tenant.token).await.unwrap();
    site.operator.suspend(&tenant.id, now()).await.unwrap();
    assert_eq!(
        site.admit(&tenant.token).await.unwrap_err(),
        Refused::TenantSuspended
    );
    assert_eq!(
        held.permit(&who, crate::support::ask(1, 1), now())
            .await
            .unwrap_err(),
        Refused::TenantSuspended
    );
    let wrong = format!("{}x", &tenant.token[..tenant.token.len() - 1]);
    assert_eq!(site.admit(&wrong).await.unwrap_err(), Refused::Unauthorized);
    drop(held);
    let (id, token) = (tenant.id, tenant.token.clone());
    drop(tenant);
    let site = site.reopened().await;
    assert_eq!(
        site.admit(&token).await.unwrap_err(),
        Refused::TenantSuspended
    );
    site.operator.resume(&id, now()).await.unwrap();
    assert!(site.admit(&token).await.is_ok());
}

#[tokio::test]
async fn minting_sessions_without_end_is_limited_like_calls() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let limits = Limits {
        requests_per_minute: NonZeroU32::new(3),
        ..Limits::NONE
    };
    tenant
        .admin
        .limits()
        .set(crate::support::tenant_limits(limits), now())
        .await
        .unwrap();
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    for _ in 0..3 {
        home.mint_session(&who, session("alice"), now())
            .await
            .unwrap();
    }
    assert_eq!(
        home.mint_session(&who, session("alice"), now())
            .await
            .unwrap_err()
            .status(),
        429
    );
}

fn session(subject: &str) -> MintSession {
    MintSession {
        subject: subject.into(),
        session: Some("s1".into()),
        seconds: None,
        models: Models::All,
    }
}
