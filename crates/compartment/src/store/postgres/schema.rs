//! The tables, step by step, in `migrations/`.

use postgres::Client;
use refinery::error::Kind;

use crate::store::StoreError;

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
