//! The deployment's own tables. They have no tenant's rows; the deployment log is kept as the journal of the tenant zero,
//! which no tenant is.

use evidence::Frontier;
use evidence::deployment::Head;
use jiff::Timestamp;
use postgres::Row;

use super::journal;
use super::open::{Database, Open, Purpose};
use super::tables::{bytes, moment, number};
use crate::id::{ApiKeyId, IssuerId, TenantId};
use crate::store::deployment::{
    self, ClaimPlace, Deployment, LogPart, LoggedHead, Sign, TenantRow, TenantState,
};
use crate::store::tables::{Answer, Log};
use crate::store::tenant::Check;
use crate::store::{StoreError, count, edge, millis};

/// Whose journal the deployment log is.
const DEPLOYMENT: TenantId = TenantId::from_bytes([0; 16]);

/// The deployment's tables.
pub(in crate::store) struct DeploymentTables(Database);

impl DeploymentTables {
    /// Begins the deployment log, if there is none.
    pub(in crate::store) fn open(database: Database) -> Answer<Self> {
        let this = Self(database);
        this.write(journal::begin)?;
        Ok(this)
    }

    fn read<T>(&self, work: impl FnOnce(&Open) -> Answer<T>) -> Answer<T> {
        work(&self.0.begin(DEPLOYMENT, Purpose::Read)?)
    }

    fn write<T>(&self, work: impl FnOnce(&Open) -> Answer<T>) -> Answer<T> {
        let open = self.0.begin(DEPLOYMENT, Purpose::Write)?;
        let done = work(&open)?;
        // whoever takes over waits until this is over
        let serving = open.first(
            "SELECT 1 FROM serving WHERE epoch = $1 FOR SHARE",
            &[&self.0.guard.epoch()],
        )?;
        serving.ok_or(StoreError::Overtaken)?;
        open.commit()?;
        Ok(done)
    }
}

impl Deployment for DeploymentTables {
    fn check(&self) -> Answer<()> {
        // to lock a row is to write
        self.write(|open| journal::lock(open).map(drop))
    }

    fn add_tenant(&self, row: &TenantRow) -> Answer<()> {
        self.write(|open| {
            open.execute(
                "INSERT INTO tenant (id, state, created, name_index, sealed_name) VALUES ($1, $2, $3, $4, $5)",
                &[
                    &&row.id.as_bytes()[..],
                    &state(row.state),
                    &millis(row.created),
                    &&row.name_index[..],
                    &row.sealed_name,
                ],
            )?;
            Ok(())
        })
    }

    fn tenant(&self, id: &TenantId) -> Answer<Option<TenantRow>> {
        self.read(|open| {
            let row = open.first(
                "SELECT id, state, created, name_index, sealed_name FROM tenant WHERE id = $1",
                &[&&id.as_bytes()[..]],
            )?;
            row.as_ref().map(tenant).transpose()
        })
    }

    fn tenant_named(&self, name_index: &[u8; 32]) -> Answer<Option<TenantRow>> {
        self.read(|open| {
            let row = open.first(
                "SELECT id, state, created, name_index, sealed_name FROM tenant WHERE name_index = $1",
                &[&&name_index[..]],
            )?;
            row.as_ref().map(tenant).transpose()
        })
    }

    fn tenants(&self, after: Option<&TenantId>, limit: u32) -> Answer<Vec<TenantRow>> {
        let after = after.map_or(&[][..], |id| id.as_bytes());
        self.read(|open| {
            let rows = open.query(
                "SELECT id, state, created, name_index, sealed_name FROM tenant WHERE id > $1 ORDER BY id LIMIT $2",
                &[&after, &i64::from(limit)],
            )?;
            rows.iter().map(tenant).collect()
        })
    }

    fn remove_tenant(&self, id: &TenantId) -> Answer<()> {
        self.write(|open| {
            open.execute("DELETE FROM tenant WHERE id = $1", &[&&id.as_bytes()[..]])?;
            Ok(())
        })
    }

    fn set_state(&self, id: &TenantId, to: TenantState) -> Answer<()> {
        self.write(|open| {
            open.execute(
                "UPDATE tenant SET state = $2 WHERE id = $1",
                &[&&id.as_bytes()[..], &state(to)],
            )?;
            Ok(())
        })
    }

    fn tenant_of_key(&self, key: &ApiKeyId) -> Answer<Option<TenantId>> {
        self.read(|open| {
            let row = open.first(
                "SELECT tenant FROM key_place WHERE key = $1",
                &[&&key.as_bytes()[..]],
            )?;
            row.map(|row| Ok(TenantId::from_bytes(bytes(&row, 0)?)))
                .transpose()
        })
    }

