//! Who calls.

use probe::http1::Head;

use super::Switch;

#[derive(Debug, Clone, Default)]
pub struct Switches {}

pub const SWITCHES: &[Switch] = &[];

pub const KEY_A: &str = "sk-leaky-tenant-a-7Qm2xV9dLr4KpZ";
pub const KEY_B: &str = "sk-leaky-tenant-b-T3nWc8YhJs5GfE";

/// A tenant of the fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenant {
    pub name: &'static str,
    pub upstream_key: &'static str,
    key: &'static str,
}

const TENANTS: [Tenant; 2] = [
    Tenant {
        name: "tenant-a",
        upstream_key: "sk-upstream-of-tenant-a",
        key: KEY_A,
    },
    Tenant {
        name: "tenant-b",
        upstream_key: "sk-upstream-of-tenant-b",
        key: KEY_B,
    },
];

/// The tenant whose whole key this is.
pub fn admit(_: &Switches, head: &Head) -> Option<Tenant> {
    let mut lines = head.all("authorization");
    let key = lines.next()?.strip_prefix("Bearer ")?;
    let only = lines.next().is_none();
    TENANTS.into_iter().find(|tenant| only && tenant.key == key)
}
