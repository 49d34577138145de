//! What the server is to do, as data.

use crate::{Http2, Reply, Step, Tls};

/// What a [`FaultServer`](crate::FaultServer) does to its clients, from the first to the last.
///
/// A script is data: it can be compared, printed, and played by something other than a socket.
/// What arrives beyond the plan is reset and reported, unless [`Script::otherwise`] says how to
/// treat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    plan: Plan,
    otherwise: Option<Vec<Step>>,
    tls: Option<Tls>,
    http2: Http2,
}

impl Script {
    /// A script by connection: the n-th accepted connection plays the n-th list of steps.
    ///
    /// After its last step a connection stays open until the client closes it. One that sends
    /// anything more is reset and reported.
    pub fn connections(lists: Vec<Vec<Step>>) -> Self {
        Self::of(Plan::Connections(lists))
    }

    /// A script by request: the n-th request, on whatever connection, is read and then answered by
    /// the n-th list of steps.
    ///
    /// Requests are numbered as their heads arrive. A connection speaks HTTP/1.1 or HTTP/2, as the
    /// client begins, and requests that share one of HTTP/2 are answered side by side. It stays
    /// open between requests unless a step has closed it.
    pub fn requests(lists: Vec<Vec<Step>>) -> Self {
        Self::of(Plan::Requests(lists))
    }

    /// A script by request in which every list is one reply: the n-th request gets the n-th.
    pub fn replies(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::requests(replies.into_iter().map(|reply| vec![reply.step()]).collect())
    }

    /// A script under which nobody listens: the server holds a port on which connecting fails.
    pub fn refused() -> Self {
        Self::of(Plan::Refused)
    }

    fn of(plan: Plan) -> Self {
        Self { plan, otherwise: None, tls: None, http2: Http2::new() }
    }

    /// This script over TLS: each connection begins with a handshake, and its steps go through it.
    #[must_use]
    pub fn secured(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// This script by request, with these manners on its connections of HTTP/2.
    ///
    /// A script by connection says the same with [`Step::Preface`].
    #[must_use]
    pub fn http2(mut self, manners: Http2) -> Self {
        self.http2 = manners;
        self
    }

    /// This script, with `steps` for every connection (or request) that comes beyond its plan.
    ///
    /// They may be played any number of times, none included, and are never part of what
    /// [`Unfinished`](crate::Unfinished) reports.
    ///
    /// ```
    /// use redial_conformance::{Reply, Script};
    ///
    /// // A server that is down for good.
    /// let script = Script::requests(vec![]).otherwise(vec![Reply::status(503).step()]);
    /// assert_ne!(script, Script::requests(vec![]));
    /// ```
    #[must_use]
    pub fn otherwise(mut self, steps: Vec<Step>) -> Self {
        self.otherwise = Some(steps);
        self
    }

    /// What is played, and to whom.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is played to arrivals beyond the plan; `None` where they are reset and reported.
    pub fn beyond(&self) -> Option<&[Step]> {
        self.otherwise.as_deref()
    }

    /// How connections are secured; `None` where they are plain TCP.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// How the connections of HTTP/2 of a script by request are held.
    pub fn manners(&self) -> &Http2 {
        &self.http2
    }
}

/// To whom the lists of a [`Script`] are played.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plan {
    /// Nobody listens, nothing is played.
    Refused,
    /// The n-th list is for the n-th accepted connection.
    Connections(Vec<Vec<Step>>),
    /// The n-th list answers the n-th request, which has been read before the list begins.
    Requests(Vec<Vec<Step>>),
}
