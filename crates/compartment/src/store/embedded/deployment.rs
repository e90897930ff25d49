//! The deployment's file.

use std::path::Path;

use evidence::deployment::Head;
use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::values::{count, millis, time, uncount};
use super::{connection, schema};
use crate::id::{ApiKeyId, IssuerId, TenantId};
use crate::store::deployment::{
    self, ClaimPlace, Deployment, LogPart, LoggedHead, Sign, TenantRow, TenantState,
};
use crate::store::tables::Log;
use crate::store::tenant::Check;
use crate::store::{StoreError, edge};

/// The open file.
pub(in crate::store) struct DeploymentFile(Mutex<Connection>);

const TENANT: &str = "SELECT id, state, created, name_index, sealed_name FROM tenant";

impl DeploymentFile {
    pub(in crate::store) fn open(file: &Path) -> Result<Self, StoreError> {
        Ok(Self(Mutex::new(connection::writer(
            file,
            schema::DEPLOYMENT,
            "FULL",
        )?)))
    }
}

impl Deployment for DeploymentFile {
    fn check(&self) -> Result<(), StoreError> {
        Ok(self.0.lock().execute_batch("BEGIN IMMEDIATE; ROLLBACK")?)
    }

    fn add_tenant(&self, row: &TenantRow) -> Result<(), StoreError> {
        self.0.lock().execute(
            "INSERT INTO tenant (id, state, created, name_index, sealed_name) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![row.id.as_bytes(), number(row.state), millis(row.created), row.name_index, row.sealed_name],
        )?;
        Ok(())
    }

    fn tenant(&self, id: &TenantId) -> Result<Option<TenantRow>, StoreError> {
        let connection = self.0.lock();
        let mut select = connection.prepare_cached(&format!("{TENANT} WHERE id = ?1"))?;
        Ok(select.query_row([id.as_bytes()], tenant).optional()?)
    }

    fn tenant_named(&self, name_index: &[u8; 32]) -> Result<Option<TenantRow>, StoreError> {
        let connection = self.0.lock();
        let mut select = connection.prepare_cached(&format!("{TENANT} WHERE name_index = ?1"))?;
        Ok(select.query_row([name_index], tenant).optional()?)
    }

    fn tenants(&self, after: Option<&TenantId>, limit: u32) -> Result<Vec<TenantRow>, StoreError> {
        let connection = self.0.lock();
        let mut select =
            connection.prepare_cached(&format!("{TENANT} WHERE id > ?1 ORDER BY id LIMIT ?2"))?;
        let after = after.map_or(&[][..], |id| id.as_bytes());
        Ok(select
            .query_map(params![after, limit], tenant)?
            .collect::<Result<_, _>>()?)
    }

    fn remove_tenant(&self, id: &TenantId) -> Result<(), StoreError> {
        self.0
            .lock()
            .execute("DELETE FROM tenant WHERE id = ?1", [id.as_bytes()])?;
        Ok(())
    }

    fn set_state(&self, id: &TenantId, state: TenantState) -> Result<(), StoreError> {
        self.0.lock().execute(
            "UPDATE tenant SET state = ?2 WHERE id = ?1",
            params![id.as_bytes(), number(state)],
        )?;
        Ok(())
    }

    fn tenant_of_key(&self, key: &ApiKeyId) -> Result<Option<TenantId>, StoreError> {
        let connection = self.0.lock();
        let mut select =
            connection.prepare_cached("SELECT tenant FROM key_place WHERE key = ?1")?;
        Ok(select
            .query_row([key.as_bytes()], |row| row.get(0).map(TenantId::from_bytes))
            .optional()?)
    }

    fn add_key(&self, key: &ApiKeyId, tenant: &TenantId) -> Result<(), StoreError> {
        self.0.lock().execute(
            "INSERT INTO key_place (key, tenant) VALUES (?1, ?2)",
            params![key.as_bytes(), tenant.as_bytes()],
        )?;
        Ok(())
    }

