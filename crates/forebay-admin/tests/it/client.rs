//! A client as small as the claims need: one connection, whole answers.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Client {
        Client { stream: TcpStream::connect(address).await.unwrap(), received: Vec::new() }
    }

    pub(crate) async fn get(&mut self, target: &str) -> Answer {
        self.get_with(target, "").await
    }

    pub(crate) async fn get_with(&mut self, target: &str, fields: &str) -> Answer {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await;
        self.receive().await
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    pub(crate) async fn receive(&mut self) -> Answer {
        let head = self.receive_head().await;
        let length: usize = head.field("content-length").expect("a length").parse().unwrap();
        while self.received.len() < length {
            assert!(self.read().await > 0, "the answer broke off");
        }
        let body = self.received.drain(..length).collect();
        Answer { body: String::from_utf8(body).unwrap(), ..head }
    }

    pub(crate) async fn receive_head(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            assert!(self.read().await > 0, "no answer");
        };
        let head: Vec<u8> = self.received.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Answer { status, fields: fields.collect(), body: String::new() }
    }

    /// Whether anything has come that was not received yet.
    pub(crate) fn has_answer(&self) -> bool {
        self.stream.try_read(&mut [0]).is_ok()
    }

    /// Waits for the other side to close; false when it sends more instead.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.received.is_empty() && self.read().await == 0
    }

    /// A connection that was reset is as closed as can be.
    async fn read(&mut self) -> usize {
        self.stream.read_buf(&mut self.received).await.unwrap_or(0)
    }
}
