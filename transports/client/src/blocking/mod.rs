//! The client for programs without async: the same names, the same behaviour (R-C-7).
//!
//! A call parks its thread until it ends. That works on any thread. Inside an async task it works
//! as well, because the transport lives on threads of its own; but it holds up that task's thread,
//! so that a single-threaded executor stands still meanwhile. A client whose transport lives on that
//! very executor ([`Client::from_parts`]) would wait for itself: its calls fail then, and say so.
//!
//! A runtime's crate makes the [`ClientBuilder`], together with the threads that it needs. Only
//! what differs is documented here: everything else links to its async twin.

mod client;
mod link;
mod park;
mod reader;
mod request;
mod streaming;

pub use client::{Client, ClientBuilder};
pub use request::RequestBuilder;
pub use streaming::StreamingResponse;

pub use crate::response::Response;

/// Methods that hand over to their async twins, so that neither names nor arguments drift apart.
macro_rules! settings {
    ($of:literal: $($(#[$meta:meta])* fn $name:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[doc = concat!("See [`", $of, "::", stringify!($name), "`](crate::", $of, "::", stringify!($name), ").")]
        $(#[$meta])*
        pub fn $name(self, $($argument: $type),*) -> Self {
            Self { inner: self.inner.$name($($argument),*), ..self }
        }
    )*};
}

use settings;
