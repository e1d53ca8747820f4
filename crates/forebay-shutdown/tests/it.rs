//! Claims about a stop: its phases, its counts, its words.

use std::thread;
use std::time::Duration;

use forebay_clock::Moment;
use forebay_shutdown::{
    Actions, Announcement, Count, End, Error, Event, Kind, Machine, POLL_EVERY, Phase, Progress, SIGNAL_ECHO,
    Settings, Shutdown, Signal, Summary,
};
use proptest::prelude::*;

const SIGTERM: Event = Event::Signal(Signal::Terminate);
const DELAY: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_secs(25);

fn at(seconds: f64) -> Moment {
    Moment::START + Duration::from_secs_f64(seconds)
}

fn machine() -> Machine {
    Machine::new(Settings::new(DELAY, GRACE).expect("the delay is shorter"))
}

fn in_flight(requests: u32, tunnels: u32) -> Progress {
    let mut progress = Progress::default();
    progress[Kind::Connection].in_flight = requests + tunnels;
    progress[Kind::Request].in_flight = requests;
    progress[Kind::Tunnel].in_flight = tunnels;
    progress
}

fn enters(actions: Actions) -> Option<Phase> {
    actions.enter
}

#[test]
fn a_stop_goes_through_its_phases_and_ends_when_drained() {
    let (mut machine, busy) = (machine(), in_flight(3, 0));
    let running = machine.step(at(0.5), Event::Woke, &busy);
    assert_eq!(running, Actions { enter: None, wake_at: Moment::NEVER, stopped: None });
    let lame_duck = machine.step(at(1.0), SIGTERM, &busy);
    assert_eq!(lame_duck, Actions { enter: Some(Phase::LameDuck), wake_at: at(3.0), stopped: None });
    assert_eq!(enters(machine.step(at(2.9), Event::Woke, &in_flight(0, 0))), None, "the delay is kept");
    let draining = machine.step(at(3.0), Event::Woke, &busy);
    assert_eq!(enters(draining), Some(Phase::Draining));
    assert_eq!(draining.wake_at, at(3.0) + POLL_EVERY);
    assert_eq!(enters(machine.step(at(3.1), Event::Woke, &busy)), None);
    let stopped = machine.step(at(3.5), Event::Woke, &in_flight(0, 0));
    assert_eq!((stopped.enter, stopped.wake_at), (Some(Phase::Stopped), Moment::NEVER));
    let summary = stopped.stopped.unwrap();
    assert_eq!((summary.end, summary.took), (End::Drained, Duration::from_millis(2500)));
    assert_eq!(summary.exit_code(), 0);
    let after = machine.step(at(9.0), SIGTERM, &busy);
    assert_eq!(after, Actions { enter: None, wake_at: Moment::NEVER, stopped: None });
}

#[test]
fn the_grace_is_never_exceeded_and_still_exits_with_0() {
    let (mut machine, busy) = (machine(), in_flight(2, 1));
    machine.step(at(0.0), SIGTERM, &busy);
    machine.step(at(2.0), Event::Woke, &busy);
    assert_eq!(machine.step(at(24.995), Event::Woke, &busy).wake_at, at(25.0));
    let summary = machine.step(at(25.0), Event::Woke, &busy).stopped.unwrap();
    assert_eq!((summary.end, summary.exit_code()), (End::GracePassed, 0));
    assert_eq!((summary.cut_off(Kind::Request), summary.cut_off(Kind::Tunnel)), (2, 1));
}

#[test]
fn a_second_signal_ends_at_once_in_any_phase() {
    for seconds in [1.0, 10.0] {
        let (mut machine, busy) = (machine(), in_flight(2, 0));
        machine.step(at(0.0), SIGTERM, &busy);
        machine.step(at(seconds), Event::Woke, &busy);
        let actions = machine.step(at(seconds), Event::Signal(Signal::Interrupt), &busy);
        assert_eq!(enters(actions), Some(Phase::Stopped));
        assert_eq!(actions.stopped.unwrap().exit_code(), 130);
    }
}

#[test]
fn the_echo_of_a_signal_is_not_a_second_one() {
    let (mut machine, busy) = (machine(), in_flight(2, 0));
    machine.step(at(0.0), Event::Signal(Signal::Interrupt), &busy);
    let echo = Moment::START + (SIGNAL_ECHO - Duration::from_nanos(1));
    assert_eq!(enters(machine.step(echo, SIGTERM, &busy)), None);
}

#[test]
fn an_open_listener_or_connection_keeps_a_drain_waiting() {
    for kind in Kind::ALL {
        let mut progress = Progress::default();
        progress[kind].in_flight = 1;
        let mut machine = Machine::new(Settings::default());
        machine.step(at(0.0), SIGTERM, &progress);
        assert_eq!(enters(machine.step(at(0.0), Event::Woke, &progress)), Some(Phase::Draining));
        assert_eq!(enters(machine.step(at(1.0), Event::Woke, &progress)), None, "{kind:?}");
    }
}

