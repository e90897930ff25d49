use compartment::{Gatehouse, House, TenantId};
use std::sync::Arc;

async fn by_id(gatehouse: &Gatehouse, house: &Arc<House>, neighbour: TenantId) {
    let _ = gatehouse.admit(&neighbour, jiff::Timestamp::now()).await;
    let _ = house.tenant(neighbour, jiff::Timestamp::now()).await;
}

fn main() {}
