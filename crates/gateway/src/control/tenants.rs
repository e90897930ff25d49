//! `/admin/v1/tenants`

use axum::{
    body::Body,
    extract::{RawPathParams, State},
    response::Response,
};
use compartment::{Refused, TenantId, administration::TenantFacts};
use http::{HeaderMap, Uri};
use jiff::Timestamp;
use wire::{
    admin::{ChangeTenant, CreateTenant, Tenant, TenantObject, TenantState},
    steward::{List, ListQuery},
};

use super::{Control, tenant_id};
use crate::{
    administration::{body, created, ok, query},
    refusal::Refusal,
};

pub(super) async fn list(
    State(control): State<Control>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    let operator = control.operator(&headers)?;
    let page: ListQuery = query(&uri)?;
    let after = page.after.as_deref().map(TenantId::parse).transpose();
    let after = after.map_err(|_| Refused::NotFound { what: "tenant" })?;
    let limit = page.limit();
    // one more than asked for says whether there are more
    let most = u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1);
    let tenants = operator.tenants(after.as_ref(), most).await?;
    Ok(ok(&List::page(tenants.iter().map(shape).collect(), limit)))
}

/// 201 for a new tenant, 200 for one of that name that is there already.
pub(super) async fn create(
    State(control): State<Control>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Refusal> {
    let operator = control.operator(&headers)?;
    let wish: CreateTenant = body(&headers, sent).await?;
    let (tenant, new) = operator.create_tenant(&wish.name, Timestamp::now()).await?;
    Ok(if new {
        created(&shape(&tenant))
    } else {
        ok(&shape(&tenant))
    })
}

pub(super) async fn one(
    State(control): State<Control>,
    path: RawPathParams,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let tenant = control
        .operator(&headers)?
        .tenant_facts(&tenant_id(&path)?)
        .await?;
    Ok(ok(&shape(&tenant)))
}

pub(super) async fn change(
    State(control): State<Control>,
    path: RawPathParams,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Refusal> {
    let operator = control.operator(&headers)?;
    let id = tenant_id(&path)?;
    let wish: ChangeTenant = body(&headers, sent).await?;
    let now = Timestamp::now();
    let tenant = match wish.state {
        Some(TenantState::Suspended) => operator.suspend(&id, now).await?,
        Some(TenantState::Active) => operator.resume(&id, now).await?,
        None => operator.tenant_facts(&id).await?,
    };
    Ok(ok(&shape(&tenant)))
}

fn shape(tenant: &TenantFacts) -> Tenant {
    Tenant {
        id: tenant.id.to_string(),
        object: TenantObject,
        name: tenant.name.clone(),
        state: if tenant.suspended {
            TenantState::Suspended
        } else {
            TenantState::Active
        },
        created_at: tenant.created,
    }
}
