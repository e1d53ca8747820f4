//! A name server on loopback that says what the test wants, over UDP and TCP.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use domain::base::iana::Rcode;
use domain::base::{Message, MessageBuilder, Name, Rtype};
use domain::rdata::{A, Aaaa, Srv};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

/// What is said about one name and type.
#[derive(Clone)]
pub(crate) enum Say {
    /// These addresses, each with its TTL in seconds.
    Addresses(Vec<(&'static str, u32)>),
    /// These targets: priority, weight, port, name.
    Services(Vec<(u16, u16, u16, &'static str)>),
    /// The same, with addresses of names that are said to be all there is, or only what is at hand.
    ServicesAlong {
        services: Vec<(u16, u16, u16, &'static str)>,
        along: Vec<(&'static str, &'static str, u32)>,
        authoritative: bool,
    },
    /// No record, and this code.
    Code(Rcode),
    /// Nothing at all over UDP.
    Nothing,
    /// The inner one, but over UDP only that it does not fit.
    Long(Box<Say>),
    /// The inner one, after a datagram with another id and other records.
    AfterForgery(Box<Say>),
}

/// What there is to say.
type Known = BTreeMap<(String, Rtype), Say>;
/// And what was asked, in that order.
type Zone = Arc<Mutex<(Known, Vec<(String, Rtype)>)>>;

/// Answers until dropped. What it was not told about does not exist.
pub(crate) struct DnsServer {
    pub(crate) address: SocketAddr,
    zone: Zone,
    _tasks: JoinSet<()>,
}

impl DnsServer {
    pub(crate) async fn start() -> DnsServer {
        let (udp, tcp) = bind_both().await;
        let address = udp.local_addr().unwrap();
        let zone = Zone::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, Arc::clone(&zone)));
        tasks.spawn(serve_tcp(tcp, Arc::clone(&zone)));
        DnsServer { address, zone, _tasks: tasks }
    }

    pub(crate) fn say(&self, name: &str, kind: Rtype, what: Say) {
        self.zone.lock().unwrap().0.insert((name.to_owned(), kind), what);
    }

    /// What was asked, sorted.
    pub(crate) fn asked(&self) -> Vec<(String, Rtype)> {
        let mut asked = self.zone.lock().unwrap().1.clone();
        asked.sort_unstable();
        asked
    }

    /// A records of TTL 0 and no AAAA.
    pub(crate) fn say_v4(&self, name: &str, addresses: &[&'static str]) {
        let addresses = addresses.iter().map(|&ip| (ip, 0)).collect();
        self.say(name, Rtype::A, Say::Addresses(addresses));
        self.say(name, Rtype::AAAA, Say::Code(Rcode::NOERROR));
    }

    pub(crate) fn say_code(&self, name: &str, code: Rcode) {
        self.say(name, Rtype::A, Say::Code(code));
        self.say(name, Rtype::AAAA, Say::Code(code));
    }
}

/// The kernel picks the UDP port; another process may hold the TCP port of that number.
async fn bind_both() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

async fn serve_udp(socket: UdpSocket, zone: Zone) {
    let mut buffer = [0; 1024];
    loop {
        let (len, peer) = socket.recv_from(&mut buffer).await.unwrap();
        let query = Message::from_octets(buffer[..len].to_vec()).unwrap();
        let say = lookup(&zone, &query);
        if let Say::Nothing = say {
            continue;
        }
        if let Say::AfterForgery(_) = &say {
            let mut forged = query.clone();
            forged.header_mut().set_id(!query.header().id());
            let forged = reply(&forged, &Say::Addresses(vec![("10.6.6.6", 60)]), true);
            socket.send_to(&forged, peer).await.unwrap();
        }
        socket.send_to(&reply(&query, &say, true), peer).await.unwrap();
    }
}

async fn serve_tcp(listener: TcpListener, zone: Zone) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let len = stream.read_u16().await.unwrap();
        let mut octets = vec![0; usize::from(len)];
        stream.read_exact(&mut octets).await.unwrap();
        let query = Message::from_octets(octets).unwrap();
        let reply = reply(&query, &lookup(&zone, &query), false);
        stream.write_u16(reply.len() as u16).await.unwrap();
        stream.write_all(&reply).await.unwrap();
    }
}

fn lookup(zone: &Zone, query: &Message<Vec<u8>>) -> Say {
    let question = query.sole_question().unwrap();
    let key = (question.qname().to_string(), question.qtype());
    let (known, asked) = &mut *zone.lock().unwrap();
    asked.push(key.clone());
    known.get(&key).cloned().unwrap_or(Say::Code(Rcode::NXDOMAIN))
}

fn reply(query: &Message<Vec<u8>>, say: &Say, udp: bool) -> Vec<u8> {
    let code = if let Say::Code(code) = say { *code } else { Rcode::NOERROR };
    let mut reply = MessageBuilder::new_vec().start_answer(query, code).unwrap();
    let owner = query.sole_question().unwrap().into_qname();
    match say {
        Say::Code(_) | Say::Nothing => {}
        Say::Addresses(addresses) => {
            for (ip, ttl) in addresses {
                match ip.parse().unwrap() {
                    IpAddr::V4(ip) => reply.push((&owner, *ttl, A::new(ip))).unwrap(),
                    IpAddr::V6(ip) => reply.push((&owner, *ttl, Aaaa::new(ip))).unwrap(),
                }
            }
        }
        Say::Services(services) | Say::ServicesAlong { services, .. } => {
            for &(priority, weight, port, target) in services {
                let target: Name<Vec<u8>> = target.parse().unwrap();
                reply.push((&owner, 20, Srv::new(priority, weight, port, target))).unwrap();
            }
        }
        Say::Long(_) if udp => reply.header_mut().set_tc(true),
        Say::Long(inner) | Say::AfterForgery(inner) => return self::reply(query, inner, udp),
    }
    let mut reply = reply.additional();
    if let Say::ServicesAlong { along, authoritative, .. } = say {
        reply.header_mut().set_aa(*authoritative);
        for (name, ip, ttl) in along {
            let name: Name<Vec<u8>> = name.parse().unwrap();
            match ip.parse().unwrap() {
                IpAddr::V4(ip) => reply.push((name, *ttl, A::new(ip))).unwrap(),
                IpAddr::V6(ip) => reply.push((name, *ttl, Aaaa::new(ip))).unwrap(),
            }
        }
    }
    reply.finish()
}
