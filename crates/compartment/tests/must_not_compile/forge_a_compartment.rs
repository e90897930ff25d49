use compartment::Compartment;

fn steal(of: &Compartment) -> Compartment {
    Compartment::new(of.tenant.clone(), Reach::Whole)
}

fn main() {}
