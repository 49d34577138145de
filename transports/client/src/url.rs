//! From the text of a URL to where a request goes, or to what is wrong with it.
//!
//! The `url` crate parses as browsers do: it takes backslashes for slashes, drops tabs and
//! newlines, and reads `0x7f.1` as an address. What looks like one place to a reader and is
//! another to a parser is refused here before it is parsed (R-C-1).

use core::error::Error as StdError;
use core::fmt;
use core::net::Ipv4Addr;
use core::str::FromStr;
use std::sync::Arc;

use http::Uri;
use http::uri::{Authority, PathAndQuery};
use url::{Host, Url};

use crate::error::Error;
use crate::known::Known;
use crate::origin::{Origin, OriginError};
use crate::transport::BoxError;

/// Where relative URLs begin.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    scheme: http::uri::Scheme,
    authority: Authority,
    pub(crate) origin: Origin,
    /// The path, without a slash at its end.
    prefix: String,
}

impl Base {
    /// The base that this URL says.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        refuse_tricks(text)?;
        let (uri, origin) = absolute(text)?;
        if text.contains(['?', '#']) {
            return Err(UrlError::BaseQuery);
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(UrlError::Origin(OriginError::Relative));
        };
        Ok(Self { scheme, authority, origin, prefix })
    }

    /// A path below the base's own.
    fn join(&self, relative: &str) -> Result<Uri, UrlError> {
        let (path, query) = split(relative);
        let rooted = path.starts_with('/');
        let path = path.strip_prefix('/').unwrap_or(path);
        stays_below(path)?;
        // Nothing joined to a base is the base itself.
        let bare = path.is_empty() && !rooted && !self.prefix.is_empty();
        let slash = if bare { "" } else { "/" };
        let mut target = [self.prefix.as_str(), slash, path, query].concat();
        if !is_plain(&target) {
            // The host does not matter: this resolves the dots that are left, and encodes.
            let parsed = Url::parse(&format!("http://host{target}")).map_err(malformed)?;
            target = parsed[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
        }
        let target = PathAndQuery::try_from(target).map_err(malformed)?;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target);
        Uri::from_parts(parts).map_err(malformed)
    }
}

/// A URL, and the origin that it leads to.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) url: Uri,
    pub(crate) origin: Origin,
}

/// Where a request goes.
#[derive(Debug)]
pub(crate) struct Target {
    /// Shared with what is remembered of it, and with the response.
    pub(crate) place: Arc<Place>,
    /// Whether that is the base's origin; without a base it always is.
    pub(crate) home: bool,
}

/// Where this URL leads.
pub(crate) fn resolve(text: &str, base: Option<&Base>, known: &Known) -> Result<Target, UrlError> {
    let home = |place: &Place| base.is_none_or(|base| base.origin == place.origin);
    if let Some(place) = known.find(text) {
        return Ok(Target { home: home(&place), place });
    }
    refuse_tricks(text)?;
    let text = text.split_once('#').map_or(text, |(text, _)| text);
    match base {
        Some(base) if !has_scheme(text) => {
            if text.starts_with("//") {
                return Err(UrlError::SchemeRelative);
            }
            let place = Arc::new(Place { url: base.join(text)?, origin: base.origin.clone() });
            Ok(Target { place, home: true })
        }
        Some(_) | None => {
            let (url, origin) = absolute(text)?;
            let place = Arc::new(Place { url, origin });
            if has_plain_origin(text) {
                known.remember(text, &place);
            }
            Ok(Target { home: home(&place), place })
        }
    }
}

/// Adds pairs to the query of a target.
pub(crate) fn with_query(target: &mut Target, pairs: &str) -> Result<(), Error> {
    if pairs.is_empty() {
        return Ok(());
    }
    let Place { url, origin } = &*target.place;
    let joint = match url.query() {
        None => "?",
        Some("") => "",
        Some(_) => "&",
    };
    let mut parts = url.clone().into_parts();
    let old = parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
    let new = PathAndQuery::try_from(format!("{old}{joint}{pairs}"));
    parts.path_and_query = Some(new.map_err(Error::invalid_request)?);
    let url = Uri::from_parts(parts).map_err(Error::invalid_request)?;
    target.place = Arc::new(Place { url, origin: origin.clone() });
    Ok(())
}

/// An absolute URL without tricks, and its origin.
fn absolute(text: &str) -> Result<(Uri, Origin), UrlError> {
    let uri = if has_plain_origin(text) && is_plain(text) {
        Uri::from_str(text).map_err(malformed)?
    } else {
        let host = written_host(text)?;
        let parsed = Url::parse(text).map_err(malformed)?;
        if !is_the_same(host, parsed.host()) {
            return Err(UrlError::Host);
        }
        Uri::try_from(parsed.as_str()).map_err(malformed)?
    };
    let origin = Origin::of(&uri).map_err(UrlError::Origin)?;
    Ok((uri, origin))
}

