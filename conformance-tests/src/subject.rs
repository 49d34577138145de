//! A transport under test: how a scenario is played over it, and what it declares.

use core::error::Error as StdError;
use core::fmt;

use crate::{Play, Scenario, Seen};

/// Any error of whoever plays a scenario.
pub type PlayError = Box<dyn StdError + Send + Sync>;

type Player = dyn Fn(Play) -> Result<Seen, PlayError> + Send + Sync;

/// A transport under test.
///
/// It is made of a function that plays one scenario: with a runtime, a client and connections of
/// its own, so that scenarios can be played at the same time and know nothing of each other.
pub struct Subject {
    name: String,
    player: Box<Player>,
    declarations: Vec<Declaration>,
}

impl Subject {
    /// A transport of this name, and how a scenario is played over it.
    ///
    /// The function hands the play a builder of a client over the transport, by [`Play::with`] or
    /// [`Play::with_blocking`], and answers what that answers.
    pub fn new(
        name: impl Into<String>,
        player: impl Fn(Play) -> Result<Seen, PlayError> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), player: Box::new(player), declarations: Vec::new() }
    }

    /// This transport, with what it declares.
    #[must_use]
    pub fn declaring(mut self, declarations: impl IntoIterator<Item = Declaration>) -> Self {
        self.declarations.extend(declarations);
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it declares.
    pub fn declarations(&self) -> &[Declaration] {
        &self.declarations
    }

    /// What it declares of this scenario.
    pub fn declared(&self, scenario: &str) -> Option<&Declaration> {
        self.declarations.iter().find(|declaration| declaration.covers(scenario))
    }

    pub(crate) fn play(&self, play: Play) -> Result<Seen, PlayError> {
        (self.player)(play)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("name", &self.name)
            .field("declarations", &self.declarations)
            .finish_non_exhaustive()
    }
}

/// That a transport cannot pass a scenario, and why.
///
/// The scenario is still played: where it passes, the declaration is wrong and fails. What the
/// transport does instead is played too, and must pass.
#[derive(Clone)]
pub struct Declaration {
    scenario: String,
    reason: String,
    instead: Option<fn(Scenario) -> Scenario>,
    at_times: bool,
}

impl Declaration {
    /// That the scenario of this id is not passed, for this reason. An id that ends with `*` stands
    /// for all that begin with what comes before: `tls/*` for a whole group.
    pub fn new(scenario: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { scenario: scenario.into(), reason: reason.into(), instead: None, at_times: false }
    }

    /// What holds instead: the scenario, changed so that it passes.
    #[must_use]
    pub fn instead(self, change: fn(Scenario) -> Scenario) -> Self {
        Self { instead: Some(change), ..self }
    }

    /// The scenario fails at times only, because a race decides it: that it passes does not make
    /// the declaration wrong. What holds instead must hold every time.
    #[must_use]
    pub fn at_times(self) -> Self {
        Self { at_times: true, ..self }
    }

    /// Whether the scenario must fail every time.
    pub(crate) const fn is_strict(&self) -> bool {
        !self.at_times
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The id of the scenario, or the pattern that stands for several.
    pub fn scenario(&self) -> &str {
        &self.scenario
    }

    /// Whether it is about this scenario.
    pub fn covers(&self, scenario: &str) -> bool {
        match self.scenario.strip_suffix('*') {
            Some(start) => scenario.starts_with(start),
            None => self.scenario == scenario,
        }
    }

    /// The scenario as it must pass, where something is said of that.
    pub fn instead_of(&self, scenario: &Scenario) -> Option<Scenario> {
        self.instead.map(|change| change(scenario.clone()))
    }
}

impl fmt::Debug for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Declaration")
            .field("scenario", &self.scenario)
            .field("reason", &self.reason)
            .field("instead", &self.instead.is_some())
            .finish()
    }
}
