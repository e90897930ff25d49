//! What every back end has to keep. It goes through what the rest of the crate calls and through nothing else, so that
//! a second back end runs the same tests.

use jiff::civil::date;
use policy::{Nanos, Scope, Spend, Window};

use super::postgres::server;
use super::*;
use crate::id::{ApiKeyId, IssuerId};
use crate::store::calls::{CallEnd, CallRow};
use crate::store::embedded::DeploymentFile;
use crate::store::keys::KeyRow;
use crate::store::{ClaimPlace, Deployment, TenantRow, TenantState};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn write<T: Send + 'static>(
    db: &TenantDb,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
) -> T {
    db.submit(work).unwrap().wait().unwrap()
}

#[test]
fn the_embedded_store_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    tenant_contract(&open(folder.path(), &scribes));
    deployment_contract(&DeploymentFile::open(&folder.path().join("deployment.db")).unwrap());
}

#[test]
fn the_postgres_store_keeps_the_contract() {
    let Some(server) = server::server() else {
        return;
    };
    let database = server.database();
    let ground = super::postgres::take(&database).unwrap();
    deployment_contract(&*ground.deployment().unwrap());
    let tenants = ground.tenants().unwrap();
    tenant_contract(&tenants.create(TENANT, Box::new(|_| Ok(()))).unwrap());
}

fn tenant_contract(db: &TenantDb) {
    keys_are_changed_and_never_lost(db);
    issuers_and_limits_are_replaced(db);
    a_call_is_settled_once(db);
    sums_add_up(db);
    records_are_numbered_without_a_gap(db);
}

fn keys_are_changed_and_never_lost(db: &TenantDb) {
    let key = |n: u8| KeyRow {
        id: ApiKeyId::from_bytes([n; 16]),
        hash: [n; 32],
        sealed: vec![n; 5],
        created: at(0),
        expires: None,
        revoked: None,
    };
    let shown = |rows: Vec<KeyRow>| {
        rows.iter()
            .map(|row| (row.id, row.revoked))
            .collect::<Vec<_>>()
    };
    write(db, move |t| {
        t.insert_key(&key(2)).and_then(|()| t.insert_key(&key(1)))
    });
    assert!(
        db.submit(move |t| t.insert_key(&key(1)))
            .unwrap()
            .wait()
            .is_err()
    );
    write(db, move |t| {
        t.update_key(&KeyRow {
            revoked: Some(at(9)),
            sealed: vec![],
            ..key(1)
        })
    });
    let (one, two) = (key(1).id, key(2).id);
    assert_eq!(
        shown(db.read_now(|c| c.keys(None, 9)).unwrap()),
        [(one, Some(at(9))), (two, None)]
    );
    assert_eq!(
        shown(db.read_now(|c| c.keys(None, 1)).unwrap()),
        [(one, Some(at(9)))]
    );
    assert_eq!(
        shown(db.read_now(|c| c.keys(Some(one), 9)).unwrap()),
        [(two, None)]
    );
    assert_eq!(
        shown(db.read_now(|c| c.live_keys()).unwrap()),
        [(two, None)]
    );
    let read = db.read_now(|c| c.key(&one)).unwrap().unwrap();
    assert_eq!(
        (read.hash, read.sealed, read.created),
        ([1; 32], vec![], at(0))
    );
    assert!(db.read_now(|c| c.key(&key(3).id)).unwrap().is_none());
}

fn issuers_and_limits_are_replaced(db: &TenantDb) {
    let id = IssuerId::from_bytes([5; 16]);
    for sealed in [b"first", b"other"] {
        write(db, move |t| {
            t.put_issuer(&id, sealed, at(0))
                .and_then(|()| t.put_limits("steward", sealed))
        });
    }
    assert_eq!(
        db.read_now(|c| c.issuers()).unwrap(),
        [(id, b"other".to_vec())]
    );
    assert_eq!(
        db.read_now(|c| c.limits("steward")).unwrap().unwrap(),
        b"other"
    );
    assert_eq!(db.read_now(|c| c.limits("operator")).unwrap(), None);
    write(db, move |t| t.remove_issuer(&id));
    assert_eq!(db.read_now(|c| c.issuers()).unwrap(), []);
}

fn call(n: u8) -> CallRow {
    CallRow {
        id: CallId::from_bytes([n; 16]),
        credential: "key_1".to_owned(),
        subject: Some([9; 16]),
        session: None,
        route: "/v1/embeddings".to_owned(),
        model: "small".to_owned(),
        upstream: "cell".to_owned(),
        started: at(i64::from(n)),
        bound_input: 10,
        bound_output: 20,
        reserved: 30,
        end: None,
    }
}

