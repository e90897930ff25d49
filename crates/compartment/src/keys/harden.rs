//! Closes the process to those who would read its memory.

use super::KeyError;

/// Makes the process non-dumpable, closed to `ptrace` and to `/proc/PID/mem` by other processes of the same user, and
/// sets its limit for core dumps to zero. Call it first of all, before any key is read: what a debugger saw earlier is
/// seen. It does not bind whoever is root.
///
/// The kernel gives a process that is not dumpable `/proc/self` files that belong to root, and forgets the flag when
/// another program is executed, so a child process calls this again itself.
///
/// # Errors
///
/// [`KeyError::NotHardened`] where the operating system refuses or a debugger is attached already.
pub fn harden_process() -> Result<(), KeyError> {
    secmem_proc::harden_process().map_err(|error| KeyError::NotHardened(error.to_string()))
}
