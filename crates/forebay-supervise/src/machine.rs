//! Decides when which child is started, asked to end, and killed. Starts nothing itself.

use std::time::Duration;

use forebay_clock::Moment;

use crate::restart::Restart;

/// What the machine needs to know of a child.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Lower stages are stopped later.
    pub stage: u8,
    /// When it is started again.
    pub restart: Restart,
    /// Between SIGTERM and SIGKILL.
    pub patience: Duration,
}

/// What happens to the machine. Children are numbered as they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Time has passed.
    Woke,
    /// A child's process is gone, or could not be started.
    Ended(usize),
    /// All children shall end, in order.
    Stop,
    /// All children shall end now.
    StopNow,
}

/// What the caller is to do with a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start it.
    Start(usize),
    /// Ask it to end: SIGTERM.
    Terminate(usize),
    /// End it: SIGKILL.
    Kill(usize),
}

/// What the caller is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actions {
    /// In this order.
    pub commands: Vec<Command>,
    /// When the child that ended is started again; `None` while stopping, and for any other event.
    pub restart_at: Option<Moment>,
    /// Step again at this moment, if nothing happens earlier.
    pub wake_at: Moment,
    /// A stop is over: no child is left.
    pub finished: bool,
}

/// All children of a supervisor.
#[derive(Clone, Debug)]
pub struct Machine {
    children: Vec<Member>,
    stopping: bool,
}

#[derive(Clone, Debug)]
struct Member {
    terms: Terms,
    state: State,
    /// Deaths in a row, none of them after a stable time.
    deaths: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting { start_at: Moment },
    Running { since: Moment },
    Ending { kill_at: Moment },
    Killed,
    Gone,
}

impl Machine {
    /// Children that are all to be started at the first step.
    pub fn new(children: impl IntoIterator<Item = Terms>) -> Machine {
        let member = |terms| Member { terms, state: State::Waiting { start_at: Moment::START }, deaths: 0 };
        Machine { children: children.into_iter().map(member).collect(), stopping: false }
    }

    /// Takes in what happened, and says what to do.
    pub fn step(&mut self, now: Moment, event: Event) -> Actions {
        let mut commands = Vec::new();
        let mut restart_at = None;
        match event {
            Event::Woke => {}
            Event::Ended(child) => restart_at = self.ended(now, child),
            Event::Stop => self.stop(),
            Event::StopNow => {
                self.stop();
                self.kill_where(|_| true, &mut commands);
            }
        }
        if self.stopping {
            self.terminate_highest_stage(now, &mut commands);
            let is_due = |state| matches!(state, State::Ending { kill_at } if kill_at <= now);
            self.kill_where(is_due, &mut commands);
        } else {
            self.start_due(now, &mut commands);
        }
        let finished = self.stopping && self.children.iter().all(|child| child.state == State::Gone);
        Actions { commands, restart_at, wake_at: self.wake_at(), finished }
    }

    /// Gives the moment at which it is started again.
    fn ended(&mut self, now: Moment, child: usize) -> Option<Moment> {
        let child = self.children.get_mut(child)?;
        if self.stopping {
            child.state = State::Gone;
            return None;
        }
        let State::Running { since } = child.state else { return None };
        let restart = child.terms.restart;
        child.deaths =
            if now.since(since) >= restart.stable_after { 1 } else { child.deaths.saturating_add(1) };
        let start_at = now + restart.wait(child.deaths);
        child.state = State::Waiting { start_at };
        Some(start_at)
    }

    fn stop(&mut self) {
        self.stopping = true;
        for child in &mut self.children {
            if let State::Waiting { .. } = child.state {
                child.state = State::Gone;
            }
        }
    }

    fn start_due(&mut self, now: Moment, commands: &mut Vec<Command>) {
        for (index, child) in self.children.iter_mut().enumerate() {
            if matches!(child.state, State::Waiting { start_at } if start_at <= now) {
                child.state = State::Running { since: now };
                commands.push(Command::Start(index));
            }
        }
    }

    /// Asks those to end whom nobody calls any more.
    fn terminate_highest_stage(&mut self, now: Moment, commands: &mut Vec<Command>) {
        let left = self.children.iter().filter(|child| child.state != State::Gone);
        let Some(highest) = left.map(|child| child.terms.stage).max() else { return };
        for (index, child) in self.children.iter_mut().enumerate() {
            if child.terms.stage == highest && matches!(child.state, State::Running { .. }) {
                child.state = State::Ending { kill_at: now + child.terms.patience };
                commands.push(Command::Terminate(index));
            }
        }
    }

    fn kill_where(&mut self, doomed: impl Fn(State) -> bool, commands: &mut Vec<Command>) {
        for (index, child) in self.children.iter_mut().enumerate() {
            let lives = matches!(child.state, State::Running { .. } | State::Ending { .. });
            if lives && doomed(child.state) {
                child.state = State::Killed;
                commands.push(Command::Kill(index));
            }
        }
    }

