//! The demo's children: the gateway and the instances, as the supervisor wants them described.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use forebay_supervise::{Child, Restart};

use super::place::Place;
use super::{GATEWAY, instance_name};

/// The gateway calls the instances: it is stopped first.
const STAGE_INSTANCE: u8 = 0;
const STAGE_GATEWAY: u8 = 1;
/// Shorter than usual: somebody who kills one after the other is playing, not crashing.
const RESTART: Restart = Restart {
    base: Duration::from_secs(1),
    max: Duration::from_secs(4),
    stable_after: Duration::from_secs(3),
};
/// Longer than the gateway's own grace of 25 s: who ends by itself says how it went.
const PATIENCE: Duration = Duration::from_secs(30);

/// All children; the gateway comes last.
pub(crate) fn children(program: &Path, place: &Place, instances: &[SocketAddr]) -> Vec<Child> {
    let child = |name: String, stage, arguments: Vec<OsString>| {
        // Each becomes what it is to be only once its life is tied to this process's.
        let tie = ["demo".into(), "tied".into(), std::process::id().to_string().into()];
        Child {
            name,
            program: program.to_owned(),
            arguments: tie.into_iter().chain(arguments).collect(),
            // Settings of the user's own Forebay, in `FOREBAY_…`, are not for the demo.
            environment: Vec::new(),
            directory: Some(place.directory().to_owned()),
            stage,
            restart: RESTART,
            patience: PATIENCE,
        }
    };
    let instance = |(index, address): (usize, &SocketAddr)| {
        let name = instance_name(index);
        let listen = address.to_string();
        let arguments = ["demo", "orders", "--name", &name, "--listen", &listen].map(OsString::from);
        child(name, STAGE_INSTANCE, arguments.into())
    };
    let serve = vec!["serve".into(), "--config".into(), place.file().into_os_string()];
    let gateway = child(GATEWAY.to_owned(), STAGE_GATEWAY, serve);
    instances.iter().enumerate().map(instance).chain([gateway]).collect()
}
