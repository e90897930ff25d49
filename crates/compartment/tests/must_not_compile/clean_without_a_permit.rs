use compartment::{Clean, Derived};

fn skip(request: String, derived: Derived) -> Clean<String> {
    Clean { request, derived, max_output: u32::MAX }
}

fn main() {}
