//! What policies decide by, kept up to date: key sets fetched from issuers, files looked at now and then. Live state, found
//! by the policy's name; a reload takes it over as long as it comes from the same place.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use forebay_auth::{Digest, Freshness, Material, Policy, Source, digest};
use forebay_clock::{Clock, Moment};
use forebay_discovery::Resolve;
use forebay_http::timer::Sweeper;
use forebay_telemetry::date::rfc3339;
use forebay_telemetry::metrics::{Desc, Registry, Unit};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};

use crate::fetch_keys::{FETCH_TIME, fetch_keys};
use crate::plan::{AuthPolicy, Plan};

/// Requests that wait for the keys of one policy. Beyond it they are refused at once.
const WAITING_MAX: usize = 256;

const AGE: Desc<1> = Desc::new(
    "auth_material_age_seconds",
    "Age of what a policy decides by: its key set, or its file as last read.",
    ["policy"],
)
.unit(Unit::Seconds);
const USABLE: Desc<1> = Desc::new(
    "auth_material_usable",
    "1 while a policy has something to decide by, 0 while it refuses everybody.",
    ["policy"],
);
const FETCHES: Desc<2> =
    Desc::new("auth_material_fetches", "Fetches of what policies decide by.", ["policy", "outcome"]);

/// All of them. Cloning shares them.
#[derive(Clone, Default)]
pub struct Sources(Arc<Shared>);

#[derive(Default)]
struct Shared {
    entries: Mutex<BTreeMap<Arc<str>, Entry>>,
    /// A fetch may be due sooner than it was.
    sooner: Arc<Notify>,
}

#[derive(Clone)]
struct Entry {
    policy: Arc<Policy>,
    tls: Option<Arc<rustls::ClientConfig>>,
    live: Arc<LiveSource>,
}

/// How it stands with what one policy decides by, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceReport {
    /// The policy's name.
    pub policy: Arc<str>,
    /// Since the last that was good; `None` when there never was any.
    pub age: Option<Duration>,
    /// Whether it counts.
    pub is_usable: bool,
    /// How long it has not been to be had, and why not the last time.
    pub failing: Option<(Duration, Box<str>)>,
}

/// One policy's, as the cores share it.
pub(crate) struct LiveSource {
    held: Mutex<Held>,
    /// Counts what was put in force, so that cores know without the lock.
    version: AtomicU64,
    freshness: Mutex<Freshness>,
    /// Counts fetches that have ended, for those who wait for one.
    ended: watch::Sender<u64>,
    waiting: Arc<AtomicUsize>,
    sooner: Arc<Notify>,
    fetched: AtomicU64,
    failed: AtomicU64,
}

/// Material, and until when it may be used.
#[derive(Clone, Default)]
pub(crate) struct Held {
    pub(crate) version: u64,
    pub(crate) material: Option<Arc<Material>>,
    pub(crate) until: Moment,
    /// Of the text it was read from.
    text: Option<Digest>,
    /// Why the last text was none, so that it is told once.
    trouble: Option<Box<str>>,
}

/// What becomes of a wish for newer material.
pub(crate) enum Wanted {
    /// It is in force already.
    Newer,
    /// A fetch was under way, and may bring what was there before the wish.
    Running(Fetched),
    /// A fetch begins now.
    Begins(Fetched),
    /// None comes soon enough to wait for it.
    Nothing,
}

/// A wait for a fetch.
pub(crate) struct Fetched {
    ended: watch::Receiver<u64>,
    waiting: Arc<AtomicUsize>,
}

