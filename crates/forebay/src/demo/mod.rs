//! `forebay demo`: supervisor and gateway in small. This process supervises the gateway and three instances of a small
//! service, sends a gentle load through the gateway, and shows what becomes of it. Every child is this same program.

mod cast;
mod conduct;
mod frame;
mod gateway_line;
pub(crate) mod instance;
mod latencies;
mod load;
mod orders;
mod place;
mod ports;
mod story;
mod summary;
mod tally;
mod text;
mod view;

pub(crate) use conduct::{Options, conduct};

/// Instances of the service: enough to lose one and still see the others share.
const INSTANCES: usize = 3;

/// The gateway among the demo's processes.
const GATEWAY: &str = "gateway";

/// What an instance is called.
fn instance_name(index: usize) -> String {
    format!("orders-{}", index + 1)
}
