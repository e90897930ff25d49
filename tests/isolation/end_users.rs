//! End users of one tenant are kept apart too, and a credential that is taken back is dead at once.

use serde_json::json;

use crate::harness::chance::Chance;
use crate::harness::client::chat;
use crate::harness::raw::Raw;
use crate::harness::tenants::mint;
use crate::world::{World, neighbour, session};

#[test]
fn an_end_user_sees_its_own_calls_and_nobody_elses() {
    let world = World::new();
    let app = world.a.tenant.app(&world.gateway);
    let of = |subject: &str, sitting: &str| {
        world.gateway.caller(&session(
            &app,
            &json!({"subject": subject, "session": sitting}),
        ))
    };
    let (one, same, two) = (of("one", "first"), of("one", "second"), of("two", "first"));
    let call = one.chat("free", "hello").ok_with_id();
    let path = format!("/tenant/v1/calls/{call}");
    for (who, client, sees) in [
        ("the end user", &one, true),
        ("the same end user in another sitting", &same, true),
        ("the application", &app, true),
        ("another end user", &two, false),
        (
            "another tenant's end user",
            &world.gateway.caller(&world.b.session_token),
            false,
        ),
    ] {
        let answer = client.get(&path);
        if sees {
            assert_eq!(answer.ok()["id"], json!(call), "{who}");
        } else {
            let nothing = client.get(&format!("/tenant/v1/calls/{}", neighbour(&call)));
            assert_eq!(answer.status, 404, "{who}: {}", answer.text());
            assert_eq!(answer.face(), nothing.face(), "{who}");
        }
    }
    // the application's own calls are no end user's
    let apps = app.chat("free", "hello").ok_with_id();
    assert_eq!(one.get(&format!("/tenant/v1/calls/{apps}")).status, 404);
    // blinded: alike for one end user, and never the name
    let facts = one.get(&path).ok();
    let again = same.chat("free", "hello").ok_with_id();
    let again = same.get(&format!("/tenant/v1/calls/{again}")).ok();
    assert_eq!(facts["subject"], again["subject"]);
    assert_ne!(facts["session"], again["session"]);
    assert_ne!(facts["subject"], json!("one"));
}

#[test]
fn one_end_users_calls_count_against_that_end_user_alone() {
    let world = World::new();
    let app = world.a.tenant.app(&world.gateway);
    world.a.tenant.limit(
        &world.gateway,
        json!({"each_subject": {"requests_per_minute": 2}}),
    );
    let of = |subject: &str| {
        world
            .gateway
            .caller(&session(&app, &json!({"subject": subject})))
    };
    let (one, two) = (of("one"), of("two"));
    let statuses: Vec<_> = (0..3).map(|_| one.chat("free", "hello").status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(two.chat("free", "hello").status, 200);
    assert_eq!(
        of("one").chat("free", "hello").status,
        429,
        "a new token is not a new end user"
    );
}

#[test]
fn a_credential_that_differs_anywhere_is_none() {
    let world = World::new();
    let mut chance = Chance::new(7);
    let unknown = world.gateway.caller("nonsense").get("/v1/models");
    assert_eq!(unknown.status, 401);
    for (_, credential) in world.a.credentials() {
        let places: Vec<usize> = (0..24)
            .map(|_| chance.below(credential.len() as u64) as usize)
            .collect();
        let mut forged: Vec<String> = places
            .into_iter()
            .map(|at| {
                let mut bytes = credential.as_bytes().to_vec();
                bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
                String::from_utf8(bytes).unwrap()
            })
            .collect();
        // the first n characters are the same (attack 6)
        forged.extend(
            [8, 20, 40, credential.len() - 1].map(|length| credential[..length].to_owned()),
        );
        forged.extend([
            format!("{credential}0"),
            credential.to_uppercase(),
            format!("{credential} x"),
        ]);
        forged.extend(
            [
                "' OR 1=1 --",
                "'; SELECT pg_sleep(5) --",
                "\"}",
                "../../etc/passwd",
            ]
            .map(str::to_owned),
        );
        for forged in forged {
            let answer = world.gateway.caller(&forged).get("/v1/models");
            assert_eq!(answer.face(), unknown.face(), "{forged}");
        }
    }
}

#[test]
fn a_revoked_key_is_refused_at_once_on_a_connection_that_is_open() {
    let world = World::new();
    let operator = world.gateway.operator();
    let tenant = &world.a.tenant;
    let (id, key) = mint(
        &operator,
        &tenant.id,
        &json!({"name": "soon gone", "scopes": ["infer", "mint_sessions"]}),
    );
    let token = session(&world.gateway.caller(&key), &json!({"subject": "somebody"}));
    let body = chat("free", "hello");
    let mut connections: Vec<(Raw, &str)> = [&key, &token]
        .map(|credential| {
            (
                Raw::connect(&world.gateway.data_plane).unwrap(),
                credential.as_str(),
            )
        })
        .into();
    let mut ask = |what: &str, status: u16| {
        for (connection, credential) in &mut connections {
            assert!(connection.post("/v1/chat/completions", credential, &body));
            let reply = connection.reply().expect("the connection was closed");
            assert_eq!(reply.status, status, "{what}: {}", reply.text());
        }
    };
    ask("before", 200);
    tenant
        .steward(&world.gateway)
        .call("DELETE", &format!("/tenant/v1/keys/{id}"), None)
        .ok();
    ask("revoked", 401);
    let others = [&tenant.app_key, &world.b.tenant.app_key];
    assert!(
        others
            .iter()
            .all(|key| world.gateway.caller(key).chat("free", "hello").status == 200),
        "others' go on"
    );
}

#[test]
fn a_session_token_ends_when_it_says_and_within_a_day() {
    let world = World::new();
    let app = world.a.tenant.app(&world.gateway);
    let token = world.gateway.caller(&session(
        &app,
        &json!({"subject": "x", "expires_in_seconds": 1}),
    ));
    assert_eq!(token.get("/v1/models").status, 200);
    crate::harness::until(
        "the token is over",
        std::time::Duration::from_secs(5),
        || token.get("/v1/models").status == 401,
    );
    let day = app.post(
        "/tenant/v1/sessions",
        &json!({"subject": "x", "expires_in_seconds": 86_401}),
    );
    assert_eq!(day.status, 400, "{}", day.text());
}

#[test]
fn a_suspended_tenant_learns_it_only_with_a_good_credential() {
    let world = World::new();
    let operator = world.gateway.operator();
    let path = format!("/admin/v1/tenants/{}", world.a.tenant.id);
    let set = |state: &str| {
        operator
            .call("PATCH", &path, Some(&json!({"state": state})))
            .ok()
    };
    set("suspended");
    for (who, credential) in world.a.credentials() {
        let answer = world.gateway.caller(credential).get("/v1/models");
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "tenant_suspended"),
            "{who}: {}",
            answer.text()
        );
        let forged = world
            .gateway
            .caller(&neighbour(credential))
            .get("/v1/models");
        assert_eq!(
            forged.face(),
            world.gateway.caller("nonsense").get("/v1/models").face(),
            "{who}"
        );
    }
    assert_eq!(
        world
            .b
            .tenant
            .app(&world.gateway)
            .chat("free", "hello")
            .status,
        200
    );
    set("active");
    assert_eq!(
        world
            .a
            .tenant
            .app(&world.gateway)
            .chat("free", "hello")
            .status,
        200
    );
}
