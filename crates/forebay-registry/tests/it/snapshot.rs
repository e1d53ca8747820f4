//! What a node remembers over a restart, and what it says while its disk does not.

use std::time::Duration;

use forebay_registry::{
    CheckKind, CheckSpec, HttpCheck, InstanceState, Registration, RegistryError, Status, Topic,
};

use forebay_telemetry::metrics::{Exposition, Registry as Metrics};

use crate::support::{Scratch, instance, run, ttl};

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let mut scratch = Scratch::new();
    run(async {
        let first = scratch.start("web-1");
        let http = HttpCheck {
            url: "https://127.0.0.1:1/healthz?token=hush".into(),
            method: "POST".into(),
            header: [("Authorization".into(), vec!["Bearer hush".into()])].into(),
            body: "ping".into(),
            interval: Duration::from_secs(3600),
            timeout: Duration::from_secs(5),
            follows_redirects: false,
            tls_skip_verify: false,
            tls_server_name: "orders.internal".into(),
        };
        let checks = vec![ttl(60), CheckSpec { kind: CheckKind::Http(http), ..ttl(1) }];
        first.register(Registration { checks, ..instance("Orders", "o-1") }).await;
        first.register(instance("payments", "p-1")).await;
        first.register(instance("payments", "p-2")).await;
        first.handle.write(|registry, now| registry.deregister(now, "p-1")).await.unwrap();
        first
            .handle
            .write(|registry, now| registry.maintain(now, Some("p-2"), Some("disk swap")))
            .await
            .unwrap();
        let disk = CheckSpec { status: Status::Passing, ..ttl(60) };
        first.handle.write(|registry, now| registry.register_check(now, disk.clone(), None)).await.unwrap();
        let kept = first.handle.read(|registry| registry.me().clone());
        let index = first.handle.read(|registry| registry.count());
        drop(first);

        let second = scratch.start("web-1-renamed");
        let found = second.handle.read(|registry| registry.me().clone());
        assert_eq!(found.id, kept.id);
        assert_eq!((found.checks.len(), found.maintenance), (kept.checks.len(), None));
        assert_eq!(
            found.instances.keys().collect::<Vec<_>>(),
            ["o-1", "p-2"].map(Into::into).iter().collect::<Vec<_>>()
        );
        for (id, instance) in &found.instances {
            assert_eq!(
                (&*instance.node, &instance.registration),
                ("web-1-renamed", &kept.instances[id].registration)
            );
            assert_eq!(instance.maintenance, kept.instances[id].maintenance);
            for (id, check) in &instance.checks {
                let was = &kept.instances[&instance.id].checks[id];
                assert_eq!((&check.spec, check.status, &check.output), (&was.spec, was.status, &was.output));
            }
        }
        for topic in
            [Topic::Services, Topic::Service("orders".into()), Topic::Service("never".into()), Topic::Checks]
        {
            let now = second.handle.read(|registry| registry.index(&topic));
            assert!(now > index, "{topic:?} went back from {index} to {now}");
        }
    });
}

#[test]
fn what_checks_say_reaches_the_disk_by_itself() {
    let mut scratch = Scratch::new();
    run(async {
        let node = scratch.start("web-1");
        node.register(Registration { checks: vec![ttl(60)], ..instance("orders", "o-1") }).await;
        node.handle
            .touch(|registry, now| registry.report(now, "service:o-1", Status::Passing, "fine"))
            .unwrap();
        let reader = scratch.database.as_ref().unwrap().reader().unwrap();
        let is_stored = || {
            let query = "select body from registry_instances where id = 'o-1'";
            let body: String = reader.query_row(query, [], |row| row.get(0)).unwrap();
            body.contains(r#""output":"fine","status":"passing""#)
        };
        while !is_stored() {
            tokio::task::yield_now().await;
        }
        drop(node);
        let again = scratch.start("web-1");
        again.until("orders", &[("o-1", InstanceState::Ready)]).await;
    });
}

#[test]
fn a_full_disk_is_told_to_who_registers_and_stops_nobody_else() {
    let mut scratch = Scratch::new();
    run(async {
        let node = scratch.start("web-1");
        node.register(Registration { checks: vec![ttl(60)], ..instance("orders", "o-1") }).await;
        let writer = scratch.database.as_ref().unwrap().writer();
        let set_room = |pages: u32| {
            let writer = writer.clone();
            async move {
                let pragma = format!("pragma max_page_count = {pages}");
                writer.write(move |db| Ok(db.query_row(&pragma, [], |_| Ok(()))?)).await.unwrap();
            }
        };
        set_room(1).await;
        let large = || Registration { tags: vec!["x".repeat(250).into(); 100], ..instance("orders", "o-2") };
        let refused = node.handle.write(|registry, now| registry.register(now, large())).await.unwrap_err();
        assert!(matches!(refused, RegistryError::NotStored(_)), "{refused:?}");
        assert_eq!(refused.status(), 503);
        let metrics = Metrics::new(1);
        node.handle.measure(&metrics);
        let told = |sample: &str| {
            let text = metrics.expose(Exposition::negotiate(None));
            assert!(text.contains(&format!("forebay_registry_{sample}\n")), "{sample} in {text}");
        };
        told("store_up{store=\"disk\"} 0");
        told("instances{state=\"critical\"} 1");
        told("instances{state=\"ready\"} 1");
        told("nodes{state=\"held\"} 1");
        let report = &node.handle.stores()[0];
        assert!(report.failures > 0 && report.trouble.is_some(), "{report:?}");
        node.until("orders", &[("o-1", InstanceState::Critical), ("o-2", InstanceState::Ready)]).await;
        node.handle.touch(|registry, now| registry.report(now, "service:o-1", Status::Passing, "")).unwrap();
        node.until("orders", &[("o-1", InstanceState::Ready), ("o-2", InstanceState::Ready)]).await;
        set_room(100_000).await;
        node.register(large()).await;
        told("store_up{store=\"disk\"} 1");
        assert_eq!(node.handle.stores()[0].trouble, None);
        drop(node);
        // What is gone is not kept alive by who measures it; the task ends when it is next polled.
        while metrics.expose(Exposition::negotiate(None)).contains("forebay_registry_instances{") {
            tokio::task::yield_now().await;
        }
        let again = scratch.start("web-1");
        again.until("orders", &[("o-1", InstanceState::Ready), ("o-2", InstanceState::Ready)]).await;
    });
}
