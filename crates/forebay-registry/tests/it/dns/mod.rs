//! DNS of the registry over real sockets, asked by hand, by dig and by HAProxy.

mod dig;
mod haproxy;
mod served;
mod sockets;
