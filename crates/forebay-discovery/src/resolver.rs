//! Finds what a place says, whatever kind of place it is. Decides nothing.

use crate::answer::{Answer, ResolveFailure};
use crate::dns::{DnsResolver, NameServers, Resolve};
use crate::file::FileReader;
use crate::source::Place;

/// Names from DNS, files from the disk.
#[derive(Debug)]
pub struct Resolver {
    dns: DnsResolver,
    files: FileReader,
}

impl Resolver {
    /// Opens nothing and reads nothing yet.
    pub fn new(servers: NameServers, rng: fastrand::Rng) -> Resolver {
        Resolver { dns: DnsResolver::new(servers, rng), files: FileReader::default() }
    }
}

impl Resolve for Resolver {
    async fn resolve(&self, place: &Place) -> Result<Answer, ResolveFailure> {
        match place {
            Place::File(path) => self.files.read(path),
            place => self.dns.resolve(place).await,
        }
    }
}