    fn key_places(
        &self,
        after: Option<&ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<(ApiKeyId, TenantId)>, StoreError> {
        let connection = self.0.lock();
        let mut select = connection.prepare_cached(
            "SELECT key, tenant FROM key_place WHERE key > ?1 ORDER BY key LIMIT ?2",
        )?;
        let after = after.map_or(&[][..], |id| id.as_bytes());
        let rows = select.query_map(params![after, limit], |row| {
            Ok((
                ApiKeyId::from_bytes(row.get(0)?),
                TenantId::from_bytes(row.get(1)?),
            ))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn tenant_of_claim(
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

    fn add_claim(
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

    fn claim_places(
        &self,
        after: Option<&[u8; 32]>,
        limit: u32,
    ) -> Result<Vec<(ClaimPlace, TenantId, IssuerId)>, StoreError> {
        let connection = self.0.lock();
        let mut select = connection.prepare_cached(
            "SELECT token_issuer, claim_name, claim, tenant, issuer FROM claim_place WHERE claim > ?1 \
             ORDER BY claim LIMIT ?2",
        )?;
        let after = after.map_or(&[][..], |claim| claim);
        let rows = select.query_map(params![after, limit], |row| {
            let place = ClaimPlace {
                token_issuer: row.get(0)?,
                name: row.get(1)?,
                value: row.get(2)?,
            };
            Ok((
                place,
                TenantId::from_bytes(row.get(3)?),
                IssuerId::from_bytes(row.get(4)?),
            ))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn remove_claims(
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

    fn operator_keys(&self) -> Result<Vec<(ApiKeyId, [u8; 32])>, StoreError> {
        let connection = self.0.lock();
        let mut select = connection.prepare("SELECT id, hash FROM operator_key")?;
        let rows = select.query_map([], |row| {
            Ok((ApiKeyId::from_bytes(row.get(0)?), row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn add_operator_key(
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

    fn append_heads(
        &self,
        heads: &[(TenantId, Head)],
        now: Timestamp,
        sign: Sign<'_>,
    ) -> Result<(), StoreError> {
        let mut connection = self.0.lock();
        let transaction = connection.transaction()?;
        let log: &Connection = &transaction;
        let place = |tenant: &TenantId, size, seq| place(log, tenant, size, seq);
        deployment::append(log, deployment::frontier(log)?, heads, now, sign, place)?;
        Ok(transaction.commit()?)
    }

    fn log_part(&self, from: u64, limit: u32) -> Result<LogPart, StoreError> {
        let connection = self.0.lock();
        deployment::part(&*connection, from, limit, |end| {
            let mut select = connection.prepare_cached(
                "SELECT tenant, size, seq FROM head WHERE seq >= ?1 AND seq < ?2 ORDER BY seq",
            )?;
            let rows = select.query_map([count(from), count(end)], |row| {
                Ok((
                    TenantId::from_bytes(row.get(0)?),
                    uncount(1, row.get(1)?)?,
                    uncount(2, row.get(2)?)?,
                ))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn take_log(&self, part: &LogPart) -> Result<(), StoreError> {
        let mut connection = self.0.lock();
        let transaction = connection.transaction()?;
        let log: &Connection = &transaction;
        deployment::take(
            log,
            deployment::frontier(log)?,
            part,
            |tenant, size, seq| place(log, tenant, size, seq),
        )?;
        Ok(transaction.commit()?)
    }

    fn checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        self.0.lock().checkpoint_within(u64::MAX)
    }

    fn logged_size(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        let connection = self.0.lock();
        let mut select =
            connection.prepare_cached("SELECT max(size) FROM head WHERE tenant = ?1")?;
        let size: Option<i64> = select.query_row([tenant.as_bytes()], |row| row.get(0))?;
        Ok(size.map_or(0, i64::unsigned_abs))
    }

    fn check_log(&self, look: Check<'_>) -> Result<(), StoreError> {
        let connection = self.0.lock();
        edge::frontier(&*connection)?;
        look(&*connection)
    }

    fn head(
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
        found
            .map(|(size, seq)| {
                let (size, seq) = (size.unsigned_abs(), seq.unsigned_abs());
                deployment::logged(&*connection, size, seq, log_size)
            })
            .transpose()
    }
}

/// Where in the log a head is.
fn place(log: &Connection, tenant: &TenantId, size: u64, seq: u64) -> Result<(), StoreError> {
    log.execute(
        "INSERT OR REPLACE INTO head (tenant, size, seq) VALUES (?1, ?2, ?3)",
        params![tenant.as_bytes(), count(size), count(seq)],
    )?;
    Ok(())
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
