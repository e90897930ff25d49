//! The header lines of a request to the upstream.

use probe::http1::Head;

use super::Switch;
use super::identity::Tenant;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// A tenant that the client names outranks the one its key belongs to.
    pub trust_tenant: bool,
}

pub const SWITCHES: &[Switch] = &[Switch {
    name: "trust_tenant_header",
    row: 11,
    turn: |switches| switches.headers.trust_tenant = true,
}];

/// Built from nothing; what the client sent counts only where a switch says so.
pub fn lines(switches: &Switches, tenant: Tenant, from_client: &Head) -> Vec<(String, String)> {
    let claimed = from_client
        .get("x-tenant-id")
        .filter(|_| switches.trust_tenant);
    vec![
        (
            "authorization".to_owned(),
            format!("Bearer {}", tenant.upstream_key),
        ),
        ("content-type".to_owned(), "application/json".to_owned()),
        (
            "x-tenant-id".to_owned(),
            claimed.unwrap_or(tenant.name).to_owned(),
        ),
    ]
}