    fn wake_at(&self) -> Moment {
        let due = |child: &Member| match child.state {
            State::Waiting { start_at } => start_at,
            State::Ending { kill_at } => kill_at,
            State::Running { .. } | State::Killed | State::Gone => Moment::NEVER,
        };
        self.children.iter().map(due).min().unwrap_or(Moment::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::Command::{Kill, Start, Terminate};
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn at(ms: u64) -> Moment {
        Moment::START + Duration::from_millis(ms)
    }

    /// Children 0 and 1 are called by child 2.
    fn running() -> Machine {
        let terms = |stage| Terms { stage, restart: Restart::default(), patience: PATIENCE };
        let mut machine = Machine::new([terms(0), terms(0), terms(1)]);
        let actions = machine.step(at(0), Event::Woke);
        assert_eq!(actions.commands, [Start(0), Start(1), Start(2)]);
        assert_eq!(actions.wake_at, Moment::NEVER);
        machine
    }

    #[track_caller]
    fn check(machine: &mut Machine, now_ms: u64, event: Event, commands: &[Command], wake_at: Moment) {
        let actions = machine.step(at(now_ms), event);
        assert_eq!((actions.commands.as_slice(), actions.wake_at), (commands, wake_at));
        assert!(!actions.finished);
    }

    #[test]
    fn a_child_that_keeps_dying_is_restarted_after_growing_waits() {
        let mut machine = running();
        check(&mut machine, 100, Event::Ended(1), &[], at(1100));
        check(&mut machine, 1099, Event::Woke, &[], at(1100));
        check(&mut machine, 1100, Event::Woke, &[Start(1)], Moment::NEVER);
        check(&mut machine, 1200, Event::Ended(1), &[], at(3200));
        check(&mut machine, 3200, Event::Woke, &[Start(1)], Moment::NEVER);
    }

    #[test]
    fn a_death_after_a_stable_time_counts_as_the_first() {
        let mut machine = running();
        check(&mut machine, 100, Event::Ended(0), &[], at(1100));
        check(&mut machine, 1100, Event::Woke, &[Start(0)], Moment::NEVER);
        check(&mut machine, 11_100, Event::Ended(0), &[], at(12_100));
    }

    #[test]
    fn a_stage_is_asked_to_end_when_nobody_above_it_is_left() {
        let mut machine = running();
        check(&mut machine, 100, Event::Stop, &[Terminate(2)], at(5100));
        check(&mut machine, 200, Event::Ended(2), &[Terminate(0), Terminate(1)], at(5200));
        check(&mut machine, 300, Event::Ended(0), &[], at(5200));
        let last = machine.step(at(400), Event::Ended(1));
        assert_eq!(
            last,
            Actions { commands: vec![], restart_at: None, wake_at: Moment::NEVER, finished: true }
        );
    }

    #[test]
    fn who_does_not_end_in_time_is_killed_once() {
        let mut machine = running();
        check(&mut machine, 100, Event::Stop, &[Terminate(2)], at(5100));
        check(&mut machine, 5100, Event::Woke, &[Kill(2)], Moment::NEVER);
        check(&mut machine, 5200, Event::Stop, &[], Moment::NEVER);
        check(&mut machine, 5300, Event::Ended(2), &[Terminate(0), Terminate(1)], at(10_300));
    }

    #[test]
    fn while_stopping_nobody_is_started_again() {
        let mut machine = running();
        check(&mut machine, 100, Event::Ended(0), &[], at(1100));
        check(&mut machine, 200, Event::Stop, &[Terminate(2)], at(5200));
        check(&mut machine, 300, Event::Ended(1), &[], at(5200));
        assert!(machine.step(at(400), Event::Ended(2)).finished);
    }

    #[test]
    fn a_stop_in_a_hurry_kills_everybody_at_once() {
        let mut machine = running();
        check(&mut machine, 100, Event::Stop, &[Terminate(2)], at(5100));
        check(&mut machine, 200, Event::StopNow, &[Kill(0), Kill(1), Kill(2)], Moment::NEVER);
    }

    #[test]
    fn who_is_started_again_at_once_is_said_to_be() {
        let restart = Restart { base: Duration::ZERO, ..Restart::default() };
        let mut machine = Machine::new([Terms { stage: 0, restart, patience: PATIENCE }]);
        machine.step(at(0), Event::Woke);
        let actions = machine.step(at(100), Event::Ended(0));
        assert_eq!((actions.commands, actions.restart_at), (vec![Start(0)], Some(at(100))));
    }

    #[test]
    fn a_supervisor_without_children_stops_at_once() {
        assert!(Machine::new([]).step(at(0), Event::Stop).finished);
    }
}
