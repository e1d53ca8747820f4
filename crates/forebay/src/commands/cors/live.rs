//! Asks a server what it says to a browser: sends what the browser would send, and reads heads alone.

use std::future::poll_fn;
use std::io;

use forebay_cors::explain::{Answer, Call, Inquiry, Next, Report, Sent};
use forebay_http::client::{Connection, TlsTarget};
use forebay_http::parse::HeadLimits;
use forebay_http::writer::Delimit;
use forebay_http::{RequestHead, ResponseHead, Scheme, tls};
use rustls::pki_types::ServerName;

use crate::asking::{ASK_TIME, run};
use crate::message::{Message, whole};

/// Explains a call by what the servers on its way answer.
pub(super) fn explain(call: Call) -> Result<Report, Message> {
    let mut inquiry = Inquiry::new(call);
    loop {
        match inquiry.next() {
            Next::Done(report) => return Ok(*report),
            Next::Send(sent) => {
                let answer = ask(&sent)?;
                inquiry.answer(sent, answer);
            }
        }
    }
}

fn ask(sent: &Sent) -> Result<Answer, Message> {
    let Some(Target { scheme, authority, path }) = Target::of(&sent.url) else {
        return Err(Message::new(format!("{} is no http or https URL", sent.url)));
    };
    let mut head = RequestHead::new(&sent.method, scheme, authority, &path);
    for (name, value) in sent.lines() {
        head.fields_mut().append(name, &value);
    }
    let unreachable = |error: &dyn std::error::Error| {
        Message::new(format!("{authority} cannot be asked: {}", whole(error)))
            .note("a browser would report this as a failed connection, which is no matter of CORS")
            .help("check the URL, or leave --live out to ask the configuration")
    };
    let answered = run(async |sweeper| {
        let timer = sweeper.timer();
        let until = timer.now() + ASK_TIME;
        timer.within(until, exchange(&head, scheme, authority, &timer)).await.unwrap_or_else(|| {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {ASK_TIME:?}")))
        })
    })?;
    let head = answered.map_err(|error| unreachable(&error))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = head.fields().iter().map(|(_, name, value)| (text(name), text(value))).collect();
    Ok(Answer { status: head.status(), headers })
}

async fn exchange(
    request: &RequestHead,
    scheme: Scheme,
    authority: &str,
    timer: &forebay_http::timer::Timer,
) -> io::Result<ResponseHead> {
    let (host, port) = host_and_port(authority, scheme);
    let tls = match scheme {
        Scheme::Http => None,
        Scheme::Https => {
            let config = tls::client_config(None).map_err(io::Error::other)?;
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            Some(TlsTarget { config, name })
        }
    };
    let address = tokio::net::lookup_host((host, port)).await?.next();
    let address = address.ok_or_else(|| io::Error::other("the name has no address"))?;
    let until = timer.now() + ASK_TIME;
    let opened = Connection::open(address, tls.as_ref(), HeadLimits::default(), timer, until).await;
    let mut connection = opened.map_err(io::Error::other)?;
    connection.start_request(request, Delimit::None, None);
    poll_fn(|cx| connection.request_body().poll_flush(cx)).await.map_err(io::Error::other)?;
    loop {
        let head = poll_fn(|cx| connection.poll_head(cx)).await.map_err(io::Error::other)?;
        if head.status() >= 200 {
            return Ok(head);
        }
    }
}

/// What a URL leads to.
struct Target<'u> {
    scheme: Scheme,
    authority: &'u str,
    path: String,
}

impl<'u> Target<'u> {
    fn of(url: &'u str) -> Option<Target<'u>> {
        let (scheme, rest) = match url.split_once("://")? {
            ("http", rest) => (Scheme::Http, rest),
            ("https", rest) => (Scheme::Https, rest),
            _ => return None,
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        (!authority.is_empty()).then_some(Target { scheme, authority, path })
    }
}

fn host_and_port(authority: &str, scheme: Scheme) -> (&str, u16) {
    let default = if scheme == Scheme::Https { 443 } else { 80 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => match port.parse() {
            Ok(port) => (host, port),
            // A colon of an address in brackets.
            Err(_) => (authority, default),
        },
        None => (authority, default),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let parts = |url| {
            let Target { scheme, authority, path } = Target::of(url)?;
            let (host, port) = host_and_port(authority, scheme);
            Some((host.to_owned(), port, path))
        };
        assert_eq!(parts("https://a.example"), Some(("a.example".to_owned(), 443, "/".to_owned())));
        assert_eq!(parts("http://a.example:81?b"), Some(("a.example".to_owned(), 81, "/?b".to_owned())));
        assert_eq!(parts("http://[::1]/x"), Some(("::1".to_owned(), 80, "/x".to_owned())));
        assert_eq!(parts("http://[::1]:8080/x"), Some(("::1".to_owned(), 8080, "/x".to_owned())));
        assert_eq!(parts("ftp://a.example"), None);
    }
}
