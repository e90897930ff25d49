//! The tables, step by step, in `migrations/`.

use postgres::Client;
use refinery::error::Kind;

use crate::store::StoreError;

/// What removes a tenant's rows, table by table.
pub(super) const DISCARD: [&str; 10] = [
    "DELETE FROM record WHERE tenant = $1",
    "DELETE FROM checkpoint WHERE tenant = $1",
    "DELETE FROM api_key WHERE tenant = $1",
    "DELETE FROM issuer WHERE tenant = $1",
    "DELETE FROM limit_set WHERE tenant = $1",
    "DELETE FROM vault WHERE tenant = $1",
    "DELETE FROM call WHERE tenant = $1",
    "DELETE FROM spend WHERE tenant = $1",
    "DELETE FROM usage WHERE tenant = $1",
    "DELETE FROM journal WHERE tenant = $1",
];

mod steps {
    refinery::embed_migrations!("src/store/postgres/migrations");
}

/// Brings the database to the present schema, in a schema of its own. The caller has the lock, so that nobody else does
/// the same.
///
/// # Errors
///
/// [`StoreError::TooNew`] where a later version was here; faults of the database.
pub(super) fn migrate(client: &mut Client) -> Result<(), StoreError> {
    client.batch_execute("CREATE SCHEMA IF NOT EXISTS cofferdam")?;
    match steps::migrations::runner().run(client) {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.kind() {
            Kind::MissingVersion(_) | Kind::DivergentVersion(..) => StoreError::TooNew,
            _ => StoreError::Failed(format!("the tables could not be made: {error}")),
        }),
    }
}
