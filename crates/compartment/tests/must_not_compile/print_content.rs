use compartment::{Clean, SecretToken, UpstreamCredential};

fn log(clean: &Clean<String>, credential: &UpstreamCredential, key: &SecretToken) {
    println!("{clean} {credential} {key}");
}

fn main() {}
