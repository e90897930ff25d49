//! Copying a deployment from one store to another, tenant by tenant, while nobody serves from either.
//!
//! What makes a thing whole comes last: a tenant's row after its rows, an operator's key after everything. So a copy that
//! was interrupted is no deployment that could be opened, and is gone on with by the same command: tenants that are there
//! and equal stay, others are made anew. Every tenant is read back and compared, row by row; the journal's records are
//! appended again, so that their tree comes out the same or not at all.

use super::{Folder, House, HouseConfig, HouseError, aside, fit};
use crate::{
    journal::{self, JournalKeys},
    keys::Keyring,
    keyset::DeploymentKeys,
    store::{
        Deployment, Engine, Ground, StoreError, TenantDb, TenantRow, Tenants,
        parts::{self, Part},
    },
};
use jiff::Timestamp;
use std::sync::Arc;

/// Rows in one transaction.
const PAGE: u32 = 1000;

/// What a copy has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Tenants that were copied and compared.
    pub tenants: u64,
    /// Tenants that an earlier copy left there whole, and that were compared.
    pub unchanged: u64,
    /// Records of journals that were copied.
    pub records: u64,
    /// Other rows of tenants that were copied.
    pub rows: u64,
    /// Records of the deployment log that were copied.
    pub heads: u64,
}

impl House {
    /// Copies the deployment in `from` to `to`; both have the folders of `config`, and the keys stay where they are. Nobody
    /// may serve from either, which is made sure of. What a process that died left in `from` is settled there first.
    /// `progress` is told now and then how far it is. Blocks.
    ///
    /// # Errors
    ///
    /// [`HouseError::OtherDeployment`] where `to` holds anything but an unfinished copy, or a finished one of the same state;
    /// [`HouseError::NotInitialised`] where `from` holds nothing; faults of the stores. After one, it may be repeated.
    pub fn copy_store(
        config: &HouseConfig,
        from: &Engine,
        to: &Engine,
        now: Timestamp,
        progress: &mut (dyn FnMut(&Copied) + Send),
    ) -> Result<Copied, HouseError> {
        aside(|| {
            // files may be copied to a folder that is not there yet
            let make = matches!(to, Engine::Embedded);
            let folder = Folder::lock(&config.data_dir, &config.keyring_dir, make)?;
            if matches!((from, to), (Engine::Embedded, Engine::Embedded)) {
                return Err(HouseError::OtherDeployment);
            }
            if matches!(from, Engine::Embedded) && !folder.has_deployment() {
                return Err(HouseError::NotInitialised);
            }
            let keyring = Keyring::open(&config.keyring_dir, Arc::clone(&config.provider))?;
            let keys = DeploymentKeys::derive(&keyring.deployment_root()?);
            let (from, to) = (
                Side::open(&Ground::take(from, folder.path())?)?,
                Side::open(&Ground::take(to, folder.path())?)?,
            );
            if from.db.operator_keys()?.is_empty() {
                return Err(HouseError::NotInitialised);
            }
            fit(&keys, &*from.db)?;
            fit(&keys, &*to.db).map_err(|_| HouseError::OtherDeployment)?;
            let mut copy = Copy {
                finished: !to.db.operator_keys()?.is_empty(),
                from,
                to,
                keyring,
                now,
                copied: Copied::default(),
                progress,
            };
            copy.run()?;
            Ok(copy.copied)
        })
    }
}

/// One of the two stores.
struct Side {
    db: Box<dyn Deployment>,
    tenants: Box<dyn Tenants>,
}

impl Side {
    fn open(ground: &Ground) -> Result<Self, StoreError> {
        Ok(Self {
            db: ground.deployment()?,
            tenants: ground.tenants()?,
        })
    }
}

struct Copy<'a> {
    from: Side,
    to: Side,
    /// Whether `to` may be opened, and so may have been served from.
    finished: bool,
    keyring: Keyring,
    now: Timestamp,
    copied: Copied,
    progress: &'a mut (dyn FnMut(&Copied) + Send),
}

