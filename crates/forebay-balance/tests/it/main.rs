//! Claims about picking, over fleets of every shape.

mod allocation;
mod evidence;
mod fleet;
mod hashing;
mod picking;
mod pools;
mod retries;
mod settings;
mod sticky;
mod warming;
mod weights;
