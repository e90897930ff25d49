//! The tables. A step is never changed once it was released; a new one is added after it.

use rusqlite_migration::M;

/// A Merkle log: its records, each with the hashes that it brings to the tree, and its signed checkpoints.
macro_rules! journal {
    () => {
        "CREATE TABLE record (seq INTEGER PRIMARY KEY, body BLOB NOT NULL, hashes BLOB NOT NULL) STRICT;
        CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, at INTEGER NOT NULL, note TEXT NOT NULL) STRICT;"
    };
}
/// A tenant's file. Blobs are ids (16 bytes), hashes (32 bytes), blind names (16 or 32 bytes) or sealed values.
pub(super) const TENANT: &[M<'static>] = &[M::up(concat!(
    "CREATE TABLE api_key (id BLOB PRIMARY KEY, hash BLOB NOT NULL, sealed BLOB NOT NULL, created INTEGER NOT NULL,
        expires INTEGER, revoked INTEGER) STRICT, WITHOUT ROWID;
    CREATE TABLE issuer (id BLOB PRIMARY KEY, sealed BLOB NOT NULL, changed INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE limit_set (tier TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE vault (place BLOB PRIMARY KEY, version INTEGER NOT NULL, sealed BLOB NOT NULL,
        changed INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE call (id BLOB PRIMARY KEY, credential TEXT NOT NULL, subject BLOB, session BLOB, route TEXT NOT NULL,
        model TEXT NOT NULL, upstream TEXT NOT NULL, started INTEGER NOT NULL, bound_input INTEGER NOT NULL,
        bound_output INTEGER NOT NULL, reserved INTEGER NOT NULL, ended INTEGER, outcome TEXT, basis TEXT,
        status INTEGER, input INTEGER, cached_input INTEGER, output INTEGER, cost INTEGER) STRICT, WITHOUT ROWID;
    CREATE INDEX call_open ON call (id) WHERE ended IS NULL;
    CREATE TABLE spend (scope TEXT NOT NULL, span TEXT NOT NULL, nanos INTEGER NOT NULL,
        PRIMARY KEY (scope, span)) STRICT, WITHOUT ROWID;
    CREATE TABLE usage (day TEXT NOT NULL, credential TEXT NOT NULL, model TEXT NOT NULL, calls INTEGER NOT NULL,
        input INTEGER NOT NULL, cached_input INTEGER NOT NULL, output INTEGER NOT NULL, cost INTEGER NOT NULL,
        PRIMARY KEY (day, credential, model)) STRICT, WITHOUT ROWID;",
    journal!()
))];

/// The deployment's file.
pub(super) const DEPLOYMENT: &[M<'static>] = &[M::up(concat!(
    "CREATE TABLE tenant (id BLOB PRIMARY KEY, state INTEGER NOT NULL, created INTEGER NOT NULL,
        name_index BLOB NOT NULL UNIQUE, sealed_name BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE key_place (key BLOB PRIMARY KEY, tenant BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE claim_place (claim BLOB PRIMARY KEY, token_issuer BLOB NOT NULL, claim_name BLOB NOT NULL,
        tenant BLOB NOT NULL, issuer BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX claim_by_issuer ON claim_place (token_issuer);
    CREATE TABLE operator_key (id BLOB PRIMARY KEY, hash BLOB NOT NULL, created INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE head (tenant BLOB NOT NULL, size INTEGER NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (tenant, size)) STRICT, WITHOUT ROWID;",
    journal!()
))];

#[cfg(test)]
mod tests {
    use rusqlite_migration::Migrations;

    #[test]
    fn the_steps_can_be_taken() {
        for schema in [super::TENANT, super::DEPLOYMENT] {
            Migrations::from_slice(schema).validate().unwrap();
        }
    }
}
