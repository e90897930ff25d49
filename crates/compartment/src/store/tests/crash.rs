//! A process that is killed, at moments that it does not choose.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use policy::{Scope, Window};

use super::*;
use crate::store::Log;

const KILLS: u32 = 24;
const RESERVED: u64 = 1000;
const COST: u64 = 10;
const CHILD: &str = "COFFERDAM_STORE_CHILD";

/// Opens what the last one left, as the house does.
fn recovered(folder: &Path, scribes: &Scribes) -> TenantDb {
    let check = |log: &dyn Log| journal::check(log, signing_keys().vkey());
    let resume = Box::new(|t: &Transaction<'_>| journal::resume(t, 0, now()));
    let db = match TenantFile::open(folder, TENANT, scribes, &check, resume) {
        // the first one, or one that was killed before it made the file
        Err(StoreError::Missing) => create(folder, scribes),
        opened => TenantDb::new(Arc::new(opened.unwrap())),
    };
    // as a round does: what is open is synced, and the segments of the last process go
    scribes.log().turned().unwrap();
    db
}

/// The child of [`what_was_recorded_survives_a_killed_process`]: makes calls and prints what is recorded of each, until
/// it is killed.
#[tokio::test]
async fn child_that_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    let (scribes, db) = tokio::task::spawn_blocking(move || {
        let scribes = scribes_in(folder.as_ref(), 2);
        let db = recovered(folder.as_ref(), &scribes);
        (scribes, db)
    })
    .await
    .unwrap();
    println!("opened");
    for round in 0_u64.. {
        let calls: Vec<_> = (0..7).map(|_| CallId::mint(now()).unwrap()).collect();
        for &call in &calls {
            begin(&db, begins(call, "small", RESERVED, now()), now());
            println!("begun {call}");
        }
        // one call is still open whenever it dies
        for &call in calls.iter().skip(1) {
            db.note_last(ends(call, COST), now());
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
    let scribes = scribes_in(folder, 1);
    let db = recovered(folder, &scribes);
    let row = |id: &CallId| {
        db.read_now(|c| c.call(id))
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
    let used = db.read_now(|c| c.usage(day, day, 10)).unwrap();
    let used = used
        .iter()
        .fold((0, 0), |sum, used| (sum.0 + used.calls, sum.1 + used.cost));
    let spent = db
        .read_now(|c| spends(c, &[(Scope::Tenant, Window::Total)]))
        .unwrap();
    assert_eq!((used.0, u128::from(used.1)), (sums.calls, sums.cost_nanos));
    assert_eq!(u128::from(spent[0].amount.get()), sums.cost_nanos);
    assert_eq!(
        sums.cost_nanos,
        u128::from(sums.at_bound * RESERVED + (sums.calls - sums.at_bound) * COST)
    );
}
