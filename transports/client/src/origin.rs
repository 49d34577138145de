//! Origins: what connections and retry budgets belong to.

use core::error::Error as StdError;
use core::fmt;
use core::hash::{Hash, Hasher};
use std::sync::Arc;

use http::Uri;
use http::header::HeaderValue;

/// Scheme, host and port (RFC 9110 4.3.1): what connections and retry budgets belong to.
///
/// Two origins are equal whatever the case of the host, and whether or not the scheme's own port
/// is written out.
///
/// Clones share what it says.
#[derive(Clone)]
pub struct Origin(Arc<Parts>);

struct Parts {
    scheme: Scheme,
    /// As the value of a `Host` header, which is what every request needs of it.
    authority: HeaderValue,
    /// How much of the authority is the host, brackets included: it comes first.
    host: usize,
    port: u16,
    /// Of scheme, host and port. Every call looks its origin up several times.
    digest: u64,
}

/// How an origin is spoken to.
///
/// Exhaustive on purpose: there are two schemes of HTTP.
#[allow(clippy::exhaustive_enums)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`: plain TCP, port 80.
    Http,
    /// `https`: TLS, port 443.
    Https,
}

impl Scheme {
    /// The name in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Origin {
    /// The origin of an absolute URI.
    ///
    /// # Errors
    ///
    /// [`OriginError`] says what is missing, or what a URI must not have.
    pub fn of(uri: &Uri) -> Result<Self, OriginError> {
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) => return Err(OriginError::Scheme),
            None => return Err(OriginError::Relative),
        };
        let authority = uri.authority().ok_or(OriginError::Relative)?;
        if authority.as_str().bytes().any(|byte| byte == b'@') {
            return Err(OriginError::Userinfo);
        }
        let (host, port) = split(authority.as_str());
        if host.is_empty() {
            return Err(OriginError::Host);
        }
        // `Authority::port` is silent about a port that is too large.
        let port = match port {
            "" | ":" => scheme.port(),
            port => port.trim_start_matches(':').parse().map_err(|_| OriginError::Port)?,
        };
        let digest = digest(scheme, host, port);
        let host = host.len();
        let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| OriginError::Host)?;
        Ok(Self(Arc::new(Parts { scheme, authority, host, port, digest })))
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// The host as it is connected to: a name or an address, an IPv6 one without its brackets.
    pub fn host(&self) -> &str {
        let host = self.written_host();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The host as a URL has it.
    fn written_host(&self) -> &str {
        self.0.authority.to_str().ok().and_then(|text| text.get(..self.0.host)).unwrap_or("")
    }

    /// The port, the scheme's own where none is written.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Host and port as they were written: the value of a `Host` header (RFC 9110 7.2).
    pub fn authority(&self) -> &HeaderValue {
        &self.0.authority
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (&*self.0, &*other.0);
        Arc::ptr_eq(&self.0, &other.0)
            || one.digest == two.digest
                && one.scheme == two.scheme
                && one.port == two.port
                && self.written_host().eq_ignore_ascii_case(other.written_host())
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.digest);
    }
}

/// The host of an authority without userinfo, and what follows it.
pub(crate) fn split(authority: &str) -> (&str, &str) {
    // Byte by byte: an authority is short, and searching for characters is made for long texts.
    let first = |wanted: u8| authority.bytes().position(|byte| byte == wanted);
    let end = if authority.starts_with('[') {
        first(b']').map(|bracket| bracket + 1)
    } else {
        first(b':')
    };
    authority.split_at_checked(end.unwrap_or(authority.len())).unwrap_or((authority, ""))
}

/// A digest that is the same whatever the case of the host (FNV-1a).
fn digest(scheme: Scheme, host: &str, port: u16) -> u64 {
    let [high, low] = port.to_be_bytes();
    let host = host.bytes().map(|byte| byte.to_ascii_lowercase());
    let bytes = host.chain([scheme as u8, high, low]);
    bytes.fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme().as_str(), self.written_host(), self.port())
    }
}

/// Why a URI has no origin that can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginError {
    /// It does not say which server. Write it whole, as in `http://host/path`.
    Relative,
    /// Its scheme is neither `http` nor `https`.
    Scheme,
    /// It carries a user name or password. Send them as a header (R-C-1).
    Userinfo,
    /// It names no host.
    Host,
    /// Its port is no number from 0 to 65535.
    Port,
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Relative => "the URL names no server: write it whole, as in http://host/path",
            Self::Scheme => "the URL's scheme is neither http nor https",
            Self::Userinfo => "the URL carries a user name or password: send them as a header",
            Self::Host => "the URL names no host",
            Self::Port => "the URL's port is no number from 0 to 65535",
        })
    }
}

impl StdError for OriginError {}
