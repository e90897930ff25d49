//! The deployment's file: which tenants there are, where credentials lead, and the log of all tenants' heads.
//!
//! It is written rarely, so each write is synced before it returns.

use std::path::Path;

use evidence::deployment::Head;
use evidence::leaf_hash;
use evidence::log::{Frontier, Hash, Tree};
use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{StoreError, connection, count, edge, millis, records, schema, time};
use crate::id::{ApiKeyId, IssuerId, TenantId};

/// Whether a tenant's calls are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TenantState {
    Active,
    Suspended,
}

/// One tenant, as the deployment knows it.
#[derive(Clone, Debug)]
pub(crate) struct TenantRow {
    pub(crate) id: TenantId,
    pub(crate) state: TenantState,
    pub(crate) created: Timestamp,
    pub(crate) name_index: [u8; 32],
    pub(crate) sealed_name: Vec<u8>,
}

/// A head in the deployment log.
#[derive(Clone, Debug)]
pub(crate) struct LoggedHead {
    /// Its place in the log, from 0.
    pub(crate) seq: u64,
    /// How many records the tenant's journal had.
    pub(crate) size: u64,
    /// Its canonical form.
    pub(crate) body: Vec<u8>,
    /// The audit path in the log of the size that was asked for.
    pub(crate) inclusion: Vec<Hash>,
}

/// A tenant claim of a token issuer, blinded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClaimPlace {
    pub(crate) token_issuer: [u8; 32],
    /// The claim's name, at this issuer.
    pub(crate) name: [u8; 32],
    /// The claim's name and value, at this issuer.
    pub(crate) value: [u8; 32],
}

/// The open file.
pub(crate) struct DeploymentDb(Mutex<Connection>);

const TENANT: &str = "SELECT id, state, created, name_index, sealed_name FROM tenant";

impl DeploymentDb {
    pub(crate) fn open(file: &Path) -> Result<Self, StoreError> {
        Ok(Self(Mutex::new(connection::writer(
            file,
            schema::DEPLOYMENT,
            "FULL",
        )?)))
    }

