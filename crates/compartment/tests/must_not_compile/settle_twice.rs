use compartment::{Outcome, Permit};

fn twice(permit: Permit, outcome: Outcome) {
    let _ = permit.settle(outcome);
    let _ = permit.settle(outcome);
}

fn main() {}
