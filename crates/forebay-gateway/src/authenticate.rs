//! The stage that finds out who calls: asks the policy, asks whom the policy says to ask, and tells the service. Decides
//! nothing: that is `forebay-auth`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use forebay_auth::{
    Flaw, Identity, Material, Method, PasswordCheck, Policy, Question, Refusal, Silence, Verdict,
};
use forebay_clock::Moment;
use forebay_http::Name;
use forebay_http::problem::Problem;
use forebay_http::server::Request;

use crate::core::Core;
use crate::generation::CoreGeneration;
use crate::plan::AuthPolicy;
use crate::sources::Wanted;
use crate::subrequest::{self, Unanswered};
use crate::visit::Visit;

/// How long a request waits for keys that are being fetched: longer than an issuer takes, shorter than clients wait.
const KEYS_TIME: Duration = Duration::from_secs(3);
/// Looks at keys that a request may need: those that came while it asked, those of a fetch that was under way, which may
/// bring what was there before, and those of one that it had begun.
const LOOKS_MAX: usize = 3;
/// How long a request waits for its password to be checked.
const PASSWORD_TIME: Duration = Duration::from_secs(5);

/// A caller that is known, as the request goes on with it.
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    pub(crate) policy: Arc<Policy>,
}

/// Finds out who calls; the request goes on with what the service is to know of that, or ends with a problem.
pub(crate) async fn authenticate(
    core: &Core,
    generation: &Rc<CoreGeneration>,
    place: usize,
    request: &mut Request<'_>,
    visit: &mut Visit<'_>,
) -> Result<(), Box<Problem>> {
    let planned = &generation.shared.plan.auth[place];
    let asking = Asking { core, generation, place, planned };
    let found = asking.identify(request, visit).await;
    generation.shared.auth[place].metrics.record(core.metrics, found.as_ref().err());
    match found {
        Ok(identity) => {
            tell(request, planned, &identity);
            // Boxed, as all that is rare: every request carries the room for what is not.
            visit.caller = Some(Box::new(Caller { identity, policy: planned.policy.clone() }));
            Ok(())
        }
        Err(refusal) => {
            visit.auth = Some(refusal.outcome());
            Err(Box::new(planned.policy.problem(&refusal)))
        }
    }
}

/// Gives the service the caller's name, and takes the credentials off if it is not to have them.
fn tell(request: &mut Request<'_>, planned: &AuthPolicy, identity: &Identity) {
    let fields = request.head.fields_mut();
    if !planned.policy.forward_credentials {
        for name in planned.policy.credentials() {
            fields.remove_named(name);
        }
    }
    let own = [(Name::ForebaySubject, &identity.subject), (Name::ForebayConsumer, &identity.consumer)];
    for (name, text) in own {
        if let Some(text) = text {
            fields.add(name, text.as_bytes());
        }
    }
    for (name, value) in &identity.copied {
        fields.append(name, value);
    }
}

struct Asking<'a> {
    core: &'a Core,
    generation: &'a Rc<CoreGeneration>,
    place: usize,
    planned: &'a AuthPolicy,
}

