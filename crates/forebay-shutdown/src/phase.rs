//! How far a stop has come.

/// The phases of a process's life, in order; there is no way back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Phase {
    /// Everything is as usual.
    #[default]
    Running,
    /// Readiness fails, so that load balancers look elsewhere; until they do, connections are accepted as usual.
    /// Responses carry `Connection: close`.
    LameDuck,
    /// Listeners accept until it would block and then close: what the kernel has queued was promised an answer. Idle
    /// connections close, after one more look for a request that was already on its way; tunnels are told to
    /// end; requests in flight finish.
    Draining,
    /// Whatever is left is cut off, and the process ends.
    Stopped,
}

impl Phase {
    const ALL: [Phase; 4] = [Phase::Running, Phase::LameDuck, Phase::Draining, Phase::Stopped];

    pub(crate) fn from_u8(number: u8) -> Phase {
        Phase::ALL[usize::from(number)]
    }
}
