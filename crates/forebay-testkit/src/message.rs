//! Whole messages, read strictly (RFC 9112) and without a line of the code under test.

use std::io::{self, Error, ErrorKind};

use crate::wire::Wire;

/// One request or response as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The start line.
    pub start: String,
    /// Names in lowercase, in order.
    pub fields: Vec<(String, String)>,
    /// The body, its coding taken off.
    pub body: Vec<u8>,
    /// The trailer section, in the same form as the fields.
    pub trailers: Vec<(String, String)>,
}

impl Message {
    /// The value of a field that stands alone.
    ///
    /// # Panics
    /// When it is there more than once.
    pub fn field(&self, name: &str) -> Option<&str> {
        let values = self.fields_named(name);
        assert!(values.len() < 2, "{name} is repeated: {self:?}");
        values.first().copied()
    }

    /// All values of a field.
    pub fn fields_named(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The status code of a response.
    ///
    /// # Panics
    /// On a request.
    pub fn status(&self) -> u16 {
        let status = self.start.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status line: {self:?}"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Kind and fault of a problem document, as `KIND of FAULT`.
    ///
    /// # Panics
    /// When it is none, or contradicts the status line.
    pub fn problem(&self) -> String {
        assert_eq!(self.field("content-type"), Some("application/problem+json"), "{self:?}");
        let body: serde_json::Value =
            serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(body["status"], self.status(), "{self:?}");
        let kind = body["type"].as_str().and_then(|kind| kind.strip_prefix("urn:forebay:problem:"));
        let fault = body["fault"].as_str();
        let (Some(kind), Some(fault)) = (kind, fault) else { panic!("no kind or no fault: {self:?}") };
        format!("{kind} of {fault}")
    }
}

impl Wire {
    /// Reads a start line and fields.
    pub fn head(&mut self) -> io::Result<Message> {
        let start = self.line()?;
        let fields = self.section()?;
        Ok(Message { start, fields, ..Message::default() })
    }

    /// Reads a whole request.
    pub fn request(&mut self) -> io::Result<Message> {
        let mut message = self.head()?;
        if !message.start.ends_with(" HTTP/1.1") {
            return Err(invalid(format!("no request line: {}", message.start)));
        }
        self.body(&mut message, false)?;
        Ok(message)
    }

    /// Reads a whole response to a method other than `HEAD`; interim ones are responses too.
    pub fn response(&mut self) -> io::Result<Message> {
        self.response_to("GET")
    }

    /// Reads a whole response to this method.
    pub fn response_to(&mut self, method: &str) -> io::Result<Message> {
        let mut message = self.head()?;
        if !message.start.starts_with("HTTP/1.1 ") {
            return Err(invalid(format!("no status line: {}", message.start)));
        }
        let status = message.status();
        if method != "HEAD" && status >= 200 && status != 204 && status != 304 {
            self.body(&mut message, true)?;
        }
        Ok(message)
    }

    fn body(&mut self, message: &mut Message, until_close: bool) -> io::Result<()> {
        match (message.field("content-length"), message.field("transfer-encoding")) {
            (None, None) if until_close => message.body = self.read_to_end()?,
            (None, None) => {}
            (Some(length), None) if length.bytes().all(|digit| digit.is_ascii_digit()) => {
                let length = length.parse().map_err(|_| invalid(format!("length {length}")))?;
                message.body = self.read_exact(length)?;
            }
            (None, Some("chunked")) => {
                self.chunks(&mut message.body)?;
                message.trailers = self.section()?;
            }
            _ => return Err(invalid(format!("unclear framing: {message:?}"))),
        }
        Ok(())
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(&line, 16).map_err(|_| invalid(format!("chunk size {line}")))?;
            if size == 0 {
                return Ok(());
            }
            body.extend(self.read_exact(size)?);
            if self.read_exact(2)? != b"\r\n" {
                return Err(invalid("a chunk without its end"));
            }
        }
    }

    fn section(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(format!("field {line:?}")))?;
            let is_token = !name.is_empty() && !name.contains([' ', '\t']);
            if !is_token {
                return Err(invalid(format!("field name {name:?}")));
            }
            fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = self.read_until(b"\n")?;
        line.pop();
        if line.pop() != Some(b'\r') || line.iter().any(|&byte| byte < b' ' && byte != b'\t') {
            return Err(invalid("a line with a bare control byte"));
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, what.into())
}
