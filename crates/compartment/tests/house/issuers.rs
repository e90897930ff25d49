//! A tenant's own token issuers.

use crate::support::{Site, Tenant, at, now};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use compartment::{
    Administration, IssuerId, Models, Refused,
    administration::SetIssuer,
    credential::{Algorithm, FetchJwks, IssuerPin, TenantClaim},
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Signs whatever it is told to.
struct Issuer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    fn new() -> Arc<Self> {
        let random = SystemRandom::new();
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
                .unwrap();
        Arc::new(Self { key, random })
    }

    fn fetch(self: &Arc<Self>) -> FetchJwks {
        let point = self.key.public_key().as_ref();
        let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
        let key = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one", "x": part(1..33), "y": part(33..65)});
        let set = json!({ "keys": [key] }).to_string();
        Arc::new(move |_| {
            let set = set.clone();
            Box::pin(async move { Ok(set.into()) })
        })
    }

    fn token(&self, claims: &Value) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!(
            "{}.{}",
            part(&json!({"alg": "ES256", "typ": "JWT", "kid": "one"})),
            part(claims)
        );
        let signature = self.key.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn of(&self, org: &str) -> String {
        self.token(&claims(org))
    }
}

fn claims(org: &str) -> Value {
    json!({"iss": "https://id.example.test", "aud": "cofferdam", "sub": "alice", "org": org, "tier": "pro", "exp": at(3600).as_second()})
}

fn pin(claim: &str, value: &str) -> IssuerPin {
    IssuerPin {
        issuer: "https://id.example.test".into(),
        audience: "cofferdam".into(),
        algorithms: vec![Algorithm::named("ES256").unwrap()],
        tenant_claim: TenantClaim {
            name: claim.into(),
            value: value.into(),
        },
        subject_claim: "sub".into(),
        session_claim: None,
        jwks_uri: "https://id.example.test/keys".parse().unwrap(),
    }
}

fn wish(claim: &str, value: &str, proof: Option<String>) -> SetIssuer {
    SetIssuer {
        pin: pin(claim, value),
        models: Models::All,
        proof,
    }
}

async fn steward(site: &Site, tenant: &Tenant) -> Administration {
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    home.steward(&who, now()).unwrap()
}

#[tokio::test]
async fn an_issuers_token_leads_to_the_tenant_that_its_claim_names() {
    let issuer = Issuer::new();
    let site = Site::fetching(issuer.fetch());
    let (a, b) = (site.tenant("a").await, site.tenant("b").await);
    for (tenant, org) in [(&a, "acme"), (&b, "umbrella")] {
        let set = wish("org", org, Some(issuer.of(org)));
        steward(&site, tenant)
            .await
            .issuers()
            .set(IssuerId::random().unwrap(), set, now())
            .await
            .unwrap();
    }
    let mut calls = Vec::new();
    for org in ["acme", "umbrella"] {
        let (home, who) = site.admit(&issuer.of(org)).await.unwrap();
        assert!(who.is_subject_bound() && who.credential().starts_with("iss_"));
        let permit = home
            .permit(&who, crate::support::ask(1, 1), now())
            .await
            .unwrap();
        calls.push(*permit.call_id());
    }
    site.house.settled().await;
    let (home, _) = site.admit(&a.token).await.unwrap();
    assert!(home.calls().get(&calls[0]).await.unwrap().is_some());
    assert!(home.calls().get(&calls[1]).await.unwrap().is_none());

    let other = Issuer::new();
    let mut expired = claims("acme");
    expired["exp"] = json!(at(0).as_second());
    for bad in [
        issuer.of("nobody"),
        other.of("acme"),
        issuer.token(&expired),
        issuer.of(""),
    ] {
        assert_eq!(site.admit(&bad).await.unwrap_err(), Refused::Unauthorized);
    }
}

#[tokio::test]
async fn a_removed_issuer_is_refused_at_once() {
    let issuer = Issuer::new();
    let site = Site::fetching(issuer.fetch());
    let tenant = site.tenant("a").await;
    let id = IssuerId::random().unwrap();
    tenant
        .admin
        .issuers()
        .set(id, wish("org", "acme", None), now())
        .await
        .unwrap();
    let token = issuer.of("acme");
    let (home, who) = site.admit(&token).await.unwrap();
    tenant.admin.issuers().remove(&id, now()).await.unwrap();
    assert_eq!(site.admit(&token).await.unwrap_err(), Refused::Unauthorized);
    assert_eq!(
        home.permit(&who, crate::support::ask(1, 1), now())
            .await
            .unwrap_err(),
        Refused::Unauthorized
    );
    assert_eq!(
        tenant.admin.issuers().remove(&id, now()).await.unwrap_err(),
        Refused::NotFound { what: "issuer" }
    );
    // Free for its next owner.
    let other = site.tenant("b").await;
    other
        .admin
        .issuers()
        .set(id, wish("org", "acme", None), now())
        .await
        .unwrap();
    assert!(site.admit(&token).await.is_ok());
}

#[tokio::test]
async fn nobody_draws_over_a_neighbours_end_users() {
    let issuer = Issuer::new();
    let site = Site::fetching(issuer.fetch());
    let (victim, attacker) = (site.tenant("victim").await, site.tenant("attacker").await);
    let attack = steward(&site, &attacker).await;
    let id = || IssuerId::random().unwrap();
    let refused = |set| async {
        attack
            .issuers()
            .set(id(), set, now())
            .await
            .unwrap_err()
            .status()
    };
    // Before the victim pinned anything: without a token that proves it, nothing is pinned.
    assert_eq!(refused(wish("org", "victim", None)).await, 400);
    assert_eq!(
        refused(wish("org", "victim", Some(issuer.of("attacker")))).await,
        400
    );
    assert_eq!(
        refused(wish("org", "victim", Some(Issuer::new().of("victim")))).await,
        400
    );

    steward(&site, &victim)
        .await
        .issuers()
        .set(
            id(),
            wish("org", "victim", Some(issuer.of("victim"))),
            now(),
        )
        .await
        .unwrap();
    // A claim that the attacker's own tokens share with the victim's does not tell tenants apart.
    assert_eq!(
        refused(wish("tier", "pro", Some(issuer.of("attacker")))).await,
        409
    );
    assert_eq!(
        attacker
            .admin
            .issuers()
            .set(id(), wish("org", "victim", None), now())
            .await
            .unwrap_err()
            .status(),
        409
    );
    steward(&site, &attacker)
        .await
        .issuers()
        .set(
            id(),
            wish("org", "attacker", Some(issuer.of("attacker"))),
            now(),
        )
        .await
        .unwrap();

    let (_, who) = site.admit(&issuer.of("victim")).await.unwrap();
    let home = site.admit(&victim.token).await.unwrap().0;
    assert!(
        home.may_use(&who, "small"),
        "the victim's user is still the victim's"
    );
}
