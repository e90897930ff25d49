//! Every operation, with one tenant's credentials on the other's names.

use crate::harness::client::{Answer, Client};
use crate::operations::{For, Names, OPERATIONS, Operation};
use crate::world::{Kind, Owner, World, neighbour};

/// An answer without what the caller put into the request itself, and without the time that a version is made of.
fn face(answer: &Answer, said: &str) -> (u16, Vec<(String, String)>, String) {
    let mut face = answer.face();
    face.headers.retain(|(name, _)| name != "content-length");
    let mut body = answer.text();
    for said in [said, &said.replace('_', "-")]
        .into_iter()
        .filter(|said| !said.is_empty())
    {
        body = body.replace(said, "SAID");
    }
    if let Some((head, tail)) = body.split_once("\"version\":") {
        body = format!(
            "{head}{}",
            tail.trim_start_matches(|c: char| c.is_ascii_digit())
        );
    }
    (face.status, face.headers, body)
}

fn call(client: &Client, operation: &Operation, tenant: &str, id: &str) -> Answer {
    client.call(
        operation.method,
        &operation.path_with(tenant, id),
        operation.body_with(id).as_ref(),
    )
}

/// Nothing of the other tenant's stands in the answer but what the caller sent itself.
fn holds_nothing_of(owner: &Owner, answer: &Answer, said: &str, what: &str) {
    let text = format!("{:?} {}", answer.headers, answer.text());
    for mark in owner.marks.iter().filter(|mark| *mark != said) {
        assert!(
            !text.contains(mark.as_str()),
            "{what}: {mark} of another tenant in {text}"
        );
    }
}

#[test]
fn every_operation_answers_the_same_to_anothers_name_as_to_nobodys_and_changes_nothing() {
    let world = World::new();
    let before = world.holdings_of_b();
    let mut compared = 0;
    for operation in OPERATIONS
        .iter()
        .filter(|operation| operation.is_for() == For::Tenant)
    {
        for (who, credential) in world.a.credentials() {
            let what = format!("{} by A's {who} credential", operation.name());
            let client = world.gateway.caller(credential);
            let (theirs, nobodys) = match operation.kind() {
                // a model is nobody's; what a credential may not name is in `privileges`
                None | Some(Kind::Model | Kind::Record) => (String::new(), None),
                Some(kind) => (world.id(&world.b, kind), Some(world.nobodys(kind))),
            };
            let to_theirs = call(&client, operation, &world.a.tenant.id, &theirs);
            holds_nothing_of(&world.b, &to_theirs, &theirs, &what);
            assert!(to_theirs.status < 500, "{what}: {to_theirs:?}");
            let Some(nobodys) = nobodys else { continue };
            let to_nobodys = call(&client, operation, &world.a.tenant.id, &nobodys);
            assert_eq!(
                face(&to_theirs, &theirs),
                face(&to_nobodys, &nobodys),
                "{what}"
            );
            if !operation.lenient {
                assert!(
                    matches!(to_theirs.status, 403 | 404),
                    "{what}: {to_theirs:?}"
                );
                // not only alike once what was said is taken out: alike to the byte
                assert_eq!(to_theirs.face(), to_nobodys.face(), "{what}");
            }
            compared += 1;
        }
    }
    assert!(compared >= 30, "only {compared} comparisons");
    assert_eq!(
        world.holdings_of_b(),
        before,
        "A's calls changed something of B's"
    );
}

#[test]
fn ones_own_names_work_where_anothers_do_not() {
    let world = World::new();
    let a = &world.a;
    let (application, steward) = (
        a.tenant.app(&world.gateway),
        a.tenant.steward(&world.gateway),
    );
    for operation in OPERATIONS
        .iter()
        .filter(|operation| operation.is_for() == For::Tenant)
    {
        // pinning an issuer as a steward takes a token of a running issuer; the compartment's own tests do that
        if operation.name() == "PUT /tenant/v1/issuers/{id}" {
            continue;
        }
        let own = operation.kind().map(|kind| match (operation.path, kind) {
            ("/v1/embeddings", _) => "vectors".to_owned(),
            (_, Kind::Model) => "free".to_owned(),
            (_, kind) => world.id(a, kind),
        });
        let uses_models =
            operation.path.starts_with("/v1/") || operation.path == "/tenant/v1/sessions";
        let client = if uses_models { &application } else { &steward };
        let answer = call(client, operation, &a.tenant.id, &own.unwrap_or_default());
        assert!(
            (200..300).contains(&answer.status),
            "{}: {} {}",
            operation.name(),
            answer.status,
            answer.text()
        );
    }
}

