//! What the admin listener is told of the process it runs in.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use forebay_admin::{AdminState, GenerationStatus, Reload};
use forebay_config::{Effective, Loaded};
use forebay_gateway::Surroundings;

use crate::root::Root;

/// The configuration in force and how the last reload went.
pub(crate) struct Told {
    effective: Effective,
    generation: GenerationStatus,
}

impl Told {
    pub(crate) fn new(loaded: &Loaded<Root>, number: u64) -> Told {
        let generation = GenerationStatus { number, since: SystemTime::now(), last_reload: None };
        Told { effective: loaded.effective_redacted(), generation }
    }

    pub(crate) fn accepted(&mut self, loaded: &Loaded<Root>, number: u64) {
        *self = Told::new(loaded, number);
        self.reloaded(Ok(()));
    }

    pub(crate) fn rejected(&mut self, errors: String) {
        self.reloaded(Err(errors));
    }

    fn reloaded(&mut self, outcome: Result<(), String>) {
        self.generation.last_reload = Some(Reload { at: SystemTime::now(), outcome });
    }

    /// What the admin listener asks when it is asked.
    pub(crate) fn admin_state(told: &Rc<RefCell<Told>>, surroundings: &Surroundings) -> AdminState {
        let (effective, generation) = (told.clone(), told.clone());
        AdminState {
            clock: surroundings.clock.clone(),
            registry: surroundings.registry.clone(),
            shutdown: surroundings.shutdown.clone(),
            discovery: surroundings.discovery.clone(),
            configuration: Box::new(move || effective.borrow().effective.clone()),
            generation: Box::new(move || generation.borrow().generation.clone()),
            checks: Vec::new(),
        }
    }
}