fn end(seconds: i64) -> CallEnd {
    CallEnd {
        at: at(seconds),
        outcome: Outcome::Completed,
        basis: Basis::Measured,
        status: 200,
        input: 10,
        cached_input: 4,
        output: 3,
        cost: 11,
    }
}

fn start(db: &TenantDb, n: u8, model: &str) {
    let started = at(i64::from(n));
    begin(db, begins(call(n).id, model, 30, started), started);
}

fn a_call_is_settled_once(db: &TenantDb) {
    start(db, 1, "small");
    start(db, 2, "small");
    bring_in(db);
    let read = |n| db.read_now(|c| c.call(&call(n).id)).unwrap();
    let open = |limit| db.read_now(|c| c.open_calls(limit)).unwrap();
    assert_eq!(read(1), Some(call(1)));
    assert_eq!(open(9), [call(1), call(2)]);
    assert_eq!(open(1), [call(1)]);
    db.note_last(ends(call(1).id, 11), at(5));
    bring_in(db);
    // whoever comes second, in the file or in the same transaction, and whoever never began, changes nothing
    db.note_last(ends(call(1).id, 99), at(6));
    db.note_last(ends(call(7).id, 99), at(6));
    start(db, 3, "small");
    db.note_last(ends(call(3).id, 11), at(6));
    db.note_last(ends(call(3).id, 99), at(6));
    bring_in(db);
    let settled = |n, seconds| {
        let end = Some(end(seconds));
        Some(CallRow { end, ..call(n) })
    };
    assert_eq!(
        (read(1), read(3), read(7)),
        (settled(1, 5), settled(3, 6), None)
    );
    assert_eq!(open(9), [call(2)]);
}

fn sums_add_up(db: &TenantDb) {
    const DAY: i64 = 86_400;
    for n in 10..13 {
        start(db, n, "large");
        // one of them brought in while it is open
        if n == 11 {
            bring_in(db);
        }
    }
    for n in [10, 12, 11] {
        db.note_last(ends(call(n).id, 11), at(DAY * i64::from(n % 2) + 60));
    }
    bring_in(db);
    let used = |from, to, limit| {
        let sums = db.read_now(|c| c.usage(from, to, limit)).unwrap();
        sums.into_iter()
            .map(|sum| (sum.day, sum.model, sum.calls, sum.cached_input, sum.cost))
            .collect::<Vec<_>>()
    };
    let (first, second) = (date(2027, 1, 15), date(2027, 1, 16));
    let large = |day, calls| (day, "large".to_owned(), calls, 4 * calls, 11 * calls);
    let small = (first, "small".to_owned(), 2, 8, 22);
    assert_eq!(
        used(first, second, 9),
        [large(first, 2), small, large(second, 1)]
    );
    assert_eq!(used(second, second, 9), [large(second, 1)]);
    assert_eq!(used(first, second, 1), [large(first, 2)]);

    let [day, month, total] = Window::all_at(at(0));
    let amount = |nanos| Nanos::new(nanos).unwrap();
    let spent = |window| {
        db.read_now(|c| spends(c, &[(Scope::Tenant, window)]))
            .unwrap()[0]
            .amount
    };
    for (window, nanos) in [
        (day, 5),
        (month, 6),
        (day, 7),
        (total, i64::MAX.unsigned_abs()),
        (total, 1),
    ] {
        let spend = Spend {
            scope: Scope::Tenant,
            window,
            amount: amount(nanos),
        };
        write(db, move |t| t.add_spends(&[spend]));
    }
    assert_eq!(
        (spent(day), spent(month), spent(total)),
        // five calls before, all of which began on the first day
        (amount(55 + 12), amount(55 + 6), Nanos::MAX)
    );
    let scopes = [
        Scope::Key("key_1".into()),
        Scope::Subject("09".repeat(16).into()),
        Scope::Model("large".into()),
    ];
    let spent_by: Vec<_> = scopes
        .iter()
        .map(|scope| {
            db.read_now(|c| spends(c, &[(scope.clone(), total)]))
                .unwrap()[0]
                .amount
        })
        .collect();
    assert_eq!(spent_by, [amount(55), amount(55), amount(33)]);
    let other = db
        .read_now(|c| spends(c, &[(Scope::Key("key_9".into()), day)]))
        .unwrap();
    assert_eq!(other[0].amount, Nanos::ZERO);
}

