//! `cofferdam tenant …`

use anyhow::Result;
use wire::admin::{ChangeTenant, CreateTenant, Tenant, TenantState};

use super::{all, operator};
use crate::cli;
use crate::cli::Reach;
use crate::show;

pub fn run(asked: cli::Tenant) -> Result<()> {
    match asked {
        cli::Tenant::Create { name, reach } => {
            let tenant: Tenant =
                operator(&reach)?.post("/admin/v1/tenants", &CreateTenant { name })?;
            one(&reach, &tenant)
        }
        cli::Tenant::List { reach } => {
            let tenants = all(&operator(&reach)?, "/admin/v1/tenants", |t: &Tenant| &t.id)?;
            if reach.json {
                return show::json(&tenants);
            }
            rows(&tenants);
            Ok(())
        }
        cli::Tenant::Suspend { tenant, reach } => change(&reach, &tenant, TenantState::Suspended),
        cli::Tenant::Resume { tenant, reach } => change(&reach, &tenant, TenantState::Active),
    }
}

fn change(reach: &Reach, tenant: &str, state: TenantState) -> Result<()> {
    let change = ChangeTenant { state: Some(state) };
    let tenant: Tenant = operator(reach)?.patch(&format!("/admin/v1/tenants/{tenant}"), &change)?;
    one(reach, &tenant)
}

fn one(reach: &Reach, tenant: &Tenant) -> Result<()> {
    if reach.json {
        return show::json(tenant);
    }
    rows(std::slice::from_ref(tenant));
    Ok(())
}

fn rows(tenants: &[Tenant]) {
    let row = |t: &Tenant| {
        let state = match t.state {
            TenantState::Active => "active",
            TenantState::Suspended => "suspended",
        };
        vec![
            t.id.clone(),
            t.name.clone(),
            state.to_owned(),
            show::moment(t.created_at),
        ]
    };
    show::table(
        &["tenant", "name", "state", "created"],
        tenants.iter().map(row).collect(),
    );
}