#[test]
fn the_operator_finds_nothing_of_one_tenant_under_another() {
    let world = World::new();
    let before = world.holdings_of_b();
    let operator = world.gateway.operator();
    let mut compared = 0;
    for operation in OPERATIONS
        .iter()
        .filter(|operation| operation.is_for() == For::Operator)
    {
        let Names::Path(kind) = operation.names else {
            continue;
        };
        let (theirs, nobodys) = (world.id(&world.b, kind), world.nobodys(kind));
        let to_theirs = call(&operator, operation, &world.a.tenant.id, &theirs);
        let to_nobodys = call(&operator, operation, &world.a.tenant.id, &nobodys);
        assert_eq!(
            face(&to_theirs, &theirs),
            face(&to_nobodys, &nobodys),
            "{}",
            operation.name()
        );
        if !operation.lenient {
            assert_eq!(to_theirs.status, 404, "{}: {to_theirs:?}", operation.name());
        }
        holds_nothing_of(&world.b, &to_theirs, &theirs, &operation.name());
        compared += 1;
    }
    assert!(compared >= 5, "only {compared} comparisons");
    assert_eq!(world.holdings_of_b(), before);
}

#[test]
fn no_tenants_credential_opens_the_control_plane_and_no_operators_the_data_plane() {
    let world = World::new();
    let before = world.holdings_of_b();
    let stranger = neighbour(&world.a.tenant.app_key);
    for operation in OPERATIONS {
        let id = operation
            .kind()
            .map(|kind| world.id(&world.a, kind))
            .unwrap_or_default();
        let tenant = &world.a.tenant.id;
        let (plane, strangers): (_, Vec<&str>) = match operation.is_for() {
            For::Anybody => continue,
            For::Operator => {
                let tenants = world
                    .a
                    .credentials()
                    .into_iter()
                    .chain(world.b.credentials());
                (
                    &world.gateway.control_plane,
                    tenants.map(|(_, credential)| credential).collect(),
                )
            }
            For::Tenant => (
                &world.gateway.data_plane,
                vec![world.gateway.operator_key()],
            ),
        };
        let unknown = call(&Client::new(plane, &stranger), operation, tenant, &id);
        assert_eq!(unknown.status, 401, "{}: {unknown:?}", operation.name());
        for credential in strangers {
            let answer = call(&Client::new(plane, credential), operation, tenant, &id);
            assert_eq!(answer.face(), unknown.face(), "{}", operation.name());
        }
    }
    assert_eq!(world.holdings_of_b(), before);
}

#[test]
fn what_needs_no_credential_says_nothing_of_any_tenant() {
    let world = World::new();
    for operation in OPERATIONS
        .iter()
        .filter(|operation| operation.is_for() == For::Anybody)
    {
        let answer = call(
            &Client::new(&world.gateway.control_plane, "none"),
            operation,
            "",
            "",
        );
        assert_eq!(answer.status, 200, "{}: {answer:?}", operation.name());
        for owner in [&world.a, &world.b] {
            holds_nothing_of(owner, &answer, "", &operation.name());
        }
        let moved = call(
            &Client::new(&world.gateway.data_plane, "none"),
            operation,
            "",
            "",
        );
        assert_eq!(moved.status, 404, "{} on the data plane", operation.name());
    }
}

#[test]
fn lists_hold_ones_own_things_and_nothing_else() {
    let world = World::new();
    for (owner, other) in [(&world.a, &world.b), (&world.b, &world.a)] {
        let steward = owner.tenant.steward(&world.gateway);
        for (path, own) in [
            ("/tenant/v1/keys", &owner.key),
            ("/tenant/v1/keys?limit=1000", &owner.tenant.app_key_id),
            ("/tenant/v1/issuers", &owner.issuer),
            ("/tenant/v1/usage?by=each", &owner.tenant.app_key_id),
            ("/tenant/v1/journal/records?limit=1000", &owner.call),
            ("/tenant/v1/journal/export", &owner.call),
        ] {
            let answer = steward.get(path);
            assert!(
                answer.text().contains(own.as_str()),
                "{path} lacks {own}: {}",
                answer.text()
            );
            holds_nothing_of(other, &answer, "", path);
        }
    }
}
