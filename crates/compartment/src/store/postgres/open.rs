//! One transaction of one tenant, or of the deployment's own tables.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use postgres::Row;
use postgres::types::ToSql;

use super::guard::Guard;
use super::pool::{Lease, Pool};
use crate::id::TenantId;
use crate::store::StoreError;

/// Where a deployment's tables are, and whether this process may use them.
#[derive(Clone)]
pub(in crate::store) struct Database {
    pub(super) pool: Arc<Pool>,
    pub(super) guard: Arc<Guard>,
}

/// What a transaction is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    Write,
}

/// An open transaction. The server shows it the rows of one tenant and takes no others. Dropped, it is rolled back.
pub(super) struct Open {
    lease: RefCell<Lease>,
    tenant: TenantId,
    over: Cell<bool>,
}

impl Database {
    /// Begins a transaction of one tenant. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overtaken`] where another process serves; [`StoreError::Unreachable`] and other faults of connecting.
    pub(super) fn begin(&self, tenant: TenantId, purpose: Purpose) -> Result<Open, StoreError> {
        self.guard.serving()?;
        let mode = match purpose {
            Purpose::Read => "READ ONLY",
            Purpose::Write => "READ WRITE",
        };
        let begin = format!(
            "BEGIN {mode}; SET LOCAL cofferdam.tenant = '{}'",
            hex::encode(tenant.as_bytes())
        );
        loop {
            let mut lease = self.pool.lend()?;
            match lease.run(&begin) {
                Ok(()) => {
                    return Ok(Open {
                        lease: RefCell::new(lease),
                        tenant,
                        over: Cell::new(false),
                    });
                }
                // a connection that the server closed while it stood idle: the next one may be better
                Err(StoreError::Unreachable) if lease.used => {}
                Err(error) => {
                    lease.discard();
                    return Err(error);
                }
            }
        }
    }
}

impl Open {
    /// Whose it is: what every statement names, and what the server holds every row against.
    pub(super) fn tenant(&self) -> &[u8] {
        self.tenant.as_bytes()
    }

    pub(super) fn query(
        &self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.lease.borrow_mut().query(sql, values)
    }

    /// The first row, if there is one.
    pub(super) fn first(
        &self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, values)?.into_iter().next())
    }

    pub(super) fn execute(
        &self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        self.lease.borrow_mut().execute(sql, values)
    }

    /// Runs what takes nothing and answers nothing, such as a savepoint.
    pub(super) fn run(&self, sql: &'static str) -> Result<(), StoreError> {
        self.lease.borrow_mut().run(sql)
    }

    /// Commits. What the server then says it has synced.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unclear`] where the connection broke: it may be committed or not.
    pub(super) fn commit(self) -> Result<(), StoreError> {
        self.over.set(true);
        self.run("COMMIT").map_err(|error| match error {
            StoreError::Unreachable => StoreError::Unclear,
            other => other,
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let lease = self.lease.get_mut();
        if !self.over.get() && lease.run("ROLLBACK").is_err() {
            lease.discard();
        }
    }
}