/// The host as the text has it, where all of the origin is in order.
fn written_host(text: &str) -> Result<&str, UrlError> {
    let relative = || match text.starts_with("//") {
        true => UrlError::SchemeRelative,
        false => UrlError::Origin(OriginError::Relative),
    };
    let (scheme, rest) = text.split_once(':').ok_or_else(relative)?;
    if !has_scheme(text) {
        return Err(relative());
    }
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(UrlError::Origin(OriginError::Scheme));
    }
    let rest = rest.strip_prefix("//").ok_or(UrlError::NoAuthority)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains('@') {
        return Err(UrlError::Origin(OriginError::Userinfo));
    }
    let end = authority.find(']').map_or_else(|| authority.find(':'), |bracket| Some(bracket + 1));
    let (host, port) = authority.split_at(end.unwrap_or(authority.len()));
    if host.is_empty() {
        return Err(if rest.starts_with('/') {
            UrlError::NoAuthority
        } else {
            UrlError::Origin(OriginError::Host)
        });
    }
    if host.starts_with('[') && !host.ends_with(']') {
        return Err(UrlError::Host);
    }
    let digits = port.strip_prefix(':').unwrap_or(port);
    if port.len() > digits.len() + 1 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlError::Origin(OriginError::Port));
    }
    // Zeros before a number are none of its digits.
    let digits = digits.trim_start_matches('0');
    if digits.len() > 5 || digits.parse::<u32>().is_ok_and(|port| port > 0xffff) {
        return Err(UrlError::Origin(OriginError::Port));
    }
    Ok(host)
}

fn refuse_tricks(text: &str) -> Result<(), UrlError> {
    if redial_engine::planted!(TricksTaken) {
        return Ok(());
    }
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Ok(());
    }
    match text.chars().find(|it| it.is_control() || it.is_whitespace() || *it == '\\') {
        None => Ok(()),
        Some('\\') => Err(UrlError::Backslash),
        Some(character) => Err(UrlError::Character(character)),
    }
}

/// Whether text begins with a scheme (RFC 3986 4.2: a colon in the first segment ends one).
fn has_scheme(text: &str) -> bool {
    text.find([':', '/', '?', '#'])
        .is_some_and(|at| at > 0 && text.as_bytes().get(at) == Some(&b':'))
}

/// Whether every parser reads the origin as it stands, and would write it the same: a scheme in lower
/// case, a host of lower-case letters, digits, dots and hyphens, and a port, if any, in digits and
/// not the scheme's own.
fn has_plain_origin(text: &str) -> bool {
    let of = |scheme, port| text.strip_prefix(scheme).map(|rest| (rest, port));
    let Some((rest, own)) = of("http://", "80").or_else(|| of("https://", "443")) else {
        return false;
    };
    let letter = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    let end = rest.bytes().position(|byte| !letter(&byte)).unwrap_or(rest.len());
    let Some((host, after)) = rest.split_at_checked(end) else { return false };
    is_plain_host(host) && has_plain_port(after, own)
}

/// Whether such a host is a name, whose last part is not a number, or an address in its usual form.
fn is_plain_host(host: &str) -> bool {
    match host.bytes().next_back() {
        Some(b'a'..=b'z') => !host.contains("xn--") && last_label(host).starts_with(is_letter),
        Some(_) => host.parse::<Ipv4Addr>().is_ok(),
        None => false,
    }
}

fn last_label(host: &str) -> &str {
    host.rsplit('.').next().unwrap_or(host)
}

const fn is_letter(character: char) -> bool {
    character.is_ascii_lowercase()
}

/// Whether what follows a host is a port in digits, or none, and then the path or the end. One that
/// the scheme has anyway is left out where a URL is written, and zeros before one are.
fn has_plain_port(after: &str, own: &str) -> bool {
    let end = after.find(['/', '?']).unwrap_or(after.len());
    let (port, _) = after.split_at(end);
    match port.strip_prefix(':') {
        Some(digits) => {
            digits != own
                && digits.starts_with(|first: char| matches!(first, '1'..='9'))
                && digits.bytes().all(|digit| digit.is_ascii_digit())
        }
        None => port.is_empty(),
    }
}

/// Whether what was parsed is what was written, but for case and for letters beyond ASCII.
fn is_the_same(written: &str, parsed: Option<Host<&str>>) -> bool {
    match parsed {
        Some(Host::Ipv4(address)) => written == address.to_string(),
        Some(Host::Ipv6(_)) => written.starts_with('['),
        Some(Host::Domain(name)) if written.is_ascii() => name.eq_ignore_ascii_case(written),
        // Letters that vanish, or that become ASCII, are there to mislead.
        Some(Host::Domain(name)) => name.contains("xn--"),
        None => false,
    }
}

