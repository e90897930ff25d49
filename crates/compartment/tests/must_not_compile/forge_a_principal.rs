use compartment::Principal;

fn promote(who: Principal) -> Principal {
    Principal { scopes: policy::Right::ALL.into_iter().collect(), subject: None, ..who }
}

fn main() {}