#[test]
fn a_grace_shorter_than_the_delay_is_refused() {
    let error = Settings::new(GRACE, DELAY).unwrap_err();
    assert_eq!(error, Error::GraceTooShort { accept_delay: GRACE, grace: DELAY });
    assert_eq!(error.to_string(), "shutdown grace of 2s is over before its accept delay of 25s");
}

proptest! {
    #[test]
    fn a_stop_only_moves_forward_and_ends_in_time(
        steps in prop::collection::vec((0..3000u64, prop::bool::weighted(0.1), 0..3u32), 1..100),
    ) {
        let (mut machine, mut phase, mut now) = (machine(), Phase::Running, Moment::START);
        let mut deadline = Moment::NEVER;
        for (pause_ms, signal, requests) in steps {
            // A caller keeps its appointments.
            let actions = machine.step(now, if signal { SIGTERM } else { Event::Woke }, &in_flight(requests, 0));
            if let Some(entered) = actions.enter {
                prop_assert!(entered > phase);
                prop_assert_eq!(actions.stopped.is_some(), entered == Phase::Stopped);
                if phase == Phase::Running {
                    deadline = now + GRACE;
                }
                phase = entered;
            }
            prop_assert!(phase == Phase::Stopped || now < deadline);
            prop_assert!(phase == Phase::Stopped || actions.wake_at <= deadline);
            now = actions.wake_at.min(now + Duration::from_millis(pause_ms));
        }
    }
}

#[test]
fn each_phase_answers_the_data_plane() {
    let check = |phase, is_ready, is_accepting, closes_connections| {
        let shutdown = Shutdown::new();
        shutdown.enter(phase);
        let answers = (shutdown.is_ready(), shutdown.is_accepting(), shutdown.closes_connections());
        assert_eq!(answers, (is_ready, is_accepting, closes_connections), "{phase:?}");
    };
    check(Phase::Running, true, true, false);
    check(Phase::LameDuck, false, true, true);
    check(Phase::Draining, false, false, true);
    check(Phase::Stopped, false, false, true);
}

#[test]
fn subscribers_hear_of_every_step_forward_and_of_no_other() {
    let shutdown = Shutdown::new();
    let mut phases = shutdown.subscribe();
    assert!(!phases.has_changed().unwrap());
    shutdown.enter(Phase::Draining);
    assert_eq!(*phases.borrow_and_update(), Phase::Draining);
    shutdown.enter(Phase::LameDuck);
    assert!(!phases.has_changed().unwrap());
    assert_eq!(shutdown.phase(), Phase::Draining);
}

#[test]
fn what_cores_count_adds_up() {
    let shutdown = Shutdown::new();
    let tally = shutdown.tally();
    let before = tally.enter(Kind::Request);
    before.finish(Duration::from_secs(99));
    let (request, tunnel) = (tally.enter(Kind::Request), tally.enter(Kind::Tunnel));
    thread::scope(|scope| {
        scope.spawn(|| {
            let other = shutdown.tally();
            let unfinished = other.enter(Kind::Request);
            let (first, second) = (other.enter(Kind::Request), other.enter(Kind::Request));
            assert_eq!(shutdown.progress()[Kind::Request].in_flight, 4);
            shutdown.enter(Phase::LameDuck);
            first.finish(Duration::from_millis(812));
            second.finish(Duration::from_millis(400));
            std::mem::forget(unfinished);
        });
    });
    request.finish(Duration::from_millis(5));
    tunnel.close();
    let progress = shutdown.progress();
    let slowest = Duration::from_millis(812);
    assert_eq!(progress[Kind::Request], Count { in_flight: 1, finished: 3, closed: 0, slowest });
    assert_eq!(progress[Kind::Tunnel], Count { closed: 1, ..Count::default() });
    assert!(!progress.is_quiet());
}

fn summary(end: End, took_ms: u64, requests: Count, tunnels: Count) -> Summary {
    let mut progress = Progress::default();
    progress[Kind::Request] = requests;
    progress[Kind::Tunnel] = tunnels;
    Summary { end, took: Duration::from_millis(took_ms), grace: GRACE, progress }
}

#[test]
fn a_stop_is_told_in_words() {
    let ms = Duration::from_millis;
    let none = Count::default();
    let finished = |finished, slowest| Count { finished, slowest, ..none };
    let said = [
        Announcement(&in_flight(14, 2)).to_string(),
        Announcement(&in_flight(0, 1)).to_string(),
        Announcement(&in_flight(0, 0)).to_string(),
        summary(End::Drained, 2150, finished(14, ms(812)), Count { closed: 2, ..none }).to_string(),
        summary(End::Drained, 40, none, none).to_string(),
        summary(
            End::GracePassed,
            25_000,
            Count { in_flight: 2, ..finished(12, ms(24_900)) },
            Count { in_flight: 1, closed: 1, ..none },
        )
        .to_string(),
        summary(End::SecondSignal(Signal::Interrupt), 1400, Count { in_flight: 1, ..none }, none).to_string(),
    ];
    assert_eq!(said.join("\n\n") + "\n", include_str!("golden/stop.txt"));
}
