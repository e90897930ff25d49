//! A process that is killed, at moments that it does not choose.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use evidence::{Basis, CallIntent, CallSettled, Commitment, Hits, Id, Outcome};
use policy::{Nanos, Scope, Spend, Window};

use super::*;
use crate::id::CallId;
use crate::store::calls::{self, CallEnd, CallRow};
use crate::store::{Transaction, spend, usage};

const KILLS: u32 = 24;
const RESERVED: u64 = 1000;
const COST: u64 = 10;
const CHILD: &str = "COFFERDAM_STORE_CHILD";

fn begin(transaction: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    calls::insert(
        transaction,
        &CallRow {
            id: call,
            credential: "key_1".to_owned(),
            subject: Some([3; 16]),
            session: None,
            route: "/v1/chat/completions".to_owned(),
            model: "small".to_owned(),
            upstream: "cell".to_owned(),
            started: now(),
            bound_input: 70,
            bound_output: 30,
            reserved: RESERVED,
            end: None,
        },
    )?;
    let intent = CallIntent {
        call: Id::new(call.to_string())?,
        credential: Id::new("key_1")?,
        subject: None,
        session: None,
        route: Id::new("/v1/chat/completions")?,
        model: Id::new("small")?,
        upstream: Id::new("cell")?,
        policy: Id::new("no-rules/1")?,
        bound_input_tokens: 70,
        bound_output_tokens: 30,
        reserved_nanos: RESERVED,
        request_commitment: Commitment::from_bytes([0; 32]),
    };
    transaction
        .append(RecordKind::CallIntent(intent), now())
        .map(drop)
}

fn finish(transaction: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    let end = CallEnd {
        at: now(),
        outcome: Outcome::Completed,
        basis: Basis::Measured,
        status: 200,
        input: 7,
        cached_input: 0,
        output: 3,
        cost: COST,
    };
    assert!(calls::settle(transaction, &call, &end)?);
    let amount = Nanos::new(COST).unwrap();
    spend::add(
        transaction,
        &[Spend {
            scope: Scope::Tenant,
            window: Window::Total,
            amount,
        }],
    )?;
    let settled = CallSettled {
        call: Id::new(call.to_string())?,
        outcome: end.outcome,
        status: end.status,
        input_tokens: end.input,
        cached_input_tokens: 0,
        output_tokens: end.output,
        cost_nanos: end.cost,
        measured: end.basis,
        answer_commitment: None,
        findings: Hits::default(),
    };
    transaction
        .append(RecordKind::CallSettled(settled), now())
        .map(drop)
}

/// Opens what the last one left, as the house does.
fn recovered(folder: &Path, scribes: &Scribes) -> TenantDb {
    let resume = |t: &Transaction<'_>| journal::resume(t, signing_keys().vkey(), 0, now());
    match TenantDb::open(folder, scribes, resume) {
        // the first one, or one that was killed before it made the file
        Err(StoreError::Missing) => TenantDb::create(folder, scribes, |_| Ok(())).unwrap(),
        opened => opened.unwrap(),
    }
}

/// The child of [`what_was_recorded_survives_a_killed_process`]: makes calls and prints what is recorded of each, until
/// it is killed.
#[tokio::test]
async fn child_that_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    let (scribes, db) = tokio::task::spawn_blocking(move || {
        let scribes = Scribes::start(2).unwrap();
        let db = recovered(folder.as_ref(), &scribes);
        (scribes, db)
    })
    .await
    .unwrap();
    println!("opened");
    for round in 0_u64.. {
        let calls: Vec<_> = (0..7).map(|_| CallId::mint(now()).unwrap()).collect();
        let begun: Vec<_> = calls
            .iter()
            .map(|&call| (call, db.submit(move |t| begin(t, call)).unwrap()))
            .collect();
        for (call, mut ticket) in begun {
            ticket.recorded().await.unwrap();
            println!("begun {call}");
        }
        // one call is still open whenever it dies
        let ended: Vec<_> = calls
            .iter()
            .skip(1)
            .map(|&call| (call, db.submit(move |t| finish(t, call)).unwrap()))
            .collect();
        for (call, mut ticket) in ended {
            ticket.recorded().await.unwrap();
            println!("ended {call}");
        }
        if round.is_multiple_of(3) {
            let mut signed = db
                .submit(|t| journal::checkpoint(t, &signing_keys(), now()))
                .unwrap();
            signed.recorded().await.unwrap();
        }
    }
    drop(scribes);
}

/// What the children said was recorded, before they were killed.
#[derive(Default)]
struct Said {
    begun: Vec<CallId>,
    ended: Vec<CallId>,
}

impl Said {
    /// One child, killed after `millis`.
    fn child(&mut self, folder: &Path, millis: u64) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::tests::crash::child_that_is_killed",
                "--nocapture",
            ])
            .env(CHILD, folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        // the test runner writes its own words before ours
        assert!(
            lines.any(|line| line.ends_with("opened")),
            "the child did not open what the last one left"
        );
        let killer = std::thread::spawn(move || {
            // the time is the test: it dies wherever it is by then
            std::thread::sleep(Duration::from_millis(millis));
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in lines {
            // the last line may be cut
            match line
                .split_once(' ')
                .map(|(word, id)| (word, CallId::parse(id)))
            {
                Some(("begun", Ok(id))) => self.begun.push(id),
                Some(("ended", Ok(id))) => self.ended.push(id),
                _ => {}
            }
        }
        killer.join().unwrap();
    }
}

#[test]
fn what_was_recorded_survives_a_killed_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut said = Said::default();
    for kill in 0..KILLS {
        let random = u64::from(crate::id::random::<1>().unwrap()[0]);
        said.child(folder.path(), 1 + random % 60);
        if kill % 3 == 2 {
            look(folder.path(), &said);
        }
    }
    assert!(
        said.ended.len() > 100,
        "{} calls in {KILLS} children",
        said.ended.len()
    );
}

/// Opens what is left and holds it against what was said and against itself.
fn look(folder: &Path, said: &Said) {
    let scribes = Scribes::start(1).unwrap();
    let db = recovered(folder, &scribes);
    let row = |id: &CallId| {
        db.read_now(|c| calls::get(c, id))
            .unwrap()
            .expect("a call that was recorded is there")
    };
    for id in &said.begun {
        assert!(row(id).end.is_some(), "recovery settles what was open");
    }
    for id in &said.ended {
        assert_eq!(row(id).end.unwrap().outcome, Outcome::Completed);
    }
    sign(&db);
    db.read_now(|c| journal::check(c, signing_keys().vkey()))
        .unwrap();
    let report = verify(&db);
    assert_eq!((report.records, report.open_calls), (size(&db), 0));

    // the journal, the rows, the sums: three tellings of one story
    let sums = report.models.values().next().copied().unwrap_or_default();
    let today = Window::all_at(now());
    let Window::Day(day) = today[0] else {
        unreachable!()
    };
    let used = db.read_now(|c| usage::between(c, day, day, 10)).unwrap();
    let used = used
        .iter()
        .fold((0, 0), |sum, used| (sum.0 + used.calls, sum.1 + used.cost));
    let spent = db
        .read_now(|c| spend::get(c, &[(Scope::Tenant, Window::Total)]))
        .unwrap();
    assert_eq!((used.0, u128::from(used.1)), (sums.calls, sums.cost_nanos));
    assert_eq!(u128::from(spent[0].amount.get()), sums.cost_nanos);
    assert_eq!(
        sums.cost_nanos,
        u128::from(sums.at_bound * RESERVED + (sums.calls - sums.at_bound) * COST)
    );
}