fn records_are_numbered_without_a_gap(db: &TenantDb) {
    let before = size(db);
    for n in 0..5 {
        assert_eq!(append(db), Ok(before + n));
        let _ = db
            .submit(|t| {
                t.append(record(), now())
                    .and(Err::<(), _>(StoreError::Closed))
            })
            .unwrap()
            .wait();
    }
    assert_eq!(size(db), before + 5);
    let page = db
        .read_now(|c| c.records(before + 1, before + 4, 2))
        .unwrap();
    assert_eq!(page.len(), 2);
    for (seq, stored) in (before + 1..).zip(page) {
        assert_eq!(evidence::Record::parse(&stored.body).unwrap().seq(), seq);
        assert_eq!(evidence::leaf_hash(&stored.body), stored.leaf().unwrap());
    }
    // a clock that is set back does not set back the journal
    let time = |seq| {
        let stored = db.read_now(|c| c.record(seq)).unwrap().unwrap();
        evidence::Record::parse(&stored.body).unwrap().time()
    };
    let late = at(90 * 86_400);
    write(db, move |t| t.append(record(), late));
    write(db, |t| t.append(record(), now()));
    start(db, 50, "small");
    bring_in(db);
    assert_eq!(
        [before + 5, before + 6, before + 7].map(time),
        [late, late, late]
    );
}

fn deployment_contract(db: &dyn Deployment) {
    let row = |n: u8| TenantRow {
        id: TenantId::from_bytes([n; 16]),
        state: TenantState::Active,
        created: at(0),
        name_index: [n; 32],
        sealed_name: vec![n],
    };
    for n in [2, 1, 3] {
        db.add_tenant(&row(n)).unwrap();
    }
    assert!(
        db.add_tenant(&TenantRow {
            name_index: [1; 32],
            ..row(4)
        })
        .is_err()
    );
    let ids = |after: Option<&TenantId>, limit| {
        db.tenants(after, limit)
            .unwrap()
            .iter()
            .map(|row| row.id)
            .collect::<Vec<_>>()
    };
    let (one, two, three) = (row(1).id, row(2).id, row(3).id);
    assert_eq!(ids(None, 2), [one, two]);
    assert_eq!(ids(Some(&two), 2), [three]);
    assert_eq!(db.tenant_named(&[3; 32]).unwrap().unwrap().id, three);
    db.set_state(&two, TenantState::Suspended).unwrap();
    assert_eq!(
        db.tenant(&two).unwrap().unwrap().state,
        TenantState::Suspended
    );
    assert!(db.tenant(&row(9).id).unwrap().is_none());

    let key = ApiKeyId::from_bytes([6; 16]);
    db.add_key(&key, &one).unwrap();
    assert!(db.add_key(&key, &two).is_err());
    assert_eq!(db.tenant_of_key(&key).unwrap(), Some(one));

    let (issuer, claim) = (IssuerId::from_bytes([7; 16]), |value| ClaimPlace {
        token_issuer: [1; 32],
        name: [2; 32],
        value,
    });
    assert!(db.add_claim(&claim([8; 32]), &one, &issuer).unwrap());
    assert!(db.add_claim(&claim([8; 32]), &one, &issuer).unwrap());
    assert!(!db.add_claim(&claim([8; 32]), &two, &issuer).unwrap());
    assert_eq!(db.tenant_of_claim(&[8; 32]).unwrap(), Some((one, issuer)));
    db.remove_claims(&one, &issuer, None).unwrap();
    assert_eq!(db.tenant_of_claim(&[8; 32]).unwrap(), None);

    heads_are_logged_and_proved(db, one);
}

fn heads_are_logged_and_proved(db: &dyn Deployment, tenant: TenantId) {
    let keys = signing_keys();
    let head = |size| {
        keys.head(&journal::SignedHead {
            size,
            root: evidence::leaf_hash(b"root"),
            time: now(),
        })
    };
    let log = |sizes: &[u64]| {
        let heads: Vec<_> = sizes.iter().map(|size| (tenant, head(*size))).collect();
        db.append_heads(&heads, now(), &|size, root| keys.sign(size, root, now()))
            .unwrap();
    };
    log(&[3, 5]);
    log(&[9]);
    let refused = db.append_heads(&[(tenant, head(10))], now(), &|_, _| {
        Err(evidence::Error::ProofFailed)
    });
    assert!(refused.is_err());
    let (size, note) = db.checkpoint().unwrap().unwrap();
    let signed = evidence::Checkpoint::parse_verify(note.as_bytes(), keys.vkey()).unwrap();
    assert_eq!((size, signed.size()), (3, 3));
    for (asked, found) in [
        (2, None),
        (3, Some(3)),
        (4, Some(3)),
        (8, Some(5)),
        (100, Some(9)),
    ] {
        let logged = db.head(&tenant, asked, size).unwrap();
        assert_eq!(logged.as_ref().map(|logged| logged.size), found, "{asked}");
        if let Some(logged) = logged {
            let leaf = evidence::leaf_hash(&logged.body);
            evidence::log::verify_inclusion(
                size,
                signed.root(),
                logged.seq,
                leaf,
                &logged.inclusion,
            )
            .unwrap();
        }
    }
}
