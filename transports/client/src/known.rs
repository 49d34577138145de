//! Origins that a client has met, by the beginning of the URLs that lead there.

use std::sync::Mutex;

use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};

use crate::origin::Origin;
use crate::upstreams::lock;
use crate::url::is_plain;

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
    places: Vec<Place>,
    /// Which is forgotten next, once there are enough.
    oldest: usize,
}

/// The beginning of a URL, and what it comes to.
struct Place {
    /// Scheme and authority, as far as the path.
    text: Box<str>,
    scheme: Scheme,
    authority: Authority,
    origin: Origin,
    /// The whole of the URL that led here last, which is often the next as well.
    last: (String, Uri),
}

impl Known {
    /// Where this URL leads, if its origin is known and the rest of it can be sent as it stands.
    pub(crate) fn find(&self, text: &str) -> Option<(Uri, Origin)> {
        let mut memory = lock(&self.0);
        memory.places.iter_mut().find_map(|place| Some((place.find(text)?, place.origin.clone())))
    }

    /// Remembers the origin of a URL that says it plainly.
    pub(crate) fn remember(&self, text: &str, uri: &Uri, origin: &Origin) {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return };
        let length = scheme.as_str().len() + "://".len() + authority.as_str().len();
        let Some(beginning) = text.get(..length) else { return };
        let place = Place {
            text: beginning.into(),
            scheme: scheme.clone(),
            authority: authority.clone(),
            origin: origin.clone(),
            last: (text.to_owned(), uri.clone()),
        };
        let mut memory = lock(&self.0);
        let Memory { places, oldest } = &mut *memory;
        if places.iter().any(|known| known.text == place.text) {
            return;
        }
        if places.len() < CAPACITY {
            places.push(place);
        } else if let Some(entry) = places.get_mut(*oldest) {
            *entry = place;
            *oldest = (*oldest + 1) % CAPACITY;
        }
    }
}

impl Place {
    /// What this URL is, if it leads here, and the rest of it can be sent as it stands.
    fn find(&mut self, text: &str) -> Option<Uri> {
        let (last, known) = &mut self.last;
        if last == text {
            return Some(known.clone());
        }
        let rest = text.strip_prefix(&*self.text).filter(|rest| rest.starts_with('/'))?;
        if !is_plain(rest) {
            return None;
        }
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
        let uri = Uri::from_parts(parts).ok()?;
        last.clear();
        last.push_str(text);
        *known = uri.clone();
        Some(uri)
    }
}
