//! The gateway from socket to socket: what clients and upstreams see, whatever either of them does.

mod affinity;
mod auth;
mod auth_asked;
mod bodies;
mod browser;
mod cors;
mod departures;
mod ejection;
mod fields;
mod files;
mod idempotency;
mod interim;
mod internal;
mod killed;
mod life;
mod local_ports;
mod malformed;
mod pushed;
mod rate_limits;
mod registry_probe;
mod resilience;
mod retries;
mod routing;
mod timeouts;
mod tls;
mod upgrade;
