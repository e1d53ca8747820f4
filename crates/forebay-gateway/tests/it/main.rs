//! The gateway from socket to socket: what clients and upstreams see, whatever either of them does.

mod bodies;
mod departures;
mod fields;
mod interim;
mod internal;
mod life;
mod malformed;
mod retries;
mod routing;
mod timeouts;
mod tls;
mod upgrade;
