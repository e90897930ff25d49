//! The child process of the crate's own tests: what the program's hidden `cell` command does.

fn main() -> std::process::ExitCode {
    cell::serve()
}