impl Asking<'_> {
    async fn identify(&self, request: &Request<'_>, visit: &Visit<'_>) -> Result<Identity, Refusal> {
        match self.decide(request, self.material().as_deref()) {
            Verdict::Allow(identity) => Ok(identity),
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::Ask(Question::Keys) => self.wait_for_keys(request).await,
            Verdict::Ask(Question::Password(check)) => self.check_password(check, request).await,
            Verdict::Ask(Question::Service) => self.ask_service(request, visit).await,
        }
    }

    fn decide(&self, request: &Request<'_>, material: Option<&Material>) -> Verdict {
        self.planned.policy.decide(request.head.fields(), material, SystemTime::now())
    }

    fn material(&self) -> Option<Arc<Material>> {
        self.generation.material(self.place, self.core.now())
    }

    /// Has newer keys fetched, if that was not done lately, and decides once more.
    async fn wait_for_keys(&self, request: &Request<'_>) -> Result<Identity, Refusal> {
        let Some(live) = &self.generation.shared.auth[self.place].live else {
            return Err(Policy::without_keys(None));
        };
        // That the issuer has no such key is true only if it was asked.
        let without = |material: Option<&Material>| match live.is_out_of_reach() {
            true => Refusal::SourceDown,
            false => Policy::without_keys(material),
        };
        let until = self.core.now() + KEYS_TIME;
        for _ in 0..LOOKS_MAX {
            let seen = self.generation.material_version(self.place);
            let (fetched, is_last) = match live.want(seen, self.core.now()) {
                Wanted::Newer => (None, false),
                Wanted::Running(fetched) => (Some(fetched), false),
                Wanted::Begins(fetched) => (Some(fetched), true),
                Wanted::Nothing => break,
            };
            let is_in_time = match fetched {
                Some(fetched) => request.timer.within(until, fetched.wait()).await.is_some(),
                None => true,
            };
            match self.decide(request, self.material().as_deref()) {
                Verdict::Allow(identity) => return Ok(identity),
                Verdict::Refuse(refusal) => return Err(refusal),
                Verdict::Ask(_) if !is_in_time => return Err(Refusal::SourceDown),
                Verdict::Ask(_) if is_last => break,
                Verdict::Ask(_) => {}
            }
        }
        Err(without(self.material().as_deref()))
    }

    /// Checks a password on a thread of its own, unless it was right a moment ago, on whichever core. A wrong one costs a
    /// whole check each time, so what is remembered shortens no answer but a right one.
    async fn check_password(&self, check: PasswordCheck, request: &Request<'_>) -> Result<Identity, Refusal> {
        let policy = &self.planned.policy;
        let question = check.digest(policy.fingerprint());
        if let Some(identity) = self.remembered(&question).or_else(|| self.known_elsewhere(question)) {
            return Ok(identity);
        }
        let desk = &self.core.passwords;
        let turn = desk.line_up().ok_or(Refusal::Busy)?;
        let until = self.core.now() + PASSWORD_TIME;
        let permit = request.timer.within(until, turn.wait()).await.flatten().ok_or(Refusal::Busy)?;
        // Of many that came at once with the same password, the first had it checked.
        if let Some(identity) = self.known_elsewhere(question) {
            return Ok(identity);
        }
        let (desk, now) = (desk.clone(), self.core.now());
        let until = now + policy.password_cache();
        // The permit goes along: a check whose client has left still takes a core. Others are told before it is given
        // back, so that who gets it next need not check the same.
        let checked = tokio::task::spawn_blocking(move || {
            let found = check.run();
            if let Some(identity) = found.as_ref().filter(|_| now < until) {
                desk.keep(question, identity.clone(), until, now);
            }
            drop(permit);
            found
        });
        let identity = checked.await.map_err(|_| Refusal::SourceDown)?.ok_or(Flaw::Unknown)?;
        self.remember(question, &identity, until);
        Ok(identity)
    }

    /// Whose password another core knows this to be; this one knows it from now on, and for no longer.
    fn known_elsewhere(&self, question: forebay_auth::Digest) -> Option<Identity> {
        let (identity, until) = self.core.passwords.find(&question, self.core.now())?;
        self.generation.shared.auth[self.place].metrics.record_cached(self.core.metrics);
        self.remember(question, &identity, until);
        Some(identity)
    }

    async fn ask_service(&self, request: &Request<'_>, visit: &Visit<'_>) -> Result<Identity, Refusal> {
        let (Method::Forward(forward), Some(service)) = (self.planned.policy.method(), self.planned.service)
        else {
            return Err(Refusal::SourceDown);
        };
        let plan = &self.generation.shared.plan;
        let route = visit.route.map_or("", |route| &plan.routes[route].name);
        let question = forward.digest(self.planned.policy.fingerprint(), route, &request.head);
        if let Some(identity) = question.as_ref().and_then(|question| self.remembered(question)) {
            return Ok(identity);
        }
        let head = forward.subrequest(&request.head);
        let until = self.core.now() + forward.timeout;
        let answer = subrequest::ask(self.core, self.generation, service, head, request.timer, until).await;
        let (answer, from) = answer.map_err(|Unanswered { silence, detail }| {
            self.say(silence, detail);
            silence
        })?;
        let identity = forward.answer(&answer).inspect_err(|refusal| {
            if let Refusal::Unanswered(silence) = refusal {
                self.say(*silence, format!("{from}: it answered {}", answer.status()));
            }
        })?;
        if let (Some(question), Some(cache)) = (question, forward.cache) {
            self.remember(question, &identity, self.core.now() + cache);
        }
        Ok(identity)
    }

    /// Tells those who run it that the service which decides is silent.
    fn say(&self, silence: Silence, detail: String) {
        let place = Silence::ALL.iter().position(|known| *known == silence).unwrap_or_default();
        let may_say = self.generation.shared.auth[self.place].silences[place].may_say(self.core.now());
        let Some(unsaid) = may_say else { return };
        tracing::warn!(
            policy = &*self.planned.policy.name,
            reason = silence.outcome(),
            detail,
            unsaid,
            "the service that decides gave no answer that counts; the request was refused"
        );
    }

    fn remembered(&self, question: &forebay_auth::Digest) -> Option<Identity> {
        let identity = self.core.remembered.borrow().get(question, self.core.now())?;
        self.generation.shared.auth[self.place].metrics.record_cached(self.core.metrics);
        Some(identity)
    }

    fn remember(&self, question: forebay_auth::Digest, identity: &Identity, until: Moment) {
        let now = self.core.now();
        if now < until {
            self.core.remembered.borrow_mut().keep(question, identity.clone(), until, now);
        }
    }
}
