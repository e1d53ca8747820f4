//! What is said of material that has become too old, and when.

use std::collections::BTreeMap;

use forebay_auth::AuthSettings;
use forebay_config::{Inputs, Name, Settings, load};
use forebay_testkit::Issuer;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;

/// The whole file.
#[derive(Debug, Settings)]
struct Root {
    /// Policies.
    auth: BTreeMap<Name, AuthSettings>,
}

/// Keeps every event as one text.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Subscriber for Heard {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(format!("{}", event.metadata().level()));
        event.record(&mut text);
        lock(&self.0).push(text.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

fn policy() -> Arc<Policy> {
    let text = "[auth.customers]\njwt = { jwks = 'https://login.example/jwks', audience = 'shop', refresh = '10s', \
                keep = '1m' }\n";
    let read = |_: &Path| Ok(text.as_bytes().to_vec());
    let inputs = Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() };
    let loaded = load::<Root>(inputs).expect("settings");
    Arc::new(Policy::new("customers", &loaded.value.auth["customers"]).expect("a policy"))
}

fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(seconds)
}

/// What the sources keep of a policy that they have just been told of.
fn kept(sources: &Sources, policy: &Arc<Policy>) -> Arc<LiveSource> {
    let live = Arc::new(LiveSource::new(policy, sources.0.sooner.clone()));
    let entry = Entry { policy: policy.clone(), tls: None, live: live.clone() };
    lock(&sources.0.entries).insert(policy.name.clone(), entry);
    live
}

#[test]
fn that_keys_are_too_old_to_count_is_told_once_with_since_when_and_why() {
    let (policy, sources, heard) = (policy(), Sources::default(), Heard::default());
    let live = kept(&sources, &policy);
    let end = |text: Result<Vec<u8>, &str>, second| {
        lock(&live.freshness).begin(at(second));
        live.end(&policy, Path::new("jwks"), text.map_err(str::to_owned), at(second));
    };
    let report = |second| sources.reports(at(second)).remove(0);
    let due = |second| {
        tracing::subscriber::with_default(heard.clone(), || sources.due(at(second)).1);
        std::mem::take(&mut *lock(&heard.0))
    };
    assert_eq!((report(0).age, report(0).is_usable, report(0).failing), (None, false, None));
    end(Ok(Issuer::jwks(&[&Issuer::es256("1")]).into_bytes()), 0);
    assert!(report(9).is_usable && report(9).failing.is_none());
    end(Err("the issuer answers 503"), 10);
    end(Err("connecting failed"), 40);
    let failing = Some((Duration::from_secs(49), "connecting failed".into()));
    assert_eq!((report(59).is_usable, report(59).failing), (true, failing));
    assert_eq!(due(59), Vec::<String>::new());
    // A fetch is under way, which changes nothing.
    let told = due(60);
    let [line] = told.as_slice() else { panic!("{told:?}") };
    for part in [
        "ERROR",
        "policy=\"customers\"",
        "error=\"connecting failed\"",
        "message=what callers are known by is too old to count",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    let second = |key: &str| {
        let text = line.split(&format!("{key}=\"")).nth(1).and_then(|rest| rest.split('"').next());
        let text = text.unwrap_or_else(|| panic!("no {key} in {line}"));
        text[..text.len() - 5].to_owned()
    };
    assert!(second("last_good") < second("failing_since"), "{line}");
    assert_eq!(due(61), Vec::<String>::new(), "once");
    assert!(!report(61).is_usable);
    assert_eq!(report(61).age, Some(Duration::from_secs(61)));
    end(Ok(Issuer::jwks(&[&Issuer::es256("1")]).into_bytes()), 70);
    assert_eq!((report(70).is_usable, report(70).failing), (true, None));
    assert_eq!(due(131).len(), 1, "and once again the next time");
}

#[test]
fn whoever_fetches_wakes_up_when_keys_become_too_old() {
    let (policy, sources) = (policy(), Sources::default());
    let live = kept(&sources, &policy);
    lock(&live.freshness).begin(at(0));
    live.end(&policy, Path::new("jwks"), Ok(Issuer::jwks(&[&Issuer::es256("1")]).into_bytes()), at(0));
    assert_eq!(sources.due(at(1)).1, at(10), "the next fetch");
    assert_eq!(sources.due(at(55)).0.len(), 1, "it begins");
    assert_eq!(sources.due(at(56)).1, at(60), "and while it runs, the keys run out");
}

#[test]
fn keys_that_came_while_somebody_asked_are_looked_at_before_others_are_fetched() {
    let (policy, sources) = (policy(), Sources::default());
    let live = kept(&sources, &policy);
    let end = |text: Result<Vec<u8>, String>, second| live.end(&policy, Path::new("jwks"), text, at(second));
    lock(&live.freshness).begin(at(0));
    let Wanted::Running(first) = live.want(0, at(0)) else { panic!("a fetch is under way") };
    end(Ok(Issuer::jwks(&[&Issuer::es256("1")]).into_bytes()), 0);
    assert!(first.ended.has_changed().unwrap());
    assert!(matches!(live.want(0, at(1)), Wanted::Newer), "whoever saw none has not seen these");
    let (due, next) = sources.due(at(1));
    assert_eq!((due.len(), next), (0, at(10)), "and has nothing fetched");
    let Wanted::Begins(second) = live.want(1, at(2)) else { panic!("nothing was fetched for anybody yet") };
    assert!(!second.ended.has_changed().unwrap(), "the end of the first is not waited for");
    assert_eq!(sources.due(at(2)).0.len(), 1);
    end(Err("connecting failed".to_owned()), 2);
    assert!(second.ended.has_changed().unwrap());
    assert!(matches!(live.want(1, at(2)), Wanted::Nothing), "a fetch that failed is not tried again at once");
    assert_eq!(live.waiting.load(Ordering::Relaxed), 2, "who waits no more has left");
}
