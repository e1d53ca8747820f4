//! A plain blocking client for everything that is not under load: readiness, previews, idle connections.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use memchr::memmem;

use crate::failure::{Doing as _, Failure};
use crate::response::content_length;
use crate::traffic;

/// A proxy that says nothing for that long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Client(TcpStream);

/// A whole response.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Status line and fields, with the end of the last line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(to: SocketAddr) -> Result<Client, Failure> {
        let socket = TcpStream::connect(to).doing("cannot connect to the proxy")?;
        socket.set_nodelay(true).doing("cannot set TCP_NODELAY")?;
        socket.set_read_timeout(Some(SILENCE_MAX)).doing("cannot set a timeout")?;
        Ok(Client(socket))
    }

    /// Sends a request and waits for its response; the connection stays open.
    pub(crate) fn get(&mut self, path: &str) -> Result<Reply, Failure> {
        self.send(&traffic::request(path))?;
        self.reply()
    }

    /// Sends a request as it is written.
    pub(crate) fn send(&mut self, request: &str) -> Result<(), Failure> {
        self.0.write_all(request.as_bytes()).doing("cannot send a request")
    }

    /// Waits for a response.
    pub(crate) fn reply(&mut self) -> Result<Reply, Failure> {
        let mut received = Vec::new();
        let (end, length) = loop {
            if let Some(end) = memmem::find(&received, b"\r\n\r\n") {
                break (end, content_length(&received[..end + 2]).unwrap_or(0));
            }
            self.receive(&mut received)?;
        };
        while received.len() < end + 4 + length {
            self.receive(&mut received)?;
        }
        let head = String::from_utf8_lossy(&received[..end + 2]).into_owned();
        Ok(Reply { head, body: received[end + 4..].to_vec() })
    }

    /// As [`Client::get`], and fails unless that is the body.
    pub(crate) fn expect(&mut self, path: &str, body: &[u8]) -> Result<(), Failure> {
        let reply = self.get(path)?;
        if reply.is_ok() && reply.body == body {
            return Ok(());
        }
        let line = reply.head.lines().next().unwrap_or_default();
        Err(Failure::run(format!("{path} was answered with `{line}` and {} bytes", reply.body.len())))
    }

    fn receive(&mut self, into: &mut Vec<u8>) -> Result<(), Failure> {
        let mut buffer = [0; 4096];
        let length = self.0.read(&mut buffer).doing("cannot read a response")?;
        if length == 0 {
            return Err(Failure::run("the proxy closed the connection"));
        }
        into.extend_from_slice(&buffer[..length]);
        Ok(())
    }
}

impl Reply {
    pub(crate) fn is_ok(&self) -> bool {
        self.head.starts_with("HTTP/1.1 200 ")
    }
}

/// The value of a field in a head, whatever the case of its name.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}
