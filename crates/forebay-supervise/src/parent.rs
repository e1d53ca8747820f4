//! A child that does not outlive its supervisor, however that ends.

use rustix::process::getppid;
use thiserror::Error;

/// Why a process cannot be tied to its parent.
#[derive(Debug, Error)]
pub enum OrphanError {
    /// The parent ended before the tie was made.
    #[error("process {0}, which started this one, is gone")]
    ParentGone(u32),
    /// The kernel refused.
    #[error("the kernel does not tie this process to its parent")]
    Refused(#[source] std::io::Error),
}

/// Has the kernel kill this process when `parent`, which started it, is gone, be it by SIGKILL. Holds across `exec`,
/// so that a process which ties itself and then becomes another program ties that one: no unsafe code between fork
/// and exec, and no cooperation of that program. Ends with programs that change user or gain capabilities.
///
/// Linux watches the *thread* that started the child: a supervisor starts its children from one that stays. Other
/// systems have nothing like it; there this only looks whether the parent is still there.
pub fn die_with_parent(parent: u32) -> Result<(), OrphanError> {
    tie().map_err(OrphanError::Refused)?;
    // It may have ended before the line above; then nobody would ever send the signal.
    let alive = getppid().is_some_and(|found| found.as_raw_pid().unsigned_abs() == parent);
    if alive { Ok(()) } else { Err(OrphanError::ParentGone(parent)) }
}

/// SIGKILL and not SIGTERM: nobody is left who would wait for a drain and kill what does not end.
#[cfg(target_os = "linux")]
fn tie() -> std::io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?)
}

#[cfg(not(target_os = "linux"))]
fn tie() -> std::io::Result<()> {
    Ok(())
}
