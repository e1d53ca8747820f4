//! `forebay explain`: why a setting is what it is, and what would happen to a request.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use forebay_auth::{Method, Question, Verdict as Known};
use forebay_config::{Disk, format_duration};
use forebay_gateway::plan::{Answer, Plan, Route, Service};
use forebay_gateway::stage::{Role, Verdict, decide};
use forebay_http::framing;
use forebay_http::problem::Problem;
use forebay_http::{RequestHead, Scheme};
use forebay_idempotency::Scope;

use crate::cli::{Configured, exit};
use crate::configuration;
use crate::message::{Message, say};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ExplainArguments {
    #[command(subcommand)]
    what: Option<What>,
    /// A setting, as `gateway.listen`, or a section.
    #[arg(required = true)]
    key: Option<String>,
    #[command(flatten)]
    configured: Configured,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print what every stage would decide on a request, without sending it.
    Request(RequestArguments),
}

#[derive(Args, Debug)]
struct RequestArguments {
    /// For example GET.
    method: String,
    /// For example `https://shop.example/api/products/7`.
    url: String,
    /// A header field, as in curl.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    #[command(flatten)]
    configured: Configured,
}

pub(crate) fn run(arguments: &ExplainArguments) -> ExitCode {
    match (&arguments.what, &arguments.key) {
        (Some(What::Request(request)), _) => explain_request(request),
        (None, Some(key)) => explain_key(key, &arguments.configured),
        (None, None) => exit::failed(),
    }
}

fn explain_key(key: &str, configured: &Configured) -> ExitCode {
    let loaded = match configuration::read(configured) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            eprintln!("{}", configuration::drawn(&diagnostics));
            return exit::bad_configuration();
        }
    };
    match loaded.explain(key) {
        Ok(explanations) => {
            let several = explanations.len() > 1;
            for explanation in explanations {
                if several {
                    say!("{}", explanation.key);
                }
                say!("{explanation}");
            }
            ExitCode::SUCCESS
        }
        Err(unknown) => {
            Message::new(unknown.to_string()).help("`forebay reference` lists all settings").print();
            exit::failed()
        }
    }
}

fn explain_request(arguments: &RequestArguments) -> ExitCode {
    let Some((loaded, plan)) = configuration::read_or_complain(&arguments.configured, &Disk) else {
        return exit::bad_configuration();
    };
    let head = match request_head(arguments) {
        Ok(head) => head,
        Err(message) => {
            message.print();
            return exit::failed();
        }
    };
    let framing = match framing::of_request(&head) {
        Ok(framing) => framing,
        Err(malformed) => {
            say!("{:<10} refused: {malformed}", "parse");
            return ExitCode::SUCCESS;
        }
    };
    let (role, local) = listener(&plan, &head);
    let decision = decide(&plan, &role, local, &head, framing);
    match (decision.route, role) {
        (Some(route), Role::Front) => {
            let place = loaded.place(loaded.value.route[route].pattern.origin);
            let pattern = plan.routes[route].pattern.to_string();
            say!("{:<10} {pattern:<38} {place}", "route");
        }
        (_, Role::Service(name)) => say!("{:<10} the local port of service {name}", "listener"),
        (None, Role::Front) => {}
    }
    if let Some(cors) = &decision.cors {
        say!("{:<10} {:<38} cors.{}", "cors", cors.decision().outcome().text(), plan.cors[cors.place].name);
    }
    if matches!(decision.verdict, Verdict::Own | Verdict::Forward(_)) {
        print_auth(&plan, decision.auth, &head);
    }
    if let Some(limit) = decision.limit.and_then(|route| plan.routes[route].rate_limit.as_ref()) {
        say!("{:<10} {limit}", "limit");
    }
    match decision.verdict {
        Verdict::Preflight(answer) => say!("{:<10} {} to the preflight", "answer", answer.status()),
        Verdict::Refuse(problem) => print_refusal(&problem),
        Verdict::Own => print_own(&plan, decision.route),
        Verdict::Forward(service) => {
            print_key(decision.route.map(|route| &plan.routes[route]), &head);
            print_service(&plan, decision.route, service);
        }
    }
    ExitCode::SUCCESS
}

/// The service port that the request is for, or else the front.
fn listener(plan: &Plan, head: &RequestHead) -> (Role, SocketAddr) {
    let port = head.authority().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(80);
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let is_loopback = ["127.0.0.1", "localhost", "[::1]"].contains(&head.host());
    let has_port = |service: &&Service| service.local.is_some_and(|local| local.port == port);
    match plan.services.iter().find(has_port).filter(|_| is_loopback) {
        Some(service) => (Role::Service(service.name.clone()), local),
        None => (Role::Front, local),
    }
}

