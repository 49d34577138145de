//! The client: what its clones share, and the calls that it begins.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use http::Method;
use http::header::HeaderMap;
use redial_engine::{HintRules, Policy, ReplayRules, Timestamp};

use crate::body::Body;
use crate::builder::ClientBuilder;
use crate::error::Error;
use crate::into_transport::IntoTransport;
use crate::known::Known;
use crate::observe::Observer;
use crate::random::Randomness;
use crate::request::RequestBuilder;
use crate::transport::{PoolFigures, Timeouts, Transport};
use crate::upstreams::Upstreams;
use crate::url::{Base, resolve};

/// Any policy, shared between calls.
pub(crate) type SharedPolicy = Arc<dyn Policy + Send + Sync>;

/// Makes calls over a transport, with retries.
///
/// Clones are cheap and share everything: connections, retry budgets and figures (R-C-6).
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) policy: SharedPolicy,
    pub(crate) replay: ReplayRules,
    pub(crate) hints: HintRules,
    pub(crate) timeouts: Timeouts,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) base: Option<Base>,
    pub(crate) headers: HeaderMap,
    pub(crate) max_response_bytes: u64,
    pub(crate) upstreams: Upstreams,
    /// The origins met last.
    pub(crate) known: Known,
    pub(crate) randomness: Randomness,
    pub(crate) closed: AtomicBool,
    /// Every response body that is still being read has a copy.
    pub(crate) open: Arc<()>,
}

impl Drop for Inner {
    /// Closes every connection (R-C-6). A call holds the client, so that what can still be in
    /// flight are response bodies that are being read: they may end in peace.
    fn drop(&mut self) {
        let bodies = Arc::strong_count(&self.open).saturating_sub(1);
        if bodies > 0 {
            tracing::warn!(bodies, "the client was dropped while responses were being read");
        }
        self.transport.close();
    }
}

impl Client {
    /// A client to be built over this transport, or over one that is made when the client is.
    pub fn builder(transport: impl IntoTransport + Send + 'static) -> ClientBuilder {
        ClientBuilder::new(transport)
    }

    /// A call of this URL by GET.
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::GET, url)
    }

    /// A call of this URL by HEAD.
    pub fn head(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::HEAD, url)
    }

    /// A call of this URL by OPTIONS.
    pub fn options(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::OPTIONS, url)
    }

    /// A call of this URL by PUT.
    pub fn put(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::PUT, url)
    }

    /// A call of this URL by PATCH. It is never repeated unless the call says that it may be.
    pub fn patch(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::PATCH, url)
    }

    /// A call of this URL by POST. It is never repeated unless the call says that it may be.
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::POST, url)
    }

    /// A call of this URL by DELETE.
    pub fn delete(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::DELETE, url)
    }

    /// A call of this URL by any method.
    ///
    /// A relative URL is joined to the base URL, whose path it keeps as a prefix, with or without
    /// a slash before it. A URL that is none, or that is written to be read in two ways, fails when
    /// the call is sent, before anything else happens (R-C-1). A fragment is not sent.
    pub fn call(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder {
        let target = resolve(url.as_ref(), self.inner.base.as_ref(), &self.inner.known);
        RequestBuilder::new(self.clone(), method, target.map_err(Error::invalid_request))
    }

    /// This very request, with the client's default headers where it has none of that name. Its URI
    /// is treated like any other URL: see [`Client::call`].
    pub fn request<B: Into<Body>>(&self, request: http::Request<B>) -> RequestBuilder {
        let (head, body) = request.into_parts();
        let mut call = self.call(head.method, head.uri.to_string()).body(body);
        call.replace_headers(head.headers);
        call
    }

    /// What the connections are doing now, and have done so far.
    pub fn pool(&self) -> PoolFigures {
        self.inner.transport.pool()
    }

    /// The time on the transport's clock, for [`RequestBuilder::deadline`].
    pub fn now(&self) -> Timestamp {
        self.inner.transport.clock().now()
    }

    /// The name of the transport.
    pub fn transport(&self) -> &'static str {
        self.inner.transport.name()
    }

    /// Refuses new calls, lets those under way finish, their retries included, and closes every
    /// connection: those that are idle now, the others when they are done (R-C-6).
    ///
    /// Calling it again does nothing. A call after it, by any clone, fails with
    /// [`FailureKind::ClientClosed`](redial_engine::FailureKind::ClientClosed).
    pub fn close(&self) {
        // Said first, so that no call gets in that finds nothing kept any more.
        self.inner.closed.store(true, Ordering::Release);
        self.inner.transport.close();
    }
}

impl fmt::Debug for Client {
    /// Shows no default header: it may be secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("transport", &self.transport())
            .field("pool", &self.pool())
            .finish_non_exhaustive()
    }
}
