//! `forebay cors`: why a browser blocks a call, and which policy would not.

mod live;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use forebay_config::{Disk, Files, Loaded};
use forebay_cors::explain::{Call, CallError, Configured as Policy, Credentials, Mode, Report, har};
use forebay_cors::{DeniedCall, DeniedCalls, suggest};
use forebay_gateway::plan::Plan;
use forebay_gateway::stage;
use forebay_http::{RequestHead, Scheme};

use crate::asking;
use crate::cli::{Configured, exit};
use crate::configuration;
use crate::message::{Message, say};
use crate::root::Root;

#[derive(Args, Debug)]
pub(crate) struct CorsArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say what a browser makes of a call, step by step, and the smallest fix. Exits with 1 when it is blocked.
    Explain(ExplainArguments),
    /// Suggest settings from what a running Forebay has denied.
    Suggest(SuggestArguments),
}

#[derive(Args, Debug)]
struct ExplainArguments {
    /// What the page calls, for example `https://api.shop.example/orders/7`.
    #[arg(required_unless_present = "har")]
    url: Option<String>,
    /// The page's origin, for example `https://shop.example`.
    #[arg(long, required_unless_present = "har")]
    origin: Option<String>,
    /// The method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// A header that the script sets: `name`, or `name: value`.
    #[arg(long = "header", short = 'H', value_name = "NAME[: VALUE]")]
    headers: Vec<String>,
    /// The credentials option of fetch.
    #[arg(long, default_value = "same-origin", value_name = "omit|same-origin|include")]
    credentials: Credentials,
    /// The mode option of fetch.
    #[arg(long, default_value = "cors", value_name = "cors|no-cors|same-origin")]
    mode: Mode,
    /// Ask the server of the URL instead of the configuration.
    #[arg(long, conflicts_with = "har")]
    live: bool,
    /// Explain a browser's recording (HTTP Archive) instead.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "origin"])]
    har: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    configured: Configured,
}

#[derive(Args, Debug)]
struct SuggestArguments {
    /// The policy; all when not given.
    policy: Option<String>,
    #[command(flatten)]
    configured: Configured,
}

pub(crate) fn run(arguments: &CorsArguments) -> ExitCode {
    let done = match &arguments.what {
        What::Explain(explain) => match &explain.har {
            Some(file) => explain_recording(explain, file),
            None => explain_call(explain),
        },
        What::Suggest(suggest) => suggest_settings(suggest),
    };
    done.unwrap_or_else(|failed| {
        match failed {
            Failed::Message(message) => message.print(),
            // It has been said.
            Failed::Configuration => return exit::bad_configuration(),
        }
        exit::failed()
    })
}

enum Failed {
    Message(Message),
    Configuration,
}

impl From<Message> for Failed {
    fn from(message: Message) -> Failed {
        Failed::Message(message)
    }
}

fn explain_call(arguments: &ExplainArguments) -> Result<ExitCode, Failed> {
    let call = call(arguments)?;
    let report = if arguments.live { live::explain(call)? } else { offline(call, &arguments.configured)? };
    if arguments.json {
        say!("{:#}", report.to_json());
    } else {
        print(&report);
    }
    Ok(ExitCode::from(report.exit_code()))
}

fn call(arguments: &ExplainArguments) -> Result<Call, Message> {
    let (Some(origin), Some(url)) = (&arguments.origin, &arguments.url) else {
        return Err(Message::new("a call needs --origin and a URL"));
    };
    let message = |error: CallError| Message::new(error.to_string()).help(error.help());
    let call = Call::new(origin, url).and_then(|call| call.method(&arguments.method));
    let mut call = call.map_err(message)?;
    for header in &arguments.headers {
        call = call.header(header).map_err(message)?;
    }
    call.credentials = arguments.credentials;
    call.mode = arguments.mode;
    Ok(call)
}

