//! Origins that a client has met, by the beginning of the URLs that lead there.

use std::sync::{Arc, Mutex};

use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};

use crate::origin::Origin;
use crate::upstreams::lock;
use crate::url::{Place, is_plain};

/// How many are remembered. Few origins get most of the calls, and all are looked through.
const CAPACITY: usize = 8;

/// The origins that were met last. What is known of one need not be parsed again: neither where
/// the URL leads, nor whether all parsers agree on that (R-C-1).
///
/// Not `Debug`: the query of a URL may be secret (R-O-3).
#[derive(Default)]
pub(crate) struct Known(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    origins: Vec<Entry>,
    /// Which is forgotten next, once there are enough.
    oldest: usize,
}

/// The beginning of a URL, and what it comes to.
struct Entry {
    /// Scheme and authority, as far as the path.
    text: Box<str>,
    scheme: Scheme,
    authority: Authority,
    origin: Origin,
    /// The whole of the URL that led here last, which is often the next as well.
    last: (String, Arc<Place>),
}

impl Known {
    /// Where this URL leads, if its origin is known and the rest of it can be sent as it stands.
    pub(crate) fn find(&self, text: &str) -> Option<Arc<Place>> {
        lock(&self.0).origins.iter_mut().find_map(|entry| entry.find(text))
    }

    /// Remembers the origin of a URL that says it plainly.
    pub(crate) fn remember(&self, text: &str, place: &Arc<Place>) {
        let Place { url, origin } = &**place;
        let (Some(scheme), Some(authority)) = (url.scheme(), url.authority()) else { return };
        let length = scheme.as_str().len() + "://".len() + authority.as_str().len();
        let Some(beginning) = text.get(..length) else { return };
        let entry = Entry {
            text: beginning.into(),
            scheme: scheme.clone(),
            authority: authority.clone(),
            origin: origin.clone(),
            last: (text.to_owned(), Arc::clone(place)),
        };
        let mut memory = lock(&self.0);
        let Memory { origins, oldest } = &mut *memory;
        if origins.iter().any(|known| known.text == entry.text) {
            return;
        }
        if origins.len() < CAPACITY {
            origins.push(entry);
        } else if let Some(forgotten) = origins.get_mut(*oldest) {
            *forgotten = entry;
            *oldest = (*oldest + 1) % CAPACITY;
        }
    }
}

impl Entry {
    /// Where this URL leads, if it begins like this, and the rest of it can be sent as it stands.
    fn find(&mut self, text: &str) -> Option<Arc<Place>> {
        let (last, place) = &mut self.last;
        if last == text {
            return Some(Arc::clone(place));
        }
        let rest = text.strip_prefix(&*self.text).filter(|rest| rest.starts_with('/'))?;
        if !is_plain(rest) {
            return None;
        }
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
        let url = Uri::from_parts(parts).ok()?;
        last.clear();
        last.push_str(text);
        *place = Arc::new(Place { url, origin: self.origin.clone() });
        Some(Arc::clone(place))
    }
}
