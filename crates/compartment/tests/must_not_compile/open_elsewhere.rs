use compartment::{Compartment, vault::Sealed};

fn carry(from: &Compartment, to: &Compartment) {
    let sealed: Sealed = from.vault().sealed("prod");
    to.vault().open(sealed);
}

fn main() {}
