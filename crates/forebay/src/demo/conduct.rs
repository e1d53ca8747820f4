//! Runs a demo from its first process to its summary.

use std::cell::RefCell;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use forebay_clock::{Clock, Moment};
use forebay_http::timer::Sweeper;
use forebay_supervise::{Child, Report, Stop, Watch, supervise};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, interval_at, sleep_until, timeout};

use super::cast;
use super::load;
use super::place::Place;
use super::ports::Ports;
use super::story::Story;
use super::summary::{Summary, summary};
use super::tally::{Numbers, Sample};
use super::view::{Occasion, View};
use crate::message::{Message, whole};

/// All processes serve within this time, or something is wrong.
const READY_WITHIN: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);

/// What the user wants.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How long the load lasts; until a signal when not given.
    pub(crate) lasts: Option<Duration>,
    /// The gateway's port; 0 is any free one.
    pub(crate) port: Option<u16>,
    /// Lines instead of a view in place.
    pub(crate) plain: bool,
}

/// What the demo's parts share. All on one thread.
struct Demo {
    clock: Clock,
    story: RefCell<Story>,
    numbers: RefCell<Numbers>,
    happened: Notify,
}

/// What asks for the end.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> io::Result<Signals> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Signals([interrupt?, terminate?, hangup?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Runs the demo: `program` is this executable, `scratch` where its directory is made.
pub(crate) async fn conduct(options: Options, program: &Path, scratch: &Path) -> Result<Summary, Message> {
    let mut signals = Signals::new().map_err(failed)?;
    let ports = Ports::reserve(options.port).map_err(|error| no_ports(options.port, &error))?;
    // Copied: the ports themselves are held until the end.
    let addresses = ports.addresses;
    let place = Place::make(scratch, &addresses).map_err(|error| {
        Message::new(format!("no directory for the demo in {}: {error}", scratch.display()))
            .note("the demo keeps its forebay.toml there while it runs")
            .help("set TMPDIR to a directory that you may write to")
    })?;
    let clock = Clock::system();
    let story = RefCell::new(Story::new(clock.now(), addresses));
    let demo = Rc::new(Demo { clock, story, numbers: RefCell::default(), happened: Notify::new() });
    let children = cast::children(program, &place, &addresses.instances);
    let (stop, stopped) = watch::channel(Stop::No);
    let mut supervised = pin!(supervise(children, &demo.clock, stopped, demo.watch()));
    let live = !options.plain && io::stdout().is_terminal();
    let mut view = View::new(place.file(), live);
    let sweeper = Sweeper::new(demo.clock.clone());
    let played = tokio::select! {
        played = demo.play(&options, &mut view, &mut signals, &sweeper) => played,
        () = &mut supervised => Err(Message::new("the supervisor ended before the demo")),
        () = sweeper.clone().run() => Err(Message::new("the timers ended before the demo")),
    };
    stop.send_replace(Stop::InOrder);
    loop {
        tokio::select! {
            () = &mut supervised => break,
            // Somebody is in a hurry.
            () = signals.next() => { stop.send_replace(Stop::Now); }
        }
    }
    view.close();
    let kept = place.leave();
    let loaded = played?;
    let kept = kept.map_err(failed)?;
    Ok(summary(&demo.story.borrow(), &demo.numbers.borrow().total, loaded, kept))
}

fn no_ports(wanted: Option<u16>, error: &io::Error) -> Message {
    match wanted {
        Some(port) => Message::new(format!("port {port} of 127.0.0.1 cannot be used: {error}"))
            .note("the gateway needs its port to itself")
            .help("choose another one, or leave out --port for one that is free"),
        None => Message::new(format!("no free port on 127.0.0.1: {error}")),
    }
}

fn failed(error: io::Error) -> Message {
    Message::new(whole(&error))
}

impl Demo {
    /// Tells the story what the supervisor sees.
    fn watch(self: &Rc<Demo>) -> Watch {
        let demo = self.clone();
        Rc::new(move |child: &Child, report: Report<'_>| {
            demo.story.borrow_mut().saw(demo.clock.now(), &child.name, report);
            demo.happened.notify_one();
        })
    }

    fn saw(&self, sample: &Sample) {
        self.numbers.borrow_mut().add(sample);
        if let Err(why) = &sample.result {
            self.story.borrow_mut().failed(self.clock.now(), why);
            self.happened.notify_one();
        }
    }

    /// Waits for the processes, then loads and shows them. Says how long the load lasted.
    async fn play(
        &self,
        options: &Options,
        view: &mut View,
        signals: &mut Signals,
        sweeper: &Sweeper,
    ) -> Result<Duration, Message> {
        tokio::select! {
            ready = timeout(READY_WITHIN, self.ready()) => ready.unwrap_or_else(|_| Err(self.not_ready()))?,
            () = signals.next() => return Ok(Duration::ZERO),
        }
        let began = self.clock.now();
        let (stop, stopped) = watch::channel(false);
        let address = self.story.borrow().addresses.gateway;
        let seen = |sample: Sample| self.saw(&sample);
        let mut load = pin!(load::run(address, sweeper, &stopped, &seen));
        tokio::select! {
            // It does not end by itself.
            () = &mut load => return Ok(self.clock.now() - began),
            () = self.show(options.lasts, view) => {}
            () = signals.next() => {}
        }
        stop.send_replace(true);
        load.await;
        self.numbers.borrow_mut().turn_second();
        Ok(self.clock.now() - began)
    }

    /// Until everybody serves, or somebody cannot.
    async fn ready(&self) -> Result<(), Message> {
        while !self.story.borrow().is_ready() {
            if self.story.borrow().deaths() > 0 {
                return Err(self.not_ready());
            }
            self.happened.notified().await;
        }
        Ok(())
    }

    fn not_ready(&self) -> Message {
        let mut told = Vec::new();
        for happening in self.story.borrow().happenings() {
            told.push(happening.text.clone());
            told.extend_from_slice(&happening.details);
        }
        Message::new("the demo's processes did not all start").note(told.join("\n           "))
    }

    /// Shows every second and every happening until the time is over or nobody looks any more.
    async fn show(&self, lasts: Option<Duration>, view: &mut View) {
        let began = Instant::now();
        if view.open(&mut self.story.borrow_mut()).is_err() {
            return;
        }
        let mut seconds = interval_at(began + SECOND, SECOND);
        let end = async {
            match lasts {
                Some(lasts) => sleep_until(began + lasts).await,
                None => std::future::pending().await,
            }
        };
        let mut end = pin!(end);
        loop {
            let occasion = tokio::select! {
                biased;
                _ = seconds.tick() => Occasion::Second,
                () = &mut end => return,
                () = self.happened.notified() => Occasion::Happening,
            };
            if occasion == Occasion::Second {
                self.numbers.borrow_mut().turn_second();
            }
            let now: Moment = self.clock.now();
            if view.show(now, &mut self.story.borrow_mut(), &self.numbers.borrow(), occasion).is_err() {
                return;
            }
        }
    }
}
