//! Names and tokens that the gateway makes: what they hold is sealed with a key of this run.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};

use super::Switch;
use super::identity::{TENANTS, Tenant};

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// One seal for all kinds.
    pub one_purpose: bool,
    /// Seals are made and not looked at.
    pub unchecked: bool,
}

pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "one_key_for_all_tokens",
        row: 10,
        turn: |switches| switches.tokens.one_purpose = true,
    },
    Switch {
        name: "unchecked_tokens",
        row: 10,
        turn: |switches| switches.tokens.unchecked = true,
    },
];

/// Prefix of an end user's token.
const USER: &str = "ek_";

#[derive(Default)]
pub struct Seal {
    key: RandomState,
    made: AtomicU32,
}

impl Seal {
    /// A fresh name of that kind, given away to this tenant.
    pub fn make(&self, switches: &Switches, prefix: &str, tenant: Tenant) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let whose = TENANTS
            .iter()
            .position(|other| other.name == tenant.name)
            .unwrap();
        let rest = format!("{whose:02x}{number:08x}");
        let seal = self.seal(switches, prefix, &rest);
        format!("{prefix}{rest}{seal}")
    }

    /// A token for an end user of this tenant.
    pub fn make_user(&self, switches: &Switches, tenant: Tenant) -> String {
        self.make(switches, USER, tenant)
    }

    /// Whose end user holds this token.
    pub fn user(&self, switches: &Switches, token: &str) -> Option<Tenant> {
        let rest = token.strip_prefix(USER)?;
        let (held, seal) = (rest.get(..10)?, rest.get(10..)?);
        if !switches.unchecked && seal != self.seal(switches, USER, held) {
            return None;
        }
        let whose = usize::from_str_radix(held.get(..2)?, 16).ok()?;
        TENANTS.get(whose).map(|tenant| tenant.user())
    }

    fn seal(&self, switches: &Switches, purpose: &str, held: &str) -> String {
        let purpose = if switches.one_purpose { "" } else { purpose };
        format!("{:016x}", self.key.hash_one((purpose, held)))
    }
}