impl Fetched {
    /// Until the fetch has ended, however it did.
    pub(crate) async fn wait(mut self) {
        // A sender that is gone will bring nothing.
        let _ = self.ended.changed().await;
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LiveSource {
    fn new(policy: &Policy, sooner: Arc<Notify>) -> LiveSource {
        let (refresh, keep) = policy.ages();
        LiveSource {
            held: Mutex::default(),
            version: AtomicU64::new(0),
            freshness: Mutex::new(Freshness::new(refresh, keep)),
            ended: watch::Sender::new(0),
            waiting: Arc::default(),
            sooner,
            fetched: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn latest(&self) -> Held {
        lock(&self.held).clone()
    }

    /// Whether whoever has the material could not be asked lately.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        lock(&self.freshness).is_failing()
    }

    /// Asks for newer material than that of version `seen`.
    pub(crate) fn want(&self, seen: u64, now: Moment) -> Wanted {
        // What is under this lock is one: a fetch either has not ended, or its material is in force.
        let mut freshness = lock(&self.freshness);
        if self.version() != seen {
            return Wanted::Newer;
        }
        let ended = self.ended.subscribe();
        let (is_running, comes) = (freshness.is_running(), freshness.want(now));
        drop(freshness);
        // In any case: there may be a time from which on it is due.
        self.sooner.notify_one();
        let fetched = Fetched { ended, waiting: self.waiting.clone() };
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        match comes && ahead < WAITING_MAX {
            true if is_running => Wanted::Running(fetched),
            true => Wanted::Begins(fetched),
            false => Wanted::Nothing,
        }
    }

    /// What came is in force, and who waits for it is told, at once.
    fn succeed(&self, material: Arc<Material>, text: Option<Digest>, now: Moment) {
        let mut freshness = lock(&self.freshness);
        freshness.succeeded(now);
        let mut held = lock(&self.held);
        let version = self.version() + 1;
        let until = freshness.usable_until();
        *held = Held { version, material: Some(material), until, text, trouble: None };
        self.version.store(version, Ordering::Release);
        self.ended.send_modify(|ended| *ended += 1);
    }

    /// Nothing came, and who waits for it is told, at once.
    fn fail(&self, now: Moment) {
        let mut freshness = lock(&self.freshness);
        freshness.failed(now);
        self.ended.send_modify(|ended| *ended += 1);
    }

    fn report(&self, policy: &Arc<str>, now: Moment) -> SourceReport {
        let freshness = lock(&self.freshness);
        let (age, is_usable) = (freshness.age(now), now < freshness.usable_until());
        let since = freshness.failing_since();
        drop(freshness);
        let trouble = lock(&self.held).trouble.clone();
        let failing = since.zip(trouble).map(|(since, why)| (now.since(since), why));
        SourceReport { policy: policy.clone(), age, is_usable, failing }
    }

    /// Says so, once, when what there was has become too old.
    fn tell_if_it_runs_out(&self, policy: &Policy, now: Moment) {
        if !lock(&self.freshness).runs_out(now) {
            return;
        }
        let SourceReport { age, failing, .. } = self.report(&policy.name, now);
        let (failing_for, error) = failing.unwrap_or_default();
        tracing::error!(
            policy = &*policy.name,
            last_good = ago(age.unwrap_or_default()),
            failing_since = ago(failing_for),
            error = &*error,
            "what callers are known by is too old to count; they are refused until it can be had again"
        );
    }

    fn end(&self, policy: &Policy, name: &Path, text: Result<Vec<u8>, String>, now: Moment) {
        let read = text.and_then(|text| {
            let known = Some(digest([&text[..]]));
            let same = lock(&self.held).clone();
            match same.material {
                Some(material) if same.text == known => Ok((material, known, false)),
                _ => {
                    let material = policy.read(name, &text).map_err(|error| error.to_string())?;
                    Ok((Arc::new(material), known, true))
                }
            }
        });
        match read {
            Ok((material, text, is_new)) => {
                let had_trouble = lock(&self.held).trouble.is_some();
                self.fetched.fetch_add(1, Ordering::Relaxed);
                self.succeed(material, text, now);
                if is_new || had_trouble {
                    tracing::info!(policy = &*policy.name, from = %name.display(), "callers are known by this now");
                }
            }
            Err(trouble) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                self.tell_trouble(policy, name, trouble);
                self.fail(now);
            }
        }
    }

    /// Says why nothing came, once for the same reason.
    fn tell_trouble(&self, policy: &Policy, name: &Path, trouble: String) {
        let mut held = lock(&self.held);
        if held.trouble.as_deref() != Some(&*trouble) {
            tracing::warn!(
                policy = &*policy.name,
                from = %name.display(),
                error = trouble,
                has_last_good = held.material.is_some(),
                "what callers are known by could not be read; the last good one counts as long as it may"
            );
            held.trouble = Some(trouble.into());
        }
    }
}

impl Sources {
    /// Takes over the policies of a plan; what the same places have brought stays.
    pub(crate) fn apply(&self, plan: &Plan, now: Moment) -> Vec<Option<Arc<LiveSource>>> {
        let mut entries = lock(&self.0.entries);
        entries.retain(|name, _| plan.auth.iter().any(|auth| auth.policy.name == *name));
        let apply = |auth: &AuthPolicy| {
            auth.policy.source()?;
            let AuthPolicy { policy, tls, initial, initial_text, .. } = auth;
            let known = entries.get(&policy.name).filter(|known| {
                known.policy.source_fingerprint() == policy.source_fingerprint()
                    && known.policy.ages() == policy.ages()
            });
            let live = match known {
                Some(known) => known.live.clone(),
                None => Arc::new(LiveSource::new(policy, self.0.sooner.clone())),
            };
            if let Some(material) = initial {
                lock(&live.freshness).begin(now);
                live.succeed(material.clone(), *initial_text, now);
            }
            let entry = Entry { policy: policy.clone(), tls: tls.clone(), live: live.clone() };
            entries.insert(policy.name.clone(), entry);
            Some(live)
        };
        let live = plan.auth.iter().map(apply).collect();
        self.0.sooner.notify_one();
        live
    }

    /// Fetches whatever is due, for ever. Files are read through `read`.
    pub async fn run(
        &self,
        sweeper: &Sweeper,
        resolver: &impl Resolve,
        read: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
    ) {
        let timer = sweeper.timer();
        let mut running = FuturesUnordered::new();
        loop {
            let (due, next) = self.due(sweeper.now());
            for entry in due {
                running.push(async move {
                    let Entry { policy, tls, live } = entry;
                    let (name, text) = match policy.source() {
                        Some(Source::File(path)) => {
                            (path.to_path_buf(), read(path).map_err(|error| error.to_string()))
                        }
                        Some(Source::Url(url)) => {
                            let timer = sweeper.timer();
                            let until = sweeper.now() + FETCH_TIME;
                            let fetched = timer.within(until, fetch_keys(url, tls, resolver, &timer, until));
                            let text = fetched.await;
                            (
                                url.to_string().into(),
                                text.unwrap_or_else(|| Err("no answer in time".to_owned())),
                            )
                        }
                        None => return,
                    };
                    live.end(&policy, &name, text, sweeper.now());
                });
            }
            tokio::select! {
                Some(()) = running.next(), if !running.is_empty() => {}
                () = self.0.sooner.notified() => {}
                () = timer.sleep_until(next) => {}
            }
        }
    }

    /// What is due now, marked as begun; and when there is something to do next. What has become too old is told of.
    fn due(&self, now: Moment) -> (Vec<Entry>, Moment) {
        let entries = lock(&self.0.entries);
        let mut next = Moment::NEVER;
        let mut due = Vec::new();
        for entry in entries.values() {
            entry.live.tell_if_it_runs_out(&entry.policy, now);
            let mut freshness = lock(&entry.live.freshness);
            if freshness.due() <= now {
                freshness.begin(now);
                due.push(entry.clone());
            }
            next = next.min(freshness.due()).min(freshness.runs_out_at());
        }
        (due, next)
    }

    /// How it stands with what each policy decides by, where it needs something.
    pub fn reports(&self, now: Moment) -> Vec<SourceReport> {
        lock(&self.0.entries).iter().map(|(name, entry)| entry.live.report(name, now)).collect()
    }

    /// Shows age and fetches to whoever reads metrics.
    pub(crate) fn observe(&self, registry: &Registry, clock: &Clock) {
        let (sources, time) = (self.clone(), clock.clone());
        registry.observe_gauges(AGE, move |values| {
            for (name, entry) in &*lock(&sources.0.entries) {
                if let Some(age) = lock(&entry.live.freshness).age(time.now()) {
                    values.set([name], age.as_secs_f64());
                }
            }
        });
        let (sources, time) = (self.clone(), clock.clone());
        registry.observe_gauges(USABLE, move |values| {
            for (name, entry) in &*lock(&sources.0.entries) {
                let is_usable = time.now() < lock(&entry.live.freshness).usable_until();
                values.set([name], f64::from(u8::from(is_usable)));
            }
        });
        let sources = self.clone();
        registry.observe_counters(FETCHES, move |values| {
            for (name, Entry { live, .. }) in &*lock(&sources.0.entries) {
                values.set([name, "ok"], live.fetched.load(Ordering::Relaxed) as f64);
                values.set([name, "failed"], live.failed.load(Ordering::Relaxed) as f64);
            }
        });
    }
}

/// The moment so long ago, as logs write it.
fn ago(time: Duration) -> String {
    let then = SystemTime::now().checked_sub(time).unwrap_or(SystemTime::UNIX_EPOCH);
    String::from_utf8_lossy(&rfc3339(then)).into_owned()
}

#[cfg(test)]
mod tests;