fn request_head(arguments: &RequestArguments) -> Result<RequestHead, Message> {
    let (scheme, rest) = match arguments.url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        _ => {
            let message = Message::new(format!("{:?} is no absolute URL", arguments.url));
            return Err(message.help("write it as https://shop.example/path"));
        }
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let mut head = RequestHead::new(&arguments.method, scheme, authority, path);
    for header in &arguments.headers {
        let Some((name, value)) = header.split_once(':') else {
            let message = Message::new(format!("{header:?} is no header field"));
            return Err(message.help("write it as -H 'name: value'"));
        };
        if value.chars().any(char::is_control) {
            return Err(Message::new(format!("the value of {name} has a control character")));
        }
        head.fields_mut().append(name.trim(), value.trim().as_bytes());
    }
    Ok(head)
}

/// Who would be known to call, as far as that can be told without asking anybody.
fn print_auth(plan: &Plan, policy: Option<usize>, head: &RequestHead) {
    let Some(planned) = policy.map(|place| &plan.auth[place]) else {
        return say!("{:<10} none needed", "auth");
    };
    let policy = &planned.policy;
    let outcome = match policy.decide(head.fields(), planned.initial.as_deref(), SystemTime::now()) {
        Known::Allow(identity) => {
            let subject = identity.subject.as_deref().unwrap_or("unnamed");
            let consumer = identity.consumer.map(|consumer| format!(", consumer {consumer}"));
            format!("allowed: subject {subject}{}", consumer.unwrap_or_default())
        }
        Known::Refuse(refusal) => {
            let problem = policy.problem(&refusal);
            format!("refused: {}, {}", problem.status, refusal.outcome())
        }
        // The keys at hand are those of a file; others are fetched by a gateway that runs.
        Known::Ask(Question::Keys) if planned.initial.is_some() => "refused: 401, unknown key".into(),
        Known::Ask(Question::Keys) => "a token is there; whether it counts, the issuer's keys say".into(),
        Known::Ask(Question::Password(check)) => match check.run() {
            Some(identity) => {
                format!("allowed: subject {}", identity.subject.as_deref().unwrap_or("unnamed"))
            }
            None => "refused: 401, unknown credentials".into(),
        },
        Known::Ask(Question::Service) => match policy.method() {
            Method::Forward(forward) => format!("service {} is asked", forward.service),
            _ => "a service is asked".into(),
        },
    };
    say!("{:<10} {outcome:<38} auth.{}: {}", "auth", policy.name, policy.describe());
}

/// What an `Idempotency-Key` would do, where the route looks at them. Whether the key is known already, its store knows.
fn print_key(route: Option<&Route>, head: &RequestHead) {
    let Some((route, policy)) = route.and_then(|route| Some((route, route.idempotency.as_ref()?))) else {
        return;
    };
    let method = head.method_text();
    // Behind the stage before, there is a subject where one is needed.
    let outcome = match policy.identify(method, &route.name, Some(b"somebody"), head.fields()) {
        Ok(Some(_)) => "runs once, then its answer is repeated".to_owned(),
        Ok(None) if !matches!(method, "POST" | "PATCH") => format!("not looked at: {method} takes none"),
        Ok(None) => "none: runs each time it is sent".to_owned(),
        Err(refusal) => {
            let problem = refusal.problem();
            format!("refused: {}, {}", problem.status, problem.detail)
        }
    };
    let whose = match &policy.scope {
        Scope::Subject => "a key is its subject's".to_owned(),
        Scope::Header(name) => format!("a key is that of who sends the same {name}"),
        Scope::Anonymous => "a key is everybody's".to_owned(),
    };
    let required = if policy.required { ", required" } else { "" };
    say!("{:<10} {outcome:<38} {whose}{required}, kept for {}", "key", format_duration(policy.ttl));
}

fn print_refusal(problem: &Problem) {
    say!("{:<10} {} {}: {}", "refused", problem.status, problem.kind, problem.detail);
    if let Some(allow) = &problem.allow {
        say!("{:<10} {allow}", "allow");
    }
}

fn print_own(plan: &Plan, route: Option<usize>) {
    match route.map(|route| &plan.routes[route].answer) {
        Some(Answer::Redirect { status, to }) => say!("{:<10} {status} redirect to {to}", "answer"),
        Some(Answer::Static { status, content_type, body }) => {
            say!("{:<10} {status} {content_type}, {} bytes", "answer", body.len());
        }
        _ => {}
    }
}

fn print_service(plan: &Plan, route: Option<usize>, service: usize) {
    let service = &plan.services[service];
    let sources: Vec<String> = service.definition.sources.iter().map(ToString::to_string).collect();
    say!("{:<10} {}: {}, {}", "service", service.name, sources.join(", "), service.balance.policy);
    let budget = f64::from(service.budget.ratio_permille) / 10.0;
    let deadline = route.map(|route| plan.routes[route].timeout).unwrap_or_default();
    say!(
        "{:<10} {} attempts, another endpoint each, budget {budget}%, deadline {deadline:?}",
        "retry",
        service.retry.attempts_max
    );
}
