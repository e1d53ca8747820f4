//! What belongs to the client's connection alone, taken off a request before anything is added to it.

use forebay_http::framing::{self, Framing};
use forebay_http::{Name, RequestHead, Version, forwarded};

/// What the next hop has to know of the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    /// The protocol the client wants to switch to.
    pub(crate) upgrade: Option<Box<[u8]>>,
    /// The client waits for a 100 before it sends its body.
    pub(crate) expects_continue: bool,
}

impl Hop {
    /// Takes the hop-by-hop fields off and makes the head fit for another hop. Before Forebay adds fields of its own,
    /// so that no client can have them removed by naming them in `Connection`.
    pub(crate) fn leave(head: &mut RequestHead, framing: Framing) -> Hop {
        let hop = Hop {
            upgrade: wanted_upgrade(head, framing),
            expects_continue: framing::expects_continue(head, framing),
        };
        let takes_trailers = framing::takes_trailers(head.fields());
        let authority = head.target_authority().map(str::to_owned);
        let fields = head.fields_mut();
        fields.remove_hop_by_hop();
        fields.remove_framing();
        if takes_trailers {
            fields.add(Name::Te, b"trailers");
            fields.add(Name::Connection, b"te");
        }
        if !hop.expects_continue {
            fields.remove(Name::Expect);
        }
        if let Some(authority) = authority {
            // The target's authority overrules the Host field (RFC 9112 §3.2.2).
            fields.set("host", authority.as_bytes());
        }
        fields.add(Name::Via, forwarded::VIA.as_bytes());
        hop
    }
}

/// The wish of a request, where it can be granted: HTTP/1.1, no body, and not `h2c`, behind which requests would pass
/// unseen.
fn wanted_upgrade(head: &RequestHead, framing: Framing) -> Option<Box<[u8]>> {
    if framing != Framing::None || head.version() != Version::Http11 {
        return None;
    }
    let protocol = head.fields().get(Name::Upgrade)?;
    let is_h2c = forebay_http::fields::list(protocol).any(|name| name.eq_ignore_ascii_case(b"h2c"));
    (!is_h2c && head.fields().lists(Name::Connection, "upgrade")).then(|| protocol.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_http::Scheme;

    fn leave(fields: &[(&str, &str)]) -> (Hop, Vec<String>) {
        let mut head = RequestHead::new("GET", Scheme::Http, "a", "/");
        for (name, value) in fields {
            head.fields_mut().append(name, value.as_bytes());
        }
        let hop = Hop::leave(&mut head, Framing::None);
        let names = head.fields().iter().map(|(_, name, _)| String::from_utf8_lossy(name).into_owned());
        (hop, names.collect())
    }

    #[test]
    fn fields_of_the_connection_stay_behind() {
        let (hop, left) =
            leave(&[("connection", "x-mine, close"), ("x-mine", "1"), ("keep-alive", "1"), ("b", "2")]);
        assert_eq!(hop, Hop::default());
        assert_eq!(left, ["host", "b", "via"]);
    }

    #[test]
    fn a_websocket_may_switch_and_h2c_may_not() {
        let upgrade = |protocol| leave(&[("connection", "Upgrade"), ("upgrade", protocol)]).0.upgrade;
        assert_eq!(upgrade("websocket").as_deref(), Some(&b"websocket"[..]));
        assert_eq!(upgrade("h2c"), None);
        assert_eq!(upgrade("websocket, H2C"), None);
        assert_eq!(leave(&[("upgrade", "websocket")]).0.upgrade, None);
    }

    #[test]
    fn trailers_are_asked_for_hop_by_hop() {
        assert_eq!(leave(&[("te", "trailers, deflate")]).1, ["host", "te", "connection", "via"]);
    }
}