/// Whether text can be sent as it stands: nothing to encode, no dots to resolve.
pub(crate) fn is_plain(text: &str) -> bool {
    let class = |byte| CLASSES.get(usize::from(byte)).copied().unwrap_or(ENCODE);
    let classes = text.bytes().fold(0, |classes, byte| classes | class(byte));
    classes & ENCODE == 0
        && (classes & DOT == 0 || !text.contains("/."))
        && (classes & PERCENT == 0 || !has_encoded_dot(text))
}

/// What has to be encoded, or ends the URL.
const ENCODE: u8 = 1;
/// What may have to be resolved.
const DOT: u8 = 2;
/// What may be a dot to those who decode it.
const PERCENT: u8 = 4;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    #[allow(clippy::indexing_slicing, reason = "the index is below 256, and it is a constant")]
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^' | b'#' => ENCODE,
            b'\\' | 0..=b' ' | 0x7f.. => ENCODE,
            b'.' => DOT,
            b'%' => PERCENT,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

fn has_encoded_dot(text: &str) -> bool {
    text.as_bytes().windows(3).any(|bytes| bytes.eq_ignore_ascii_case(b"%2e"))
}

/// Whether a path below a base stays there, also for a server that decodes what is encoded before
/// it resolves dots.
fn stays_below(path: &str) -> Result<(), UrlError> {
    if !path.contains(['.', '%']) {
        // Nothing that any server could take for two dots.
        return Ok(());
    }
    let mut depth = 0_usize;
    for segment in path.split('/') {
        let decoded = decode_structure(segment);
        depth = match decoded.as_str() {
            "." => depth,
            ".." => depth.checked_sub(1).ok_or(UrlError::AboveBase)?,
            other if other.split(['/', '\\']).any(climbs) => return Err(UrlError::AboveBase),
            _ => depth + 1,
        };
    }
    Ok(())
}

/// Whether a part of a segment is two dots to some server: parameters after a semicolon are dropped
/// by those that have them.
fn climbs(part: &str) -> bool {
    part.split_once(';').map_or(part, |(name, _)| name) == ".."
}

/// A segment with what structures a path decoded, and nothing else.
fn decode_structure(segment: &str) -> String {
    let mut decoded = segment.to_ascii_lowercase();
    for (code, character) in [("%2e", "."), ("%2f", "/"), ("%5c", "\\"), ("%3b", ";")] {
        if decoded.contains(code) {
            decoded = decoded.replace(code, character);
        }
    }
    decoded
}

/// The path, and the query with its question mark.
fn split(target: &str) -> (&str, &str) {
    target.split_at(target.find('?').unwrap_or(target.len()))
}

fn malformed(error: impl Into<BoxError>) -> UrlError {
    UrlError::Malformed(error.into())
}

/// Why text is no URL that can be called.
#[derive(Debug)]
#[non_exhaustive]
pub enum UrlError {
    /// It has a control character or white space in it. Percent-encode it.
    Character(char),
    /// It has a backslash in it, which some parsers take for a slash. Percent-encode it as `%5C`.
    Backslash,
    /// It begins with `//`, and so names another server without a scheme. Write the scheme.
    SchemeRelative,
    /// Its scheme is not followed by two slashes and a host.
    NoAuthority,
    /// Its host is written in a way that parsers do not agree on: an address in octal or hex, a
    /// percent sign, letters that stand for others. Write it plainly.
    Host,
    /// Its path climbs above the base URL's. Call an absolute URL if that is what is meant.
    AboveBase,
    /// It is a base URL and has a query or a fragment, which no relative URL could be joined to.
    BaseQuery,
    /// It names no origin that can be called.
    Origin(OriginError),
    /// It is malformed.
    Malformed(BoxError),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Character(it) => {
                return write!(f, "the URL has the character {it:?} in it: percent-encode it");
            }
            Self::Backslash => "the URL has a backslash in it: percent-encode it as %5C",
            Self::SchemeRelative => "the URL begins with two slashes and no scheme: write it whole",
            Self::NoAuthority => "the URL's scheme is not followed by two slashes and a host",
            Self::Host => {
                "the URL's host is written misleadingly: write the name or address plainly"
            }
            Self::AboveBase => "the URL's path climbs above the base URL's",
            Self::BaseQuery => "the base URL has a query or a fragment: leave it out",
            Self::Origin(error) => return error.fmt(f),
            Self::Malformed(_) => "the URL is malformed",
        })
    }
}

impl StdError for UrlError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Malformed(source) => Some(&**source),
            Self::Character(_)
            | Self::Backslash
            | Self::SchemeRelative
            | Self::NoAuthority
            | Self::Host
            | Self::AboveBase
            | Self::BaseQuery
            // It says all of itself above.
            | Self::Origin(_) => None,
        }
    }
}