    fn add_key(&self, key: &ApiKeyId, tenant: &TenantId) -> Answer<()> {
        self.write(|open| {
            open.execute(
                "INSERT INTO key_place (key, tenant) VALUES ($1, $2)",
                &[&&key.as_bytes()[..], &&tenant.as_bytes()[..]],
            )?;
            Ok(())
        })
    }

    fn key_places(
        &self,
        after: Option<&ApiKeyId>,
        limit: u32,
    ) -> Answer<Vec<(ApiKeyId, TenantId)>> {
        let after = after.map_or(&[][..], |id| id.as_bytes());
        self.read(|open| {
            let rows = open.query(
                "SELECT key, tenant FROM key_place WHERE key > $1 ORDER BY key LIMIT $2",
                &[&after, &i64::from(limit)],
            )?;
            rows.iter()
                .map(|row| {
                    Ok((
                        ApiKeyId::from_bytes(bytes(row, 0)?),
                        TenantId::from_bytes(bytes(row, 1)?),
                    ))
                })
                .collect()
        })
    }

    fn tenant_of_claim(&self, claim: &[u8; 32]) -> Answer<Option<(TenantId, IssuerId)>> {
        self.read(|open| {
            let row = open.first(
                "SELECT tenant, issuer FROM claim_place WHERE claim = $1",
                &[&&claim[..]],
            )?;
            let read = |row: Row| {
                Ok((
                    TenantId::from_bytes(bytes(&row, 0)?),
                    IssuerId::from_bytes(bytes(&row, 1)?),
                ))
            };
            row.map(read).transpose()
        })
    }

    fn add_claim(&self, claim: &ClaimPlace, tenant: &TenantId, issuer: &IssuerId) -> Answer<bool> {
        self.write(|open| {
            // pins of one issuer are entered one after another: each has to see the ones before it
            open.query(
                "SELECT pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 0))",
                &[&&claim.token_issuer[..]],
            )?;
            let added = open.execute(
                "INSERT INTO claim_place (claim, token_issuer, claim_name, tenant, issuer) \
                 SELECT $1::bytea, $2::bytea, $3::bytea, $4::bytea, $5::bytea \
                 WHERE NOT EXISTS (SELECT 1 FROM claim_place WHERE token_issuer = $2 AND claim_name <> $3 \
                 AND (tenant <> $4 OR issuer <> $5)) \
                 ON CONFLICT (claim) DO UPDATE SET claim = excluded.claim \
                 WHERE claim_place.tenant = $4 AND claim_place.issuer = $5",
                &[
                    &&claim.value[..],
                    &&claim.token_issuer[..],
                    &&claim.name[..],
                    &&tenant.as_bytes()[..],
                    &&issuer.as_bytes()[..],
                ],
            )?;
            Ok(added == 1)
        })
    }

    fn claim_places(
        &self,
        after: Option<&[u8; 32]>,
        limit: u32,
    ) -> Answer<Vec<(ClaimPlace, TenantId, IssuerId)>> {
        let after = after.map_or(&[][..], |claim| claim);
        self.read(|open| {
            let rows = open.query(
                "SELECT token_issuer, claim_name, claim, tenant, issuer FROM claim_place WHERE claim > $1 \
                 ORDER BY claim LIMIT $2",
                &[&after, &i64::from(limit)],
            )?;
            rows.iter()
                .map(|row| {
                    let place = ClaimPlace {
                        token_issuer: bytes(row, 0)?,
                        name: bytes(row, 1)?,
                        value: bytes(row, 2)?,
                    };
                    Ok((
                        place,
                        TenantId::from_bytes(bytes(row, 3)?),
                        IssuerId::from_bytes(bytes(row, 4)?),
                    ))
                })
                .collect()
        })
    }

    fn remove_claims(
        &self,
        tenant: &TenantId,
        issuer: &IssuerId,
        but: Option<&[u8; 32]>,
    ) -> Answer<()> {
        self.write(|open| {
            open.execute(
                "DELETE FROM claim_place WHERE tenant = $1 AND issuer = $2 AND claim IS DISTINCT FROM $3",
                &[
                    &&tenant.as_bytes()[..],
                    &&issuer.as_bytes()[..],
                    &but.map(|but| &but[..]),
                ],
            )?;
            Ok(())
        })
    }

    fn operator_keys(&self) -> Answer<Vec<(ApiKeyId, [u8; 32])>> {
        self.read(|open| {
            let rows = open.query("SELECT id, hash FROM operator_key", &[])?;
            rows.iter()
                .map(|row| Ok((ApiKeyId::from_bytes(bytes(row, 0)?), bytes(row, 1)?)))
                .collect()
        })
    }

