//! What only a database behind a network has to keep: walls between tenants that it raises itself, one process that serves,
//! and calls that neither get lost nor counted twice when the server goes away.

#[path = "../../../tests/postgres/mod.rs"]
pub(super) mod server;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use policy::{Scope, Window};

use super::*;
use crate::store::{Engine, Ground, Log, PostgresAddress, Tenants};
use server::{Database, Server, own_server};

pub(super) fn address(database: &Database) -> PostgresAddress {
    PostgresAddress::parse(&database.address, Some(server::PASSWORD)).unwrap()
}

/// Takes the database as a house does.
pub(super) fn take(database: &Database) -> Result<Ground, StoreError> {
    let engine = Engine::Postgres(address(database));
    Ground::take(&engine, Path::new("/nowhere"))
}

pub(super) struct Open {
    ground: Ground,
    tenants: Box<dyn Tenants>,
}

pub(super) fn open_store(database: &Database) -> Open {
    let ground = take(database).unwrap();
    // makes the deployment's own tables usable, as a house does first
    ground.deployment().unwrap();
    let tenants = ground.tenants().unwrap();
    Open { ground, tenants }
}

impl Open {
    pub(super) fn tenant(&self, n: u8) -> TenantDb {
        let id = TenantId::from_bytes([n; 16]);
        let check = |log: &dyn Log| journal::check(log, signing_keys().vkey());
        let resume = Box::new(|t: &Transaction<'_>| journal::resume(t, 0, now()));
        match self.tenants.open(id, &check, resume) {
            Err(StoreError::Missing) => self.tenants.create(id, Box::new(|_| Ok(()))).unwrap(),
            opened => opened.unwrap(),
        }
    }
}

pub(super) fn call(n: u64) -> CallId {
    CallId::from_bytes(u128::from(n).to_be_bytes())
}

/// Waits for something that comes by itself.
pub(super) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The tables that hold tenants' rows.
const TENANTS_TABLES: [&str; 10] = [
    "journal",
    "record",
    "checkpoint",
    "api_key",
    "issuer",
    "limit_set",
    "vault",
    "call",
    "spend",
    "usage",
];

#[test]
fn a_transaction_reaches_the_rows_of_its_own_tenant_alone() {
    let Some(server) = server::server() else {
        return;
    };
    let database = server.database();
    let store = open_store(&database);
    for n in [1, 2] {
        let db = store.tenant(n);
        begin(&db, begins(call(u64::from(n)), "small", 30, now()), now());
        db.note_last(ends(call(u64::from(n)), 7), now());
        db.submit(move |t| {
            t.append(record(), now())?;
            t.put_limits("steward", &[n])?;
            t.put_issuer(&crate::id::IssuerId::from_bytes([n; 16]), &[n], now())?;
            t.put_vault(
                &crate::vault::Sealed {
                    place: [n; 32],
                    version: 1,
                    sealed: vec![n],
                },
                now(),
            )?;
            t.insert_key(&crate::store::keys::KeyRow {
                id: crate::id::ApiKeyId::from_bytes([n; 16]),
                hash: [n; 32],
                sealed: vec![n],
                created: now(),
                expires: None,
                revoked: None,
            })
        })
        .unwrap()
        .wait()
        .unwrap();
        sign(&db);
    }
    // the gateway's own role, with statements that name no tenant or the wrong one
    let mut client = address(&database).connect().unwrap();
    let one = hex::encode([1; 16]);
    for table in TENANTS_TABLES {
        let count = |client: &mut ::postgres::Client, which: &str| {
            let sql = format!("SELECT count(*) FROM {table} {which}");
            client.query_one(&sql, &[]).unwrap().get::<_, i64>(0)
        };
        assert_eq!(count(&mut client, ""), 0, "{table} without a tenant");
        client
            .batch_execute(&format!("BEGIN; SET LOCAL cofferdam.tenant = '{one}'"))
            .unwrap();
        let own = count(&mut client, "");
        assert!(own > 0, "{table} is empty");
        assert_eq!(
            count(&mut client, &format!("WHERE tenant = '\\x{one}'")),
            own,
            "{table} shows another's"
        );
        let other = format!("'\\x{}'", hex::encode([2; 16]));
        assert_eq!(count(&mut client, &format!("WHERE tenant = {other}")), 0);
        let touched = client
            .execute(&format!("DELETE FROM {table} WHERE tenant = {other}"), &[])
            .unwrap();
        assert_eq!(touched, 0, "{table}");
        let given_away = client.execute(&format!("UPDATE {table} SET tenant = {other}"), &[]);
        assert!(given_away.is_err(), "{table} gives rows away");
        client.batch_execute("ROLLBACK").unwrap();
    }
    // a table that somebody adds later is either listed here or has no tenant's rows
    let with_a_tenant: i64 = client
        .query_one(
            "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'cofferdam' \
             AND column_name = 'tenant' AND table_name NOT IN ('key_place', 'claim_place', 'head')",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(with_a_tenant, TENANTS_TABLES.len() as i64);
    let forced: i64 = client
        .query_one(
            "SELECT count(*) FROM pg_class WHERE relrowsecurity AND relforcerowsecurity",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(forced, TENANTS_TABLES.len() as i64);
}

#[test]
fn a_role_that_could_see_every_row_is_refused() {
    let Some(server) = server::server() else {
        return;
    };
    for right in ["BYPASSRLS", "SUPERUSER"] {
        let database = server.database();
        let granted = server
            .admin(&database.name)
            .batch_execute(&format!("ALTER ROLE {} {right}", database.name));
        if granted.is_err() {
            eprintln!("SKIPPED: the administrator of this server may not give {right}");
            continue;
        }
        assert_eq!(
            take(&database).err(),
            Some(StoreError::MightyRole),
            "{right}"
        );
    }
}

#[test]
fn one_process_serves_at_a_time_and_the_next_one_takes_over_whole() {
    let Some(server) = server::server() else {
        return;
    };
    let database = server.database();
    let first = open_store(&database);
    let db = first.tenant(1);
    assert_eq!(append(&db), Ok(0));
    assert_eq!(take(&database).err(), Some(StoreError::InUse));
    assert_eq!(append(&db), Ok(1));
    drop((db, first));
    let second = open_store(&database);
    assert_eq!(append(&second.tenant(1)), Ok(2));
}

#[test]
fn a_process_that_lost_its_session_writes_nothing_once_another_serves() {
    let Some(server) = server::server() else {
        return;
    };
    let database = server.database();
    let first = open_store(&database);
    let old = first.tenant(1);
    assert_eq!(append(&old), Ok(0));
    // another one has taken the deployment, and the first does not know it yet
    let mut client = address(&database).connect().unwrap();
    client
        .execute("UPDATE serving SET epoch = epoch + 1", &[])
        .unwrap();
    assert_eq!(append(&old), Err(StoreError::Overtaken));
    assert!(first.ground.deployment().is_err());
    // nor does it go on where the journal is not the one it knows
    assert_eq!(append(&old), Err(StoreError::Overtaken));
    assert_eq!(size(&old), 1);
}

#[test]
fn a_lost_session_is_taken_again_and_refuses_until_then() {
    let Some(server) = server::server() else {
        return;
    };
    let database = server.database();
    let store = open_store(&database);
    let db = store.tenant(1);
    assert_eq!(append(&db), Ok(0));
    cut(server, &database);
    serves_again(server, &database, &db);
    sign(&db);
    assert_eq!(verify(&db).records, size(&db));
}

/// Ends every session of the database.
fn cut(server: &Server, database: &Database) {
    server
        .admin(&database.name)
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
            &[&database.name],
        )
        .unwrap();
}

/// Waits until the process has noticed that it was cut off, has the lock again, and takes writes.
fn serves_again(server: &Server, database: &Database, db: &TenantDb) {
    until("the lock is held again", || server.is_served(database));
    until("writes are taken again", || append(db).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_together_are_one_transaction() {
    let Some(server) = tokio::task::block_in_place(server::server) else {
        return;
    };
    let (database, store, db) = tokio::task::block_in_place(|| {
        let database = server.database();
        let store = open_store(&database);
        let db = store.tenant(1);
        (database, store, db)
    });
    let (go, held) = tokio::task::block_in_place(|| hold(&db));
    let mut noted: Vec<_> = (0..500)
        .map(|n| {
            db.note_first(begins(call(n), "small", 30, now()), now())
                .unwrap()
        })
        .collect();
    go.send(()).unwrap();
    for noted in &mut noted {
        assert_eq!(noted.recorded().await, Ok(()));
        assert_eq!(noted.durable().await, Ok(()));
    }
    tokio::task::block_in_place(|| {
        held.wait().unwrap();
        let transactions: i64 = address(&database)
            .connect()
            .unwrap()
            .query_one(
                "SELECT count(DISTINCT xmin::text) FROM (SELECT set_config('cofferdam.tenant', $1, false)) AS own, record",
                &[&hex::encode([1; 16])],
            )
            .unwrap()
            .get(0);
        assert_eq!((transactions, size(&db)), (1, 500));
        drop((db, store));
    });
}

#[test]
fn a_server_that_crashes_refuses_calls_loses_none_and_recovers() {
    let Some(server) = own_server() else {
        return;
    };
    let database = server.database();
    let store = open_store(&database);
    let db = store.tenant(1);
    for n in 0..5 {
        begin(&db, begins(call(n), "small", 30, now()), now());
    }
    bring_in(&db);
    server.crash();
    // calls go on ending, and none begins
    for n in 0..5 {
        db.note_last(ends(call(n), 7), now());
    }
    let refused = || {
        db.note_first(begins(call(9), "small", 30, now()), now())
            .err()
    };
    until("calls are refused", || {
        refused() == Some(StoreError::Unreachable)
    });
    assert_eq!(append(&db), Err(StoreError::Unreachable));
    server.go();
    serves_again(&server, &database, &db);
    sign(&db);
    let report = verify(&db);
    let sums = report.models.values().next().copied().unwrap();
    assert_eq!((sums.calls, sums.cost_nanos), (5, 35));
    let spent = db
        .read_now(|c| spends(c, &[(Scope::Tenant, Window::Total)]))
        .unwrap();
    assert_eq!(spent[0].amount.get(), 35);
}

#[test]
fn calls_are_counted_once_whenever_their_connections_are_cut() {
    const CALLS: u64 = 400;
    let Some(server) = server::server() else {
        return;
    };
    let database = server.database();
    let store = open_store(&database);
    let db = store.tenant(1);
    let mut begun = 0;
    for n in 0..CALLS {
        if n % 20 == 7 {
            cut(server, &database);
        }
        // one that is not noted was not made
        if db
            .note_first(begins(call(n), "small", 30, now()), now())
            .is_ok()
        {
            begun += 1;
            db.note_last(ends(call(n), 7), now());
        } else {
            until("calls begin again", || append(&db).is_ok());
        }
    }
    serves_again(server, &database, &db);
    sign(&db);
    let sums = verify(&db).models.values().next().copied().unwrap();
    let spent = db
        .read_now(|c| spends(c, &[(Scope::Tenant, Window::Total)]))
        .unwrap();
    assert_eq!(
        (sums.calls, sums.cost_nanos, spent[0].amount.get()),
        (begun, u128::from(begun * 7), begun * 7)
    );
    db.read_now(|c| journal::check(c, signing_keys().vkey()))
        .unwrap();
}

const CHILD: &str = "COFFERDAM_STORE_CHILD_POSTGRES";

/// The child of [`what_was_recorded_in_postgres_survives_a_killed_process`].
#[tokio::test(flavor = "multi_thread")]
async fn child_on_postgres_that_is_killed() {
    let Ok(address) = std::env::var(CHILD) else {
        return;
    };
    let database = Database {
        address,
        name: String::new(),
    };
    let (_store, db) = tokio::task::block_in_place(|| {
        let store = open_store(&database);
        let db = store.tenant(1);
        (store, db)
    });
    println!("opened");
    loop {
        let calls: Vec<_> = (0..7).map(|_| CallId::mint(now()).unwrap()).collect();
        let mut noted: Vec<_> = calls
            .iter()
            .map(|call| {
                db.note_first(begins(*call, "small", 1000, now()), now())
                    .unwrap()
            })
            .collect();
        for (call, noted) in calls.iter().zip(&mut noted) {
            noted.recorded().await.unwrap();
            println!("begun {call}");
        }
        // one call is still open whenever it dies
        for &call in calls.iter().skip(1) {
            db.note_last(ends(call, 10), now());
        }
        db.bring_in().await.unwrap();
        for call in calls.iter().skip(1) {
            println!("ended {call}");
        }
    }
}

#[test]
fn what_was_recorded_in_postgres_survives_a_killed_process() {
    const KILLS: u32 = 8;
    let Some(server) = server::server() else {
        return;
    };
    let database = server.database();
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    for kill in 0..KILLS {
        let random = u64::from(crate::id::random::<1>().unwrap()[0]);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::tests::postgres::child_on_postgres_that_is_killed",
                "--nocapture",
            ])
            .env(CHILD, &database.address)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with("opened")));
        let killer = std::thread::spawn(move || {
            // the time is the test: it dies wherever it is by then
            std::thread::sleep(Duration::from_millis(5 + random));
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in lines {
            match line
                .split_once(' ')
                .map(|(word, id)| (word, CallId::parse(id)))
            {
                Some(("begun", Ok(id))) => begun.push(id),
                Some(("ended", Ok(id))) => ended.push(id),
                _ => {}
            }
        }
        killer.join().unwrap();
        if kill % 4 == 3 {
            let store = open_store(&database);
            let db = store.tenant(1);
            let row = |id: &CallId| db.read_now(|c| c.call(id)).unwrap().unwrap();
            assert!(begun.iter().all(|id| row(id).end.is_some()));
            for id in &ended {
                assert_eq!(row(id).end.unwrap().outcome, Outcome::Completed);
            }
            sign(&db);
            let report = verify(&db);
            let sums = report.models.values().next().copied().unwrap();
            let spent = db
                .read_now(|c| spends(c, &[(Scope::Tenant, Window::Total)]))
                .unwrap();
            assert_eq!((report.records, report.open_calls), (size(&db), 0));
            assert_eq!(u128::from(spent[0].amount.get()), sums.cost_nanos);
        }
    }
    assert!(
        ended.len() > 20,
        "{} calls in {KILLS} children",
        ended.len()
    );
}