impl Copy<'_> {
    fn run(&mut self) -> Result<(), HouseError> {
        self.no_strangers()?;
        let mut after = None;
        loop {
            let rows = self.from.db.tenants(after.as_ref(), PAGE)?;
            let Some(last) = rows.last() else {
                break;
            };
            after = Some(last.id);
            for row in &rows {
                self.tenant(row)?;
                (self.progress)(&self.copied);
            }
        }
        self.places()?;
        self.log()?;
        self.operators()
    }

    /// Every tenant in the target is one of the source's.
    fn no_strangers(&self) -> Result<(), HouseError> {
        let mut after = None;
        loop {
            let rows = self.to.db.tenants(after.as_ref(), PAGE)?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = Some(last.id);
            for row in &rows {
                if self.from.db.tenant(&row.id)?.is_none() {
                    return Err(HouseError::OtherDeployment);
                }
            }
        }
    }

    fn tenant(&mut self, row: &TenantRow) -> Result<(), HouseError> {
        let id = row.id;
        let signer = JournalKeys::derive(&self.keyring.open_root(&id)?, &id)?;
        let (logged, now) = (self.from.db.logged_size(&id)?, self.now);
        let from = self.from.tenants.open(
            id,
            &|log| journal::check(log, signer.vkey()),
            Box::new(move |transaction| journal::resume(transaction, logged, now)),
        )?;
        if self.is_there(row, &from)? {
            self.copied.unchanged += 1;
        } else {
            self.make(row, &from)?;
            self.copied.tenants += 1;
        }
        from.finish();
        Ok(())
    }

    /// Whether an earlier copy left the tenant there as it is now. One that it left otherwise is forgotten.
    fn is_there(&self, row: &TenantRow, from: &TenantDb) -> Result<bool, HouseError> {
        let Some(there) = self.to.db.tenant(&row.id)? else {
            return Ok(false);
        };
        let to = self
            .to
            .tenants
            .open(row.id, &|_| Ok(()), Box::new(|_| Ok(())))?;
        let equal = there == *row && same(from, &to)?;
        to.finish();
        if !equal && self.finished {
            return Err(HouseError::OtherDeployment);
        }
        if !equal {
            self.to.db.remove_tenant(&row.id)?;
        }
        Ok(equal)
    }

    fn make(&mut self, row: &TenantRow, from: &TenantDb) -> Result<(), HouseError> {
        if self.finished {
            return Err(HouseError::OtherDeployment);
        }
        self.to.tenants.discard(row.id)?;
        let to = self.to.tenants.create(row.id, Box::new(|_| Ok(())))?;
        self.copied.records += self.carry::<parts::Records>(from, &to)?;
        self.copied.rows += self.carry::<parts::Checkpoints>(from, &to)?
            + self.carry::<parts::Keys>(from, &to)?
            + self.carry::<parts::Issuers>(from, &to)?
            + self.carry::<parts::Limits>(from, &to)?
            + self.carry::<parts::Vault>(from, &to)?
            + self.carry::<parts::Calls>(from, &to)?
            + self.carry::<parts::Spent>(from, &to)?
            + self.carry::<parts::Usage>(from, &to)?;
        if !same(from, &to)? {
            return Err(misfit("a tenant's rows are not those that were copied").into());
        }
        to.finish();
        drop(to);
        Ok(self.to.db.add_tenant(row)?)
    }

    /// Copies one kind of rows, page by page; says how many.
    fn carry<P: Part>(&mut self, from: &TenantDb, to: &TenantDb) -> Result<u64, StoreError> {
        let mut last: Option<P::Row> = None;
        let mut carried = 0;
        loop {
            let page = from.read_now(|tables| P::page(tables, last.as_ref(), PAGE))?;
            let Some(end) = page.last() else {
                return Ok(carried);
            };
            last = Some(end.clone());
            carried += page.len() as u64;
            let now = self.now;
            to.submit(move |transaction| P::put(transaction, &page, now))?
                .wait()?;
            let so_far = Copied {
                rows: self.copied.rows + carried,
                ..self.copied
            };
            (self.progress)(&so_far);
        }
    }

    /// Where credentials lead.
    fn places(&self) -> Result<(), HouseError> {
        let mut after = None;
        loop {
            let places = self.from.db.key_places(after.as_ref(), PAGE)?;
            let Some((last, _)) = places.last() else {
                break;
            };
            after = Some(*last);
            for (key, tenant) in &places {
                match self.to.db.tenant_of_key(key)? {
                    Some(there) if there == *tenant => {}
                    Some(_) => return Err(HouseError::OtherDeployment),
                    None => self.to.db.add_key(key, tenant)?,
                }
            }
        }
        let mut after = None;
        loop {
            let places = self.from.db.claim_places(after.as_ref(), PAGE)?;
            let Some((last, ..)) = places.last() else {
                return Ok(());
            };
            after = Some(last.value);
            for (claim, tenant, issuer) in &places {
                if !self.to.db.add_claim(claim, tenant, issuer)? {
                    return Err(HouseError::OtherDeployment);
                }
            }
        }
    }

    /// The deployment log: what the target has of it is compared, the rest is appended.
    fn log(&mut self) -> Result<(), HouseError> {
        let mut from = 0;
        loop {
            let part = self.from.db.log_part(from, PAGE)?;
            let mut there = self.to.db.log_part(from, PAGE)?;
            if there.records.is_empty() && !part.records.is_empty() {
                if self.finished {
                    return Err(HouseError::OtherDeployment);
                }
                self.to.db.take_log(&part)?;
                self.copied.heads += part.records.len() as u64;
                (self.progress)(&self.copied);
                there = self.to.db.log_part(from, PAGE)?;
            }
            if there != part {
                return Err(HouseError::OtherDeployment);
            }
            if part.records.is_empty() {
                return Ok(());
            }
            from = part.end();
        }
    }

    fn operators(&self) -> Result<(), HouseError> {
        let there = self.to.db.operator_keys()?;
        let here = self.from.db.operator_keys()?;
        if self.finished {
            let equal = here.len() == there.len() && here.iter().all(|key| there.contains(key));
            return if equal {
                Ok(())
            } else {
                Err(HouseError::OtherDeployment)
            };
        }
        for (id, hash) in here {
            self.to.db.add_operator_key(&id, &hash, self.now)?;
        }
        Ok(())
    }
}

/// Whether two stores of a tenant hold the same.
fn same(one: &TenantDb, other: &TenantDb) -> Result<bool, StoreError> {
    Ok(alike::<parts::Records>(one, other)?
        && alike::<parts::Checkpoints>(one, other)?
        && alike::<parts::Keys>(one, other)?
        && alike::<parts::Issuers>(one, other)?
        && alike::<parts::Limits>(one, other)?
        && alike::<parts::Vault>(one, other)?
        && alike::<parts::Calls>(one, other)?
        && alike::<parts::Spent>(one, other)?
        && alike::<parts::Usage>(one, other)?)
}

fn alike<P: Part>(one: &TenantDb, other: &TenantDb) -> Result<bool, StoreError> {
    let mut last: Option<P::Row> = None;
    loop {
        let here = one.read_now(|tables| P::page(tables, last.as_ref(), PAGE))?;
        let there = other.read_now(|tables| P::page(tables, last.as_ref(), PAGE))?;
        if here != there {
            return Ok(false);
        }
        match here.into_iter().next_back() {
            Some(end) => last = Some(end),
            None => return Ok(true),
        }
    }
}

fn misfit(what: &str) -> StoreError {
    StoreError::Corrupt(format!("copy: {what}"))
}
