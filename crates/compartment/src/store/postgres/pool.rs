//! Connections, no more than a bound, and lent one at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use postgres::types::ToSql;
use postgres::{Client, Row, Statement};

use super::address::PostgresAddress;
use crate::store::StoreError;

/// How long one waits for a connection that others have.
const PATIENCE: Duration = Duration::from_secs(5);

/// The connections of one process.
pub(super) struct Pool {
    address: PostgresAddress,
    most: usize,
    stock: Mutex<Stock>,
    returned: Condvar,
}

#[derive(Default)]
struct Stock {
    idle: Vec<Held>,
    lent: usize,
}

/// One connection, with the statements that it knows already.
struct Held {
    /// `None` only while it is dropped.
    client: Option<Client>,
    statements: HashMap<&'static str, Statement>,
}

/// A connection on loan. Dropped, it goes back, unless it is broken.
pub(super) struct Lease {
    pool: Arc<Pool>,
    held: Option<Held>,
    /// It stood idle before: nobody knows whether the server still has it.
    pub(super) used: bool,
    broken: bool,
}

impl Pool {
    pub(super) fn new(address: PostgresAddress, most: usize) -> Arc<Self> {
        Arc::new(Self {
            address,
            most: most.max(1),
            stock: Mutex::default(),
            returned: Condvar::new(),
        })
    }

    /// A connection: an idle one, or a new one where there are fewer than the bound. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where the others keep theirs too long; [`StoreError::Unreachable`] and other faults of
    /// connecting.
    pub(super) fn lend(self: &Arc<Self>) -> Result<Lease, StoreError> {
        let mut stock = self.stock.lock();
        while stock.idle.is_empty() && stock.lent >= self.most {
            if self.returned.wait_for(&mut stock, PATIENCE).timed_out() {
                return Err(StoreError::Busy);
            }
        }
        stock.lent = stock.lent.saturating_add(1);
        let idle = stock.idle.pop();
        drop(stock);
        // from here on the loan ends with the lease, whatever happens
        let mut lease = Lease {
            pool: Arc::clone(self),
            used: idle.is_some(),
            held: idle,
            broken: false,
        };
        if lease.held.is_none() {
            lease.held = Some(Held {
                client: Some(self.address.connect()?),
                statements: HashMap::new(),
            });
        }
        Ok(lease)
    }
}

impl Lease {
    fn held(&mut self) -> Result<(&mut Client, &mut HashMap<&'static str, Statement>), StoreError> {
        let held = self.held.as_mut().ok_or(StoreError::Closed)?;
        let client = held.client.as_mut().ok_or(StoreError::Closed)?;
        Ok((client, &mut held.statements))
    }

    /// Runs statements that take nothing and answer nothing.
    pub(super) fn run(&mut self, sql: &str) -> Result<(), StoreError> {
        let ran = self.held()?.0.batch_execute(sql);
        self.look(ran)
    }

    /// Runs a statement and gives its rows.
    pub(super) fn query(
        &mut self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let statement = self.statement(sql)?;
        let rows = self.held()?.0.query(&statement, values);
        self.look(rows)
    }

    /// Runs a statement; says how many rows it changed.
    pub(super) fn execute(
        &mut self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        let statement = self.statement(sql)?;
        let changed = self.held()?.0.execute(&statement, values);
        self.look(changed)
    }

    /// Prepares a statement the first time that this connection meets it.
    fn statement(&mut self, sql: &'static str) -> Result<Statement, StoreError> {
        let (client, statements) = self.held()?;
        if let Some(known) = statements.get(sql) {
            return Ok(known.clone());
        }
        let prepared = client.prepare(sql);
        if let Ok(statement) = &prepared {
            statements.insert(sql, statement.clone());
        }
        self.look(prepared)
    }

    fn look<T>(&mut self, done: Result<T, postgres::Error>) -> Result<T, StoreError> {
        let done = done.map_err(StoreError::from);
        if matches!(done, Err(StoreError::Unreachable)) {
            self.broken = true;
        }
        done
    }

    /// It is not to be lent again.
    pub(super) fn discard(&mut self) {
        self.broken = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let held = self.held.take();
        let mut stock = self.pool.stock.lock();
        stock.lent = stock.lent.saturating_sub(1);
        if !self.broken {
            stock.idle.extend(held);
        }
        drop(stock);
        self.pool.returned.notify_one();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            farewell(client);
        }
    }
}

/// Closes a connection. That takes a moment of waiting, which a thread of a runtime must not do.
pub(super) fn farewell(client: Client) {
    if tokio::runtime::Handle::try_current().is_ok() {
        // where no thread can be had, the connection is closed when the process ends
        let _ = std::thread::Builder::new()
            .name("farewell".to_owned())
            .spawn(move || drop(client));
    } else {
        drop(client);
    }
}