    fn add_operator_key(&self, id: &ApiKeyId, hash: &[u8; 32], now: Timestamp) -> Answer<()> {
        self.write(|open| {
            open.execute(
                "INSERT INTO operator_key (id, hash, created) VALUES ($1, $2, $3)",
                &[&&id.as_bytes()[..], &&hash[..], &millis(now)],
            )?;
            Ok(())
        })
    }

    fn append_heads(
        &self,
        heads: &[(TenantId, Head)],
        now: Timestamp,
        sign: Sign<'_>,
    ) -> Answer<()> {
        self.write(|open| {
            let frontier = lock(open)?;
            let place = |tenant: &TenantId, size, seq| place(open, tenant, size, seq);
            let frontier = deployment::append(open, frontier, heads, now, sign, place)?;
            journal::advance(open, &frontier, self.0.guard.epoch())
        })
    }

    fn log_part(&self, from: u64, limit: u32) -> Answer<LogPart> {
        self.read(|open| {
            deployment::part(open, from, limit, |end| {
                let rows = open.query(
                    "SELECT tenant, size, seq FROM head WHERE seq >= $1 AND seq < $2 ORDER BY seq",
                    &[&count(from), &count(end)],
                )?;
                rows.iter()
                    .map(|row| {
                        Ok((
                            TenantId::from_bytes(bytes(row, 0)?),
                            number(row, 1)?,
                            number(row, 2)?,
                        ))
                    })
                    .collect()
            })
        })
    }

    fn take_log(&self, part: &LogPart) -> Answer<()> {
        self.write(|open| {
            let place = |tenant: &TenantId, size, seq| place(open, tenant, size, seq);
            let frontier = deployment::take(open, lock(open)?, part, place)?;
            journal::advance(open, &frontier, self.0.guard.epoch())
        })
    }

    fn checkpoint(&self) -> Answer<Option<(u64, String)>> {
        self.read(|open| open.checkpoint_within(u64::MAX))
    }

    fn logged_size(&self, tenant: &TenantId) -> Answer<u64> {
        self.read(|open| {
            let row = open.first(
                "SELECT coalesce(max(size), 0) FROM head WHERE tenant = $1",
                &[&&tenant.as_bytes()[..]],
            )?;
            row.map_or(Ok(0), |row| number(&row, 0))
        })
    }

    fn check_log(&self, look: Check<'_>) -> Answer<()> {
        self.write(|open| {
            let stand = journal::lock(open)?;
            let frontier = edge::frontier(open)?;
            if stand != (frontier.size(), frontier.root()) {
                return Err(misfit());
            }
            look(open)
        })
    }

    fn head(&self, tenant: &TenantId, size: u64, log_size: u64) -> Answer<Option<LoggedHead>> {
        self.read(|open| {
            let row = open.first(
                "SELECT size, seq FROM head WHERE tenant = $1 AND size <= $2 AND seq < $3 \
                 ORDER BY size DESC LIMIT 1",
                &[&&tenant.as_bytes()[..], &count(size), &count(log_size)],
            )?;
            row.map(|row| deployment::logged(open, number(&row, 0)?, number(&row, 1)?, log_size))
                .transpose()
        })
    }
}

/// Locks the deployment log; gives its frontier.
fn lock(open: &Open) -> Answer<Frontier> {
    let stand = journal::lock(open)?;
    let frontier = deployment::frontier(open)?;
    if stand == (frontier.size(), frontier.root()) {
        Ok(frontier)
    } else {
        Err(misfit())
    }
}

/// Where in the log a head is.
fn place(open: &Open, tenant: &TenantId, size: u64, seq: u64) -> Answer<()> {
    open.execute(
        "INSERT INTO head (tenant, size, seq) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant, size) DO UPDATE SET seq = excluded.seq",
        &[&&tenant.as_bytes()[..], &count(size), &count(seq)],
    )?;
    Ok(())
}

fn misfit() -> StoreError {
    StoreError::Corrupt("deployment log: it is not as long as it is said to be".to_owned())
}

fn state(state: TenantState) -> i64 {
    match state {
        TenantState::Active => 0,
        TenantState::Suspended => 1,
    }
}

fn tenant(row: &Row) -> Answer<TenantRow> {
    Ok(TenantRow {
        id: TenantId::from_bytes(bytes(row, 0)?),
        // whatever is not plainly active does not call
        state: if row.try_get::<_, i64>(1)? == 0 {
            TenantState::Active
        } else {
            TenantState::Suspended
        },
        created: moment(row, 2)?,
        name_index: bytes(row, 3)?,
        sealed_name: row.try_get(4)?,
    })
}
