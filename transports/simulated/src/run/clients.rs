//! The client of a run, and the transport under it.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use redial_client::{Client, HeadLimit, Protocol, Settings, Transport};
use redial_engine::Budget;
use redial_hyper::HyperTransport;

use super::bytes::{Network, Origin};
use super::call;
use super::messages::Messages;
use super::watched::{Any, Watched};
use super::world::World;
use super::{TamperWithClient, TamperWithTransport};
use crate::message::MessageTransport;
use crate::net::Virtual;
use crate::referee::{DEFAULT, HOME};
use crate::scenario::Level;

/// The largest head that the client takes: the least limit that there is, to be exceeded quickly.
pub(super) const HEAD_LIMIT: usize = 8 * 1024;

pub(super) type AnyError = Box<dyn core::error::Error>;

/// A client, and the network behind it where every byte is simulated.
pub(super) type Made = (Client, Option<(Virtual, Arc<Origin>)>);

/// Makes the client that a scenario asks for.
pub(super) struct Makes<'a> {
    pub(super) world: &'a Arc<World>,
    pub(super) client: Option<TamperWithClient<'a>>,
    pub(super) front: Option<TamperWithTransport<'a>>,
}

impl Makes<'_> {
    /// Over a transport of the scenario's level.
    ///
    /// # Errors
    ///
    /// What is wrong with the scenario's policy, its budget or its limits.
    pub(super) fn make(&self) -> Result<Made, AnyError> {
        match self.world.scenario().level {
            Level::Messages => self.messages(),
            Level::Bytes => self.bytes(Protocol::Http1),
            Level::Http2 => self.bytes(Protocol::Http2PriorKnowledge),
        }
    }

    /// Over a transport of whole messages.
    fn messages(&self) -> Result<Made, AnyError> {
        let messages = Messages::new(self.world);
        let transport = MessageTransport::new(self.world.time().clone(), messages);
        Ok((self.over(transport, None)?, None))
    }

    /// Over the real transport, on virtual sockets.
    fn bytes(&self, protocol: Protocol) -> Result<Made, AnyError> {
        let Self { world, .. } = self;
        let origin = Origin::new(world);
        let host = Arc::new(Network(Arc::clone(&origin)));
        let network = Virtual::new(world.time().clone(), host);
        let mut settings = Settings::default();
        settings.limits.max_connections = world.scenario().connections as usize;
        settings.limits.max_keepalive_connections = world.scenario().idle as usize;
        settings.protocol = protocol;
        settings.max_head_bytes = HeadLimit::new(HEAD_LIMIT);
        let transport = HyperTransport::new(network.clone(), settings)?;
        let client = self.over(transport, Some(Arc::clone(&origin)))?;
        Ok((client, Some((network, origin))))
    }

    /// Over this transport, before the referee's eyes.
    fn over(
        &self,
        transport: impl Transport,
        origin: Option<Arc<Origin>>,
    ) -> Result<Client, AnyError> {
        let Self { world, front, .. } = self;
        match front {
            None => self.watched(Watched::new(transport, world, origin)),
            Some(front) => {
                let transport = Any(front(Box::new(transport), world.time().clone()));
                self.watched(Watched::new(transport, world, origin))
            }
        }
    }

    fn watched(&self, transport: Watched<impl Transport>) -> Result<Client, AnyError> {
        let Self { world, client: tamper, .. } = self;
        let scenario = world.scenario();
        let budget = match scenario.budget {
            Some(plan) => plan.budget()?,
            None => Budget::UNLIMITED,
        };
        let builder = Client::builder(transport)
            .policy(scenario.policy.policy()?)
            .budget(budget)
            .hints(scenario.policy.hints())
            .seed(scenario.seed.0)
            .base_url(call::HOME)
            .observer(Arc::clone(world) as _);
        let builder = if scenario.defaults {
            let (name, value) = (HeaderName::from_static(DEFAULT), HeaderValue::from_static(HOME));
            builder.default_header(name, value)
        } else {
            builder
        };
        let builder = match tamper {
            Some(tamper) => tamper(builder),
            None => builder,
        };
        Ok(builder.build()?)
    }
}
