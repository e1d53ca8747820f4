//! What dig of BIND understands of the answers, over UDP and TCP.

use std::process::Command;

use forebay_telemetry::metrics::Exposition;

use super::served::Served;

/// What dig prints, without its banner. It gives up soon: a lost answer is a failure.
#[track_caller]
fn dig(served: &Served, arguments: &str) -> String {
    let mut dig = Command::new("dig");
    dig.args(["-r", "@127.0.0.1", "-p", &served.address.port().to_string()]);
    dig.args(["+tries=1", "+time=5", "+nocmd", "+nostats", "+nocookie"]);
    dig.args(arguments.split_whitespace());
    let output = dig.output().unwrap_or_else(|error| panic!("dig of bind9-dnsutils: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments}: {text}");
    for wrong in ["WARNING", "malformed", ";; Warning", "timed out"] {
        assert!(!text.contains(wrong), "{arguments}: {text}");
    }
    text
}

/// The records that dig prints, sorted, with single spaces.
fn records(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with(';') && !line.is_empty());
    let mut lines: Vec<String> =
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.sort();
    lines
}

#[track_caller]
fn check(served: &Served, arguments: &str, status: &str, expected: &[&str]) {
    let text = dig(served, arguments);
    assert!(text.contains(&format!("status: {status},")), "{arguments}: {text}");
    assert_eq!(records(&text), expected, "{arguments}");
}

#[test]
fn every_form_of_a_name_is_answered() {
    let served = Served::start();
    served.register("orders", "10.0.0.7", 8080);
    served.register("orders", "", 8081);
    served.register("search", "search.example.com", 443);
    for transport in ["+norec", "+norec +tcp", "+norec +noedns"] {
        let check = |name: &str, status: &str, expected: &[&str]| {
            check(&served, &format!("{transport} {name}"), status, expected);
        };
        check(
            "orders.service.consul",
            "NOERROR",
            &["orders.service.consul. 0 IN A 10.0.0.1", "orders.service.consul. 0 IN A 10.0.0.7"],
        );
        check(
            "_Orders._tcp.service.consul SRV",
            "NOERROR",
            &[
                "0a000007.addr.dc1.consul. 0 IN A 10.0.0.7",
                "_Orders._tcp.service.consul. 0 IN SRV 1 7 8080 0a000007.addr.dc1.consul.",
                "_Orders._tcp.service.consul. 0 IN SRV 1 7 8081 web1.node.dc1.consul.",
                "web1.node.dc1.consul. 0 IN A 10.0.0.1",
            ],
        );
        check("v1.orders.service.dc1.consul AAAA +noauthority", "NOERROR", &[]);
        check("v2.orders.service.consul +noauthority", "NXDOMAIN", &[]);
        check("search.service.consul", "NOERROR", &["search.service.consul. 0 IN CNAME search.example.com."]);
        check("web1.node.consul", "NOERROR", &["web1.node.consul. 0 IN A 10.0.0.1"]);
        check(
            "consul NS",
            "NOERROR",
            &["consul. 0 IN NS web1.node.dc1.consul.", "web1.node.dc1.consul. 0 IN A 10.0.0.1"],
        );
        check("example.com", "REFUSED", &[]);
        check("-x 10.0.0.7", "REFUSED", &[]);
    }
    let serial = served.handle.read(|registry| registry.count());
    check(
        &served,
        "+norec nothing.service.consul",
        "NXDOMAIN",
        &[&format!("consul. 0 IN SOA web1.node.dc1.consul. hostmaster.consul. {serial} 3600 600 86400 0")],
    );
}

#[test]
fn what_dig_may_add_to_a_query_is_taken() {
    let served = Served::start();
    let edns = dig(&served, "+norec +cookie +nsid +subnet=192.0.2.0/24 +dnssec web1.node.consul");
    assert!(edns.contains("EDNS: version: 0, flags: do; udp: 1232"), "{edns}");
    assert_eq!(records(&edns), ["web1.node.consul. 0 IN A 10.0.0.1"]);
    check(&served, "+norec +edns=1 +noednsneg web1.node.consul", "BADVERS", &[]);
    check(&served, "+norec +opcode=NOTIFY consul SOA", "NOTIMP", &[]);
    check(&served, "+norec -c CH version.bind TXT", "REFUSED", &[]);
    let transfer = dig(&served, "consul AXFR");
    assert!(transfer.contains("Transfer failed"), "{transfer}");
}

#[test]
fn a_truncated_answer_is_whole_over_tcp() {
    let served = Served::start();
    for number in 0..200 {
        served.register("many", &format!("10.1.0.{number}"), 8000);
    }
    // dig turns to TCP by itself, which is what stub resolvers do.
    assert_eq!(records(&dig(&served, "+norec many.service.consul")).len(), 200);
    let services = dig(&served, "+norec +noadditional many.service.consul SRV");
    assert_eq!(records(&services).len(), 200);
    let cut = |options: &str| {
        let text = dig(&served, &format!("+norec +ignore {options} many.service.consul"));
        let is_cut = text.lines().any(|line| line.starts_with(";; flags: qr aa tc;"));
        (records(&text).len(), is_cut)
    };
    assert_eq!(cut("+noedns"), (29, true));
    assert_eq!(cut("+bufsize=1232"), (74, true));
    assert_eq!(cut("+bufsize=8192"), (200, false), "loopback carries what is allowed");
    assert_eq!(cut("+tcp"), (200, false));
}

#[test]
fn one_connection_carries_several_queries() {
    let served = Served::start();
    served.register("orders", "10.0.0.7", 8080);
    let text = dig(&served, "+norec +tcp +keepopen +short orders.service.consul web1.node.consul +short");
    assert_eq!(text, "10.0.0.7\n10.0.0.1\n");
}

#[test]
fn queries_are_counted_by_type_and_code() {
    let served = Served::start();
    served.register("orders", "10.0.0.7", 8080);
    for arguments in [
        "+norec orders.service.consul",
        "+norec +tcp orders.service.consul",
        "+norec orders.service.consul SRV",
        "+norec nobody.service.consul",
        "+norec example.com",
        "+norec orders.service.consul TYPE4711",
        "+norec +opcode=notify orders.service.consul",
    ] {
        dig(&served, arguments);
    }
    let text = served.metrics.expose(Exposition::negotiate(None));
    for (kind, code, count) in [
        ("A", "NOERROR", 2),
        ("SRV", "NOERROR", 1),
        ("A", "NXDOMAIN", 1),
        ("A", "REFUSED", 1),
        ("other", "NOERROR", 1),
        ("A", "NOTIMP", 1),
    ] {
        let sample =
            format!("forebay_registry_dns_queries_total{{type=\"{kind}\",code=\"{code}\"}} {count}\n");
        assert!(text.contains(&sample), "{sample} in {text}");
    }
}
