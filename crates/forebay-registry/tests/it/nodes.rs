//! Nodes that share a real PostgreSQL: they see each other, and are killed, cut off and mistaken for each other.

use forebay_registry::{CheckKind, CheckSpec, HttpCheck, InstanceState, Lease, Registration, Status, Topic};
use forebay_testkit::{Cable, PATIENCE, ScratchPostgres};

use crate::support::{Running, instance, run, ttl};

const READY: InstanceState = InstanceState::Ready;
const CRITICAL: InstanceState = InstanceState::Critical;

fn database(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

/// As if the time of a node's lease had passed.
fn end_lease(url: &str, node: &str) {
    let update = "update forebay.registry_nodes set until = now() - interval '1 second' where name";
    ScratchPostgres::shared().sql(database(url), &format!("{update} = '{node}'"));
}

/// Waits until the shared store is in trouble, or is not; what the trouble is.
async fn until_store(node: &Running, in_trouble: bool) -> String {
    loop {
        let trouble = node.handle.stores().into_iter().find_map(|report| report.trouble);
        if trouble.is_some() == in_trouble {
            return trouble.map(|trouble| trouble.error).unwrap_or_default();
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn nodes_see_each_other_and_what_changes() {
    let url = ScratchPostgres::shared().database();
    run(async {
        let (one, two) = (Running::node("web-1", "id-1", &url), Running::node("Web-2", "id-2", &url));
        one.register(Registration { checks: vec![ttl(60)], ..instance("orders", "o-1") }).await;
        two.register(instance("orders", "o-2")).await;
        for node in [&one, &two] {
            node.until("orders", &[("o-1", CRITICAL), ("o-2", READY)]).await;
        }
        one.handle
            .touch(|registry, now| registry.report(now, "service:o-1", Status::Passing, "fine"))
            .unwrap();
        two.until("orders", &[("o-1", READY), ("o-2", READY)]).await;
        two.handle.write(|registry, now| registry.maintain(now, None, Some("kernel"))).await.unwrap();
        one.until("orders", &[("o-1", READY), ("o-2", InstanceState::Maintenance)]).await;
        one.handle.write(|registry, now| registry.deregister(now, "o-1")).await.unwrap();
        two.until("orders", &[("o-2", InstanceState::Maintenance)]).await;
        let (registration, lease) = one.handle.read(|registry| {
            let node = registry.node("WEB-2").unwrap();
            (node.instances["o-2"].registration.clone(), node.lease)
        });
        assert_eq!((registration, lease), (instance("orders", "o-2"), Lease::Held));
    });
}

#[test]
fn others_get_no_secrets() {
    let url = ScratchPostgres::shared().database();
    run(async {
        let (one, two) = (Running::node("web-1", "id-1", &url), Running::node("web-2", "id-2", &url));
        let http = HttpCheck {
            header: [("Authorization".into(), vec!["hush".into()])].into(),
            body: "hush".into(),
            ..HttpCheck::get("http://127.0.0.1:1/healthz?token=hush", PATIENCE, PATIENCE)
        };
        let checks = vec![CheckSpec { kind: CheckKind::Http(http), ..ttl(1) }];
        one.register(Registration { checks, ..instance("orders", "o-1") }).await;
        two.until("orders", &[("o-1", CRITICAL)]).await;
        let all =
            ScratchPostgres::shared().sql(database(&url), "select body from forebay.registry_instances");
        assert!(all.contains("healthz") && !all.contains("hush"), "{all}");
    });
}

#[test]
fn nobody_vouches_for_the_instances_of_a_killed_node_until_it_is_back() {
    let url = ScratchPostgres::shared().database();
    run(async {
        let (one, two) = (Running::node("web-1", "id-1", &url), Running::node("web-2", "id-2", &url));
        one.register(instance("orders", "o-1")).await;
        two.until("orders", &[("o-1", READY)]).await;
        let left = "select extract(epoch from until - now()) between 5 and 10 from forebay.registry_nodes where name = 'web-1'";
        assert_eq!(ScratchPostgres::shared().sql(database(&url), left), "t");
        drop(one);
        end_lease(&url, "web-1");
        two.until("orders", &[("o-1", CRITICAL)]).await;
        let why = two.handle.read(|registry| registry.instances_of("orders").next().unwrap().why());
        assert!(why.unwrap().contains("nobody vouches for it"));
        let one = Running::node("web-1", "id-1", &url);
        one.register(instance("orders", "o-1")).await;
        two.until("orders", &[("o-1", READY)]).await;
    });
}

#[test]
fn a_node_that_is_cut_off_keeps_what_it_knows_and_tells_what_it_missed_to_tell() {
    let server = ScratchPostgres::shared();
    let url = server.database();
    let cable = Cable::to(([127, 0, 0, 1], server.port()).into());
    let cut_url = url.replace(&format!(":{}/", server.port()), &format!(":{}/", cable.address().port()));
    run(async {
        let (one, two) = (Running::node("web-1", "id-1", &cut_url), Running::node("web-2", "id-2", &url));
        one.register(instance("orders", "o-1")).await;
        two.register(instance("orders", "o-2")).await;
        for node in [&one, &two] {
            node.until("orders", &[("o-1", READY), ("o-2", READY)]).await;
        }
        cable.cut();
        one.register(instance("orders", "o-3")).await;
        two.register(instance("orders", "o-4")).await;
        end_lease(&url, "web-1");
        two.until("orders", &[("o-1", CRITICAL), ("o-2", READY), ("o-4", READY)]).await;
        // Silence of the store takes nothing away: neither its own nor what it heard.
        one.until("orders", &[("o-1", READY), ("o-3", READY), ("o-2", READY)]).await;
        assert_ne!(until_store(&one, true).await, "", "it says why");
        cable.mend();
        for node in [&one, &two] {
            node.until("orders", &[("o-1", READY), ("o-3", READY), ("o-2", READY), ("o-4", READY)]).await;
            until_store(node, false).await;
        }
    });
}

#[test]
fn a_store_that_restarts_makes_everybody_read_anew() {
    let server = ScratchPostgres::start();
    let url = server.database();
    run(async {
        let (one, two) = (Running::node("web-1", "id-1", &url), Running::node("web-2", "id-2", &url));
        one.register(instance("orders", "o-1")).await;
        two.until("orders", &[("o-1", READY)]).await;
        server.crash();
        one.register(instance("orders", "o-2")).await;
        one.handle.write(|registry, now| registry.deregister(now, "o-1")).await.unwrap();
        server.restart();
        two.until("orders", &[("o-2", READY)]).await;
    });
}

#[test]
fn a_name_belongs_to_the_node_that_renews_it() {
    let url = ScratchPostgres::shared().database();
    run(async {
        let (one, two) = (Running::node("web-1", "id-1", &url), Running::node("web-2", "id-2", &url));
        one.register(instance("orders", "o-1")).await;
        two.until("orders", &[("o-1", READY)]).await;
        let thief = Running::node("WEB-1", "id-3", &url);
        thief.register(instance("orders", "o-9")).await;
        // It has tried, and is told so, before it hears of the others.
        thief.until("orders", &[("o-9", READY)]).await;
        let other = Topic::Node("web-2".into());
        let until = thief.handle.clock().now() + PATIENCE;
        two.register(instance("payments", "p-1")).await;
        thief.until("payments", &[("p-1", READY)]).await;
        let trouble = until_store(&thief, true).await;
        assert_eq!(trouble, "another process is registered there under this node's name");
        thief.handle.changed(&other, 0, until).await;
        two.until("orders", &[("o-1", READY)]).await;
        let holder = "select id from forebay.registry_nodes where name = 'web-1'";
        assert_eq!(ScratchPostgres::shared().sql(database(&url), holder), "id-1");
        // Once it is free, it may be taken, and what stood under it is gone.
        drop(one);
        end_lease(&url, "web-1");
        two.until("orders", &[("o-9", READY)]).await;
        until_store(&thief, false).await;
    });
}
