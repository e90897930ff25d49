//! Keys of end users: random, one each, wrapped under their tenant's root key. Destroying one erases that end user.

use super::{KeyError, Keyring, Purpose, RootKey, Secret32};
use crate::seal::{decrypt, encrypt, fields};
use rusqlite::{OptionalExtension, params};

const DOMAIN: &[u8] = b"cofferdam/keyring/1";

impl Keyring {
    /// Makes the key of the end user whose blinded name is `subject`, within the tenant that `root` belongs to.
    ///
    /// # Errors
    ///
    /// [`KeyError::KeyExists`], [`KeyError::NoRandomness`], [`KeyError::Keyring`]; [`KeyError::NoSuchKey`] where the
    /// tenant's root key is destroyed already or `root` is the deployment's.
    pub fn create_subject(&self, root: &RootKey, subject: &[u8; 16]) -> Result<Secret32, KeyError> {
        let tenant = tenant(root)?;
        let key = Secret32::random()?;
        let wrapped = encrypt(
            &root.derive(Purpose::SubjectWrap),
            &place(&tenant, subject),
            key.expose(),
        )?;
        let inserted = self.connection.lock().execute(
            "INSERT INTO subjects (tenant, subject, wrapped) SELECT name, ?2, ?3 FROM roots WHERE name = ?1
             ON CONFLICT DO NOTHING",
            params![tenant, subject, wrapped],
        )?;
        match inserted {
            0 if self.wrapped_subject(&tenant, subject)?.is_some() => Err(KeyError::KeyExists),
            0 => Err(KeyError::NoSuchKey),
            _ => Ok(key),
        }
    }

    /// Opens the key of an end user.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoSuchKey`] where it was never made or is destroyed; [`KeyError::DoesNotOpen`];
    /// [`KeyError::Keyring`].
    pub fn open_subject(&self, root: &RootKey, subject: &[u8; 16]) -> Result<Secret32, KeyError> {
        let tenant = tenant(root)?;
        let wrapped = self
            .wrapped_subject(&tenant, subject)?
            .ok_or(KeyError::NoSuchKey)?;
        let key = decrypt(
            &root.derive(Purpose::SubjectWrap),
            &place(&tenant, subject),
            &wrapped,
        )?;
        Secret32::from_slice(&key).ok_or(KeyError::DoesNotOpen)
    }

    /// Destroys the key of an end user for good. `false` where there was none.
    ///
    /// # Errors
    ///
    /// [`KeyError::Keyring`]; it may be repeated until it succeeds.
    pub fn destroy_subject(&self, root: &RootKey, subject: &[u8; 16]) -> Result<bool, KeyError> {
        let tenant = tenant(root)?;
        self.erase(|transaction| {
            let which = params![tenant, subject];
            transaction.execute(
                "UPDATE subjects SET wrapped = zeroblob(length(wrapped)) WHERE tenant = ?1 AND subject = ?2",
                which,
            )?;
            let deleted =
                transaction.execute("DELETE FROM subjects WHERE tenant = ?1 AND subject = ?2", which)?;
            Ok(deleted == 1)
        })
    }

    fn wrapped_subject(
        &self,
        tenant: &str,
        subject: &[u8; 16],
    ) -> Result<Option<Vec<u8>>, KeyError> {
        let connection = self.connection.lock();
        let select = "SELECT wrapped FROM subjects WHERE tenant = ?1 AND subject = ?2";
        Ok(connection
            .query_row(select, params![tenant, subject], |row| row.get(0))
            .optional()?)
    }
}

fn tenant(root: &RootKey) -> Result<String, KeyError> {
    root.owner()
        .map(ToString::to_string)
        .ok_or(KeyError::NoSuchKey)
}

fn place(tenant: &str, subject: &[u8; 16]) -> Vec<u8> {
    fields(&[DOMAIN, b"subject", tenant.as_bytes(), subject])
}