    /// Whether the file can be read and written.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        Ok(self.0.lock().execute_batch("BEGIN IMMEDIATE; ROLLBACK")?)
    }

    /// Adds a tenant.
    pub(crate) fn add_tenant(&self, row: &TenantRow) -> Result<(), StoreError> {
        self.0.lock().execute(
            "INSERT INTO tenant (id, state, created, name_index, sealed_name) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![row.id.as_bytes(), number(row.state), millis(row.created), row.name_index, row.sealed_name],
        )?;
        Ok(())
    }

    pub(crate) fn tenant(&self, id: &TenantId) -> Result<Option<TenantRow>, StoreError> {
        let connection = self.0.lock();
        let mut select = connection.prepare_cached(&format!("{TENANT} WHERE id = ?1"))?;
        Ok(select.query_row([id.as_bytes()], tenant).optional()?)
    }

    pub(crate) fn tenant_named(
        &self,
        name_index: &[u8; 32],
    ) -> Result<Option<TenantRow>, StoreError> {
        let connection = self.0.lock();
        let mut select = connection.prepare_cached(&format!("{TENANT} WHERE name_index = ?1"))?;
        Ok(select.query_row([name_index], tenant).optional()?)
    }

    /// Tenants ordered by id, those after `after`, at most `limit`.
    pub(crate) fn tenants(
        &self,
        after: Option<&TenantId>,
        limit: u32,
    ) -> Result<Vec<TenantRow>, StoreError> {
        let connection = self.0.lock();
        let mut select =
            connection.prepare_cached(&format!("{TENANT} WHERE id > ?1 ORDER BY id LIMIT ?2"))?;
        let after = after.map_or(&[][..], |id| id.as_bytes());
        Ok(select
            .query_map(params![after, limit], tenant)?
            .collect::<Result<_, _>>()?)
    }

    pub(crate) fn set_state(&self, id: &TenantId, state: TenantState) -> Result<(), StoreError> {
        self.0.lock().execute(
            "UPDATE tenant SET state = ?2 WHERE id = ?1",
            params![id.as_bytes(), number(state)],
        )?;
        Ok(())
    }

    pub(crate) fn tenant_of_key(&self, key: &ApiKeyId) -> Result<Option<TenantId>, StoreError> {
        let connection = self.0.lock();
        let mut select =
            connection.prepare_cached("SELECT tenant FROM key_place WHERE key = ?1")?;
        Ok(select
            .query_row([key.as_bytes()], |row| row.get(0).map(TenantId::from_bytes))
            .optional()?)
    }

    pub(crate) fn add_key(&self, key: &ApiKeyId, tenant: &TenantId) -> Result<(), StoreError> {
        self.0.lock().execute(
            "INSERT INTO key_place (key, tenant) VALUES (?1, ?2)",
            params![key.as_bytes(), tenant.as_bytes()],
        )?;
        Ok(())
    }

    pub(crate) fn tenant_of_claim(
        &self,
        claim: &[u8; 32],
    ) -> Result<Option<(TenantId, IssuerId)>, StoreError> {
        let connection = self.0.lock();
        let mut select =
            connection.prepare_cached("SELECT tenant, issuer FROM claim_place WHERE claim = ?1")?;
        let found = select.query_row([claim], |row| {
            Ok((
                TenantId::from_bytes(row.get(0)?),
                IssuerId::from_bytes(row.get(1)?),
            ))
        });
        Ok(found.optional()?)
    }

    /// Enters a claim; says whether it is this pin's now. One that is another's stays that one's, and all pins of one
    /// token issuer go by the same claim: with two of them, a token could lead to two tenants.
    pub(crate) fn add_claim(
        &self,
        claim: &ClaimPlace,
        tenant: &TenantId,
        issuer: &IssuerId,
    ) -> Result<bool, StoreError> {
        let added = self.0.lock().execute(
            "INSERT INTO claim_place (claim, token_issuer, claim_name, tenant, issuer) SELECT ?1, ?2, ?3, ?4, ?5 \
             WHERE NOT EXISTS (SELECT 1 FROM claim_place WHERE token_issuer = ?2 AND claim_name <> ?3 \
             AND (tenant <> ?4 OR issuer <> ?5)) \
             ON CONFLICT (claim) DO UPDATE SET claim = claim WHERE tenant = ?4 AND issuer = ?5",
            params![claim.value, claim.token_issuer, claim.name, tenant.as_bytes(), issuer.as_bytes()],
        )?;
        Ok(added == 1)
    }

    /// Removes the claims that lead to `issuer`, except `but`.
    pub(crate) fn remove_claims(
        &self,
        tenant: &TenantId,
        issuer: &IssuerId,
        but: Option<&[u8; 32]>,
    ) -> Result<(), StoreError> {
        self.0.lock().execute(
            "DELETE FROM claim_place WHERE tenant = ?1 AND issuer = ?2 AND claim IS NOT ?3",
            params![tenant.as_bytes(), issuer.as_bytes(), but],
        )?;
        Ok(())
    }

    pub(crate) fn operator_keys(&self) -> Result<Vec<(ApiKeyId, [u8; 32])>, StoreError> {
        let connection = self.0.lock();
        let mut select = connection.prepare("SELECT id, hash FROM operator_key")?;
        let rows = select.query_map([], |row| {
            Ok((ApiKeyId::from_bytes(row.get(0)?), row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn add_operator_key(
        &self,
        id: &ApiKeyId,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.0.lock().execute(
            "INSERT INTO operator_key (id, hash, created) VALUES (?1, ?2, ?3)",
            params![id.as_bytes(), hash, millis(now)],
        )?;
        Ok(())
    }

    /// Appends heads to the deployment log, and the note that `sign` makes of its new size and root, all or nothing.
    pub(crate) fn append_heads(
        &self,
        heads: &[(TenantId, Head)],
        now: Timestamp,
        sign: impl FnOnce(u64, Hash) -> Result<String, evidence::Error>,
    ) -> Result<(), StoreError> {
        let mut connection = self.0.lock();
        let transaction = connection.transaction()?;
        let mut frontier = frontier(&transaction)?;
        for (tenant, head) in heads {
            let (seq, body) = (frontier.size(), head.canonical().into_bytes());
            let hashes = frontier.append(leaf_hash(&body));
            records::insert(&transaction, seq, &body, &hashes)?;
            transaction.execute(
                "INSERT OR REPLACE INTO head (tenant, size, seq) VALUES (?1, ?2, ?3)",
                params![tenant.as_bytes(), count(head.size()), count(seq)],
            )?;
        }
        let note = sign(frontier.size(), frontier.root())?;
        records::put_checkpoint(&transaction, frontier.size(), now, &note)?;
        Ok(transaction.commit()?)
    }

    /// The newest signed checkpoint of the deployment log.
    pub(crate) fn checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        records::checkpoint_within(&self.0.lock(), u64::MAX)
    }

    /// The most records that a head of this tenant says its journal had; zero where none was logged.
    pub(crate) fn logged_size(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        let connection = self.0.lock();
        let mut select =
            connection.prepare_cached("SELECT max(size) FROM head WHERE tenant = ?1")?;
        let size: Option<i64> = select.query_row([tenant.as_bytes()], |row| row.get(0))?;
        Ok(size.map_or(0, i64::unsigned_abs))
    }

    /// Checks that the deployment log fits its tree and its newest checkpoint, and more that `look` knows of.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] where it does not; what `look` says.
    pub(crate) fn check_log(
        &self,
        look: impl FnOnce(&Connection) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let connection = self.0.lock();
        edge::frontier(&connection)?;
        look(&connection)
    }

    /// The newest head of a tenant with at most `size` records, in the deployment log of `log_size`.
    pub(crate) fn head(
        &self,
        tenant: &TenantId,
        size: u64,
        log_size: u64,
    ) -> Result<Option<LoggedHead>, StoreError> {
        let connection = self.0.lock();
        let found: Option<(i64, i64)> = connection
            .query_row(
                "SELECT size, seq FROM head WHERE tenant = ?1 AND size <= ?2 AND seq < ?3 ORDER BY size DESC LIMIT 1",
                params![tenant.as_bytes(), count(size), count(log_size)],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let Some((size, seq)) = found.map(|(size, seq)| (size.unsigned_abs(), seq.unsigned_abs()))
        else {
            return Ok(None);
        };
        let Some(stored) = records::get(&connection, seq)? else {
            return Err(StoreError::Corrupt(
                "deployment log: a head is missing".to_owned(),
            ));
        };
        let inclusion = Tree::new(log_size, &records::Nodes(&connection))?.inclusion(seq)?;
        Ok(Some(LoggedHead {
            seq,
            size,
            body: stored.body,
            inclusion,
        }))
    }
}

fn frontier(connection: &Connection) -> Result<Frontier, StoreError> {
    Ok(Tree::new(records::size(connection)?, &records::Nodes(connection))?.frontier()?)
}

fn number(state: TenantState) -> i64 {
    match state {
        TenantState::Active => 0,
        TenantState::Suspended => 1,
    }
}

fn tenant(row: &Row<'_>) -> rusqlite::Result<TenantRow> {
    Ok(TenantRow {
        id: TenantId::from_bytes(row.get(0)?),
        // whatever is not plainly active does not call
        state: if row.get::<_, i64>(1)? == 0 {
            TenantState::Active
        } else {
            TenantState::Suspended
        },
        created: time(2, row.get(2)?)?,
        name_index: row.get(3)?,
        sealed_name: row.get(4)?,
    })
}
