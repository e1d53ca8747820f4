//! What goes over the wire: the same requests and the same responses for everybody.

/// Response bodies that are measured, in bytes.
pub(crate) const SIZES: [usize; 2] = [1024, 100 * 1024];
/// Keep-alive connections that are busy at the same time.
pub(crate) const CONNECTIONS: usize = 64;
/// The path whose response body is the request head as the upstream saw it.
pub(crate) const ECHO: &str = "/echo";
/// What health checks ask for.
pub(crate) const HEALTH: &str = "/health";

/// The path whose response body has that many bytes.
pub(crate) fn path(size: usize) -> String {
    format!("/bytes/{size}")
}

/// As long and as varied as what a program sends that calls an API.
pub(crate) fn request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\n\
         Host: shop.example\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
         Accept: application/json, text/plain, */*\r\n\
         Accept-Language: en-GB,en;q=0.7\r\n\
         Cache-Control: no-cache\r\n\
         \r\n"
    )
}

/// With the fields that application servers send.
pub(crate) fn response(kind: &str, body: &[u8]) -> Vec<u8> {
    let mut response = format!(
        "HTTP/1.1 200 OK\r\n\
         Date: Mon, 23 Nov 2026 12:00:00 GMT\r\n\
         Server: bench\r\n\
         Content-Type: {kind}\r\n\
         Content-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         \r\n",
        body.len()
    )
    .into_bytes();
    response.extend_from_slice(body);
    response
}

/// A body in which every misplaced byte shows: its period is no power of two.
pub(crate) fn body(size: usize) -> Vec<u8> {
    (0..size).map(|index| b'!' + (index % 89) as u8).collect()
}
