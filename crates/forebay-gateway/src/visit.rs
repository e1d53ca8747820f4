//! What is remembered of one request for the access log and the metrics.

use std::time::SystemTime;

use forebay_clock::Moment;
use forebay_http::forwarded::Client;
use forebay_http::problem::{Fault, Problem};
use forebay_http::server::Peer;
use forebay_http::trace::TraceContext;
use forebay_http::{RequestHead, ResponseHead};
use forebay_shutdown::InFlight;
use forebay_telemetry::access::{AccessRecord, Extra, Failure, Side};

use crate::authenticate::Caller;
use crate::cors::CrossOrigin;

/// Facts of one request, filled in stage by stage.
pub(crate) struct Visit<'p> {
    pub(crate) received: Moment,
    pub(crate) trace: TraceContext,
    pub(crate) client: Client,
    pub(crate) route: Option<usize>,
    pub(crate) service: Option<usize>,
    /// What pages of other origins may make of the answer.
    pub(crate) cors: Option<CrossOrigin<'p>>,
    /// Who calls, on protected routes.
    pub(crate) caller: Option<Box<Caller>>,
    /// Why nobody was known to call.
    pub(crate) auth: Option<&'static str>,
    /// What became of its `Idempotency-Key`.
    pub(crate) idempotency: Option<&'static str>,
    /// Where the last attempt went.
    pub(crate) endpoint: Option<std::net::SocketAddr>,
    pub(crate) attempts: u32,
    /// Of the response that was begun.
    pub(crate) status: Option<u16>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// From the start of the last attempt to its response's head, in nanoseconds.
    pub(crate) upstream_ns: Option<u64>,
    pub(crate) failure: Option<(Side, &'static str)>,
    /// Until it ends, or becomes a tunnel, which is counted as such.
    pub(crate) counted: Option<InFlight>,
}

impl Visit<'_> {
    pub(crate) fn new(received: Moment, trace: TraceContext, client: Client, counted: InFlight) -> Self {
        Visit {
            received,
            trace,
            client,
            route: None,
            service: None,
            cors: None,
            caller: None,
            auth: None,
            idempotency: None,
            endpoint: None,
            attempts: 0,
            status: None,
            bytes_in: 0,
            bytes_out: 0,
            upstream_ns: None,
            failure: None,
            counted: Some(counted),
        }
    }

    /// Makes an answer say what pages of other origins may do with it; returns how many fields it took off.
    pub(crate) fn dress(&self, head: &mut ResponseHead) -> usize {
        self.cors.as_ref().map_or(0, |cors| cors.dress(head))
    }

    /// Whose `Idempotency-Key` a request has, where it was found out: with the policy, because another one may give the
    /// same name to somebody else.
    pub(crate) fn subject(&self) -> Option<Vec<u8>> {
        let Caller { identity, policy } = self.caller.as_deref()?;
        Some(format!("{}:{}", policy.name, identity.subject.as_deref()?).into_bytes())
    }

    pub(crate) fn fail(&mut self, problem: &Problem) {
        self.failure = Some((side(problem.fault), problem.kind));
    }
}

fn side(fault: Fault) -> Side {
    match fault {
        Fault::Client => Side::Client,
        Fault::Forebay => Side::Forebay,
        Fault::Upstream => Side::Upstream,
    }
}

/// The line for a request that was no valid HTTP: all that is known is who sent it and what it was told.
pub(crate) fn refusal<'a>(peer: &Peer, problem: &Problem) -> AccessRecord<'a> {
    AccessRecord {
        client: Some(peer.address.ip().to_canonical()),
        status: Some(problem.status),
        failure: Some(Failure { side: side(problem.fault), reason: problem.kind }),
        ..AccessRecord::begun(SystemTime::now())
    }
}

/// Names that the record borrows from the plan.
pub(crate) struct Names<'a> {
    pub(crate) route: &'a str,
    pub(crate) service: &'a str,
    pub(crate) endpoint: &'a str,
}

/// The line for the access log. The query is left out: it may carry secrets.
pub(crate) fn record<'a>(
    visit: &'a Visit<'_>,
    head: &'a RequestHead,
    names: Names<'a>,
    now: Moment,
) -> AccessRecord<'a> {
    let duration = now.since(visit.received);
    let mut extra = Extra::new();
    if let Some(outcome) = visit.cors.as_ref().and_then(CrossOrigin::outcome) {
        extra.push("cors", outcome);
    }
    if let Some(caller) = &visit.caller {
        let subject = caller.identity.subject.as_deref().filter(|_| caller.policy.log_subject);
        let consumer = caller.identity.consumer.as_deref().filter(|_| caller.policy.logs_consumer());
        let named = [("subject", subject), ("consumer", consumer)];
        for (name, text) in named {
            if let Some(text) = text {
                extra.push(name, text);
            }
        }
    }
    if let Some(outcome) = visit.auth {
        extra.push("auth", outcome);
    }
    if let Some(outcome) = visit.idempotency {
        extra.push("idempotency", outcome);
    }
    let begun = SystemTime::now().checked_sub(duration).unwrap_or(SystemTime::UNIX_EPOCH);
    AccessRecord {
        duration,
        client: Some(visit.client.address),
        method: head.method_text().as_bytes(),
        host: head.authority().as_bytes(),
        path: head.path().as_bytes(),
        protocol: head.version().text(),
        status: visit.status,
        bytes_in: visit.bytes_in,
        bytes_out: visit.bytes_out,
        route: names.route,
        service: names.service,
        endpoint: names.endpoint,
        attempts: visit.attempts,
        upstream: visit.upstream_ns.map(std::time::Duration::from_nanos),
        trace_id: visit.trace.trace_id,
        failure: visit.failure.map(|(side, reason)| Failure { side, reason }),
        extra,
        ..AccessRecord::begun(begun)
    }
}
