use compartment::{House, Operator, TenantId, Administration};
use std::sync::Arc;

fn usurp(house: Arc<House>) -> Operator {
    Operator::new(house)
}

fn read(admin: &Administration, of: &Operator, id: &TenantId) {
    admin.calls();
    of.admit(id);
}

fn main() {}
