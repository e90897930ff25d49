//! Postgres: one schema for all tenants, a tenant column in every table of theirs, and the server holds every row against
//! the tenant that the transaction is of. One process serves at a time.

mod address;
mod deployment;
mod desk;
mod fault;
mod guard;
mod journal;
mod open;
mod pool;
mod schema;
mod tables;
mod tenant;

pub use address::PostgresAddress;
pub(super) use deployment::DeploymentTables;

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use postgres::Client;

use super::StoreError;
use super::line::Line;
use super::tenant::{Check, First, TenantDb, Tenants};
use crate::id::TenantId;
use desk::Desk;
use guard::Guard;
pub(super) use open::Database;
use open::Purpose;
use pool::Pool;
use tenant::TenantRows;

/// Threads that write. Each waits for the server most of the time, so there are more than processors.
const SCRIBES: usize = 8;
/// Connections besides the one that holds the lock: one for each thread that writes, as many again for readers.
const CONNECTIONS: usize = 2 * SCRIBES;

/// Takes the database for this process and brings it to the present schema. Blocks.
///
/// # Errors
///
/// [`StoreError::InUse`] where another process has it; [`StoreError::MightyRole`] where row-level security would not hold;
/// faults of the database.
pub(in crate::store) fn take(address: &PostgresAddress) -> Result<Database, StoreError> {
    let mut session = Guard::lock(address)?;
    check_role(&mut session)?;
    schema::migrate(&mut session)?;
    Ok(Database {
        guard: Arc::new(Guard::serve(address.clone(), session)?),
        pool: Pool::new(address.clone(), CONNECTIONS),
    })
}

/// Superusers and roles with BYPASSRLS see every row, whatever the policies say (PostgreSQL, "Row Security Policies").
fn check_role(session: &mut Client) -> Result<(), StoreError> {
    let row = session.query_one(
        "SELECT bool_or(rolsuper OR rolbypassrls) FROM pg_roles \
         WHERE rolname IN (current_user, session_user) OR pg_has_role(session_user, oid, 'MEMBER')",
        &[],
    )?;
    if row.try_get(0)? {
        Err(StoreError::MightyRole)
    } else {
        Ok(())
    }
}

/// The tenants of a database, and the threads that write.
pub(in crate::store) struct TenantTables {
    database: Database,
    line: Arc<Line<Desk>>,
    open: Mutex<Vec<Weak<Desk>>>,
    writing: Vec<JoinHandle<()>>,
}

impl TenantTables {
    /// Starts the threads that write.
    ///
    /// # Errors
    ///
    /// What the system says of starting threads.
    pub(in crate::store) fn open(database: Database) -> Result<Self, StoreError> {
        // dropped on an early return, it ends the threads that did start
        let mut this = Self {
            database,
            line: Arc::default(),
            open: Mutex::default(),
            writing: Vec::new(),
        };
        for n in 0..SCRIBES {
            let line = Arc::clone(&this.line);
            this.writing.push(
                std::thread::Builder::new()
                    .name(format!("write-{n}"))
                    .spawn(move || line.serve(Desk::write))?,
            );
        }
        Ok(this)
    }

    fn opened(&self, rows: TenantRows) -> TenantDb {
        let mut open = self.open.lock();
        open.retain(|desk| desk.strong_count() > 0);
        open.push(Arc::downgrade(rows.desk()));
        drop(open);
        TenantDb::new(Arc::new(rows))
    }
}

impl Tenants for TenantTables {
    fn create(&self, tenant: TenantId, first: First) -> Result<TenantDb, StoreError> {
        TenantRows::create(tenant, &self.database, &self.line, first).map(|rows| self.opened(rows))
    }

    fn open(
        &self,
        tenant: TenantId,
        check: Check<'_>,
        first: First,
    ) -> Result<TenantDb, StoreError> {
        TenantRows::open(tenant, &self.database, &self.line, check, first)
            .map(|rows| self.opened(rows))
    }

    fn discard(&self, tenant: TenantId) -> Result<(), StoreError> {
        let open = self.database.begin(tenant, Purpose::Write)?;
        for statement in schema::DISCARD {
            open.execute(statement, &[&open.tenant()])?;
        }
        open.commit()
    }

    /// Nothing is written to this machine.
    fn has_room(&self) -> bool {
        true
    }

    fn unwritten(&self) -> usize {
        let open = self.open.lock();
        open.iter()
            .filter_map(Weak::upgrade)
            .map(|desk| desk.unwritten())
            .sum()
    }

    /// Each tenant's notes are tried again by its next note and with each round.
    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Nothing is kept beside the tenants' rows.
    fn left(&self, _: usize, _: usize) -> Vec<TenantId> {
        Vec::new()
    }

    fn turn(&self, _: bool) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn turned(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Drop for TenantTables {
    fn drop(&mut self) {
        self.line.close();
        for thread in self.writing.drain(..) {
            let _ = thread.join();
        }
    }
}