/// By the policy of the route that the call would take.
fn offline(call: Call, configured: &Configured) -> Result<Report, Failed> {
    let Some((loaded, plan)) = configuration::read_or_complain(configured, &Disk) else {
        return Err(Failed::Configuration);
    };
    let Some(place) = policy_of(&plan, &call) else {
        return Err(Message::new(format!("no CORS policy holds for {} {}", call.method, call.url))
            .note("the service that answers decides about pages of other origins by itself")
            .help("give the route a `cors = \"NAME\"`, or ask the service with --live")
            .into());
    };
    let place_of = |origin| loaded.place(origin);
    let name = &*plan.cors[place].name;
    let settings = policies(&loaded).find(|(known, _)| *known == name).map(|(_, settings)| settings);
    let settings = settings.ok_or_else(|| Message::new(format!("policy {name} is not there any more")))?;
    Ok(Policy { name, settings, place: &place_of }.explain(&call))
}

fn policies(loaded: &Loaded<Root>) -> impl Iterator<Item = (&str, &forebay_cors::CorsSettings)> {
    loaded.value.cors.iter().map(|(name, settings)| (name.as_str(), settings))
}

fn policy_of(plan: &Plan, call: &Call) -> Option<usize> {
    let (scheme, rest) = call.url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    stage::cors_policy(plan, &RequestHead::new(&call.method, scheme, authority, &path))
}

fn print(report: &Report) {
    say!("{}", report.to_string().trim_end());
}

fn explain_recording(arguments: &ExplainArguments, file: &std::path::Path) -> Result<ExitCode, Failed> {
    let bytes = Disk
        .read(file)
        .map_err(|error| Message::new(format!("{} cannot be read: {error}", file.display())))?;
    let text = String::from_utf8_lossy(&bytes);
    let told = har::explain(&text, arguments.credentials).map_err(|error| {
        Message::new(format!("{}: {error}", file.display()))
            .help("save it in the browser's network panel as \"HAR with content\" or without")
    })?;
    let mut blocked = false;
    let mut documents = Vec::new();
    for told in &told {
        match told {
            har::Told::Report(report) => {
                blocked |= report.is_blocked();
                if arguments.json {
                    documents.push(report.to_json());
                } else {
                    say!("{} {}", report.call.method, report.call.url);
                    print(report);
                }
            }
            har::Told::Unanswered(call, sent) if !arguments.json => {
                say!("{} {}", call.method, call.url);
                say!("unknown: the recording has no answer to {} {}", sent.method, sent.url);
            }
            har::Told::Unanswered(..) => {}
        }
    }
    if arguments.json {
        say!("{:#}", serde_json::Value::from(documents));
    } else if told.is_empty() {
        say!("the recording has no calls to other origins");
    }
    Ok(if blocked { exit::failed() } else { ExitCode::SUCCESS })
}

fn suggest_settings(arguments: &SuggestArguments) -> Result<ExitCode, Failed> {
    let Some((loaded, _)) = configuration::read_or_complain(&arguments.configured, &Disk) else {
        return Err(Failed::Configuration);
    };
    let answer = asking::admin(loaded.value.admin.listen, "/cors?format=json")?;
    let answer: serde_json::Value = serde_json::from_str(&answer)
        .map_err(|error| Message::new(format!("the admin listener's answer is no JSON: {error}")))?;
    let wanted = arguments.policy.as_deref();
    if let Some(name) = wanted.filter(|name| policies(&loaded).all(|(known, _)| known != *name)) {
        let known: Vec<&str> = policies(&loaded).map(|(name, _)| name).collect();
        return Err(Message::new(format!("there is no policy {name}"))
            .help(format!("known here: {}", known.join(", ")))
            .into());
    }
    for (name, settings) in policies(&loaded).filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name))
    {
        let suggestion = suggest(settings, &denied(&answer, name));
        say!("[cors.{name}]");
        if suggestion.seen.is_empty() {
            say!("# nothing was denied since Forebay started");
        }
        suggestion.seen.iter().for_each(|seen| say!("# {seen}"));
        suggestion.left_out.iter().for_each(|why| say!("# left out: {why}"));
        suggestion.lines.iter().for_each(|line| say!("{line}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the running Forebay remembers of one policy.
fn denied(answer: &serde_json::Value, policy: &str) -> DeniedCalls {
    let all = answer["denied"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    all.iter()
        .filter(|call| call["policy"] == policy)
        .map(|call| DeniedCall {
            origin: text(&call["origin"]),
            method: text(&call["method"]),
            headers: call["headers"].as_array().into_iter().flatten().map(text).collect(),
            count: call["count"].as_u64().unwrap_or(1),
        })
        .collect()
}
