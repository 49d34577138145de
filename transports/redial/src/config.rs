//! A client from its configuration.

use core::error::Error as StdError;
use core::fmt;

use redial_client::engine::reading::strict;
use redial_client::{BoxError, Client, ClientBuilder, ClientConfig, UnreadableFile};
use serde::Deserializer;
use serde_path_to_error::{Path, Segment, Track};

use crate::kind::{TransportKind, UnknownTransport};

/// Reads a whole configuration, in whatever format; an error says which field is wrong.
///
/// Tables are read from tables (objects in JSON) alone. What may follow the configuration is the
/// deserializer's business: with `serde_json`, `Deserializer::end` refuses it.
///
/// ```
/// let text = r#"
///     transport = "smol"
///
///     [timeouts]
///     read = "30 parsecs"
/// "#;
/// let error = redial::read_config(toml::Deserializer::parse(text)?).unwrap_err();
/// assert_eq!(error.field(), "timeouts.read");
/// # Ok::<(), toml::de::Error>(())
/// ```
///
/// # Errors
///
/// [`FieldError`] where a field has no meaning, or does not exist. Where one is missing from a
/// table, and where fields of a table do not go together, it names the table, and the fields in its
/// text.
pub fn read_config<'de, D>(from: D) -> Result<ClientConfig, FieldError>
where
    D: Deserializer<'de>,
    D::Error: Send + Sync + 'static,
{
    let mut track = Track::new();
    let read = strict(serde_path_to_error::Deserializer::new(from, &mut track));
    read.map_err(|error: D::Error| FieldError::new(path(&track.path()), error))
}

/// A path as text: as far as it is known, where what was read ends before the name of a field.
fn path(path: &Path) -> String {
    let text = path.to_string();
    let cut = matches!(path.iter().next_back(), Some(Segment::Unknown));
    let known = text.strip_suffix('?').filter(|_| cut).map(|known| known.trim_end_matches('.'));
    match known {
        None => text,
        Some("") => ".".to_owned(),
        Some(known) => known.to_owned(),
    }
}

/// A client to be built as its configuration says, over the transport that this names, or tokio.
///
/// # Errors
///
/// [`ConfigError`] where no transport has that name, or a file cannot be read. Whether the
/// transport was built, and can carry out the settings, is said when the client is.
pub fn from_config(config: ClientConfig) -> Result<ClientBuilder, ConfigError> {
    let builder = Client::builder(kind(&config)?);
    builder.configure(config).map_err(ConfigError::File)
}

/// The transport that a configuration names.
pub(crate) fn kind(config: &ClientConfig) -> Result<TransportKind, ConfigError> {
    let name = config.transport.as_deref();
    name.map_or(Ok(TransportKind::default()), str::parse).map_err(ConfigError::Transport)
}

/// Which field of a configuration is wrong, and what is wrong with it.
///
/// Of what is written in `headers` and `base_url` it shows nothing but the names of headers, and
/// nothing of what is written in a field that does not exist, here or under `tls`: it may be one of
/// them misspelt, or a key. The rest may be secret, and some formats show the whole line (R-O-3).
pub struct FieldError {
    field: String,
    what: What,
}

enum What {
    Shown(BoxError),
    /// What was expected, where what was found may be secret.
    Hidden(&'static str),
    /// The fields that there are, where the one that was found is none.
    Unknown(&'static [&'static str]),
}

/// The fields whose values may be secret, and what is expected of them.
const SECRET: [(&str, &str); 2] = [
    (
        "headers",
        "a table of headers, each by a name that HTTP allows, given once whatever its case, with a \
         string without control characters",
    ),
    ("base_url", "a string"),
];

/// The fields that there are where secrets are likely to be written, by the path of their table.
const FIELDS: [(&str, &[&str]); 3] = [
    (
        "",
        &[
            "transport",
            "base_url",
            "headers",
            "user_agent",
            "max_response_bytes",
            "max_head_bytes",
            "timeouts",
            "pool",
            "protocol",
            "tls",
            "policy",
            "budget",
            "replay",
            "hints",
        ],
    ),
    ("tls", &["roots_file", "identity"]),
    ("tls.identity", &["certificates_file", "key_file"]),
];

/// The fields that there are, where this path leads to none of them.
fn unknown(path: &str) -> Option<&'static [&'static str]> {
    FIELDS.iter().find_map(|(table, fields)| {
        let rest = match *table {
            // The whole has no name.
            "" => Some(path).filter(|path| *path != "."),
            table => path.strip_prefix(table)?.strip_prefix('.'),
        };
        let name = rest?.split(['.', '[']).next()?;
        (!fields.contains(&name)).then_some(*fields)
    })
}

impl FieldError {
    fn new(field: String, source: impl Into<BoxError>) -> Self {
        let root = field.split(['.', '[']).next();
        let secret = SECRET.iter().find(|(name, _)| root == Some(*name));
        let what = match (secret, unknown(&field)) {
            (Some((_, expected)), _) => What::Hidden(expected),
            (None, Some(fields)) => What::Unknown(fields),
            (None, None) => What::Shown(source.into()),
        };
        Self { field, what }
    }

    /// The field by its path, as in `pool.max_connections`; `.` where it is the whole.
    pub fn field(&self) -> &str {
        &self.field
    }
}

impl fmt::Debug for FieldError {
    /// The words of `Display`, for a `main` that returns it; nothing of the error of the format,
    /// which may show all that it was read from (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldError({self})")
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Shown(source) => write!(f, "{}: {source}", self.field),
            What::Hidden(expected) => {
                write!(f, "{}: not shown, for it may be secret: expected {expected}", self.field)
            }
            What::Unknown(fields) => {
                write!(f, "{}: unknown field: there are {}", self.field, fields.join(", "))
            }
        }
    }
}

impl StdError for FieldError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.what {
            // `Display` has said it already.
            What::Shown(source) => source.source(),
            What::Hidden(_) | What::Unknown(_) => None,
        }
    }
}

/// Why there is no client of a configuration.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The field `transport` names none that there is.
    Transport(UnknownTransport),
    /// A file that is named under `tls` cannot be read.
    File(UnreadableFile),
    /// The transport cannot be had.
    #[cfg(feature = "blocking")]
    Start(redial_client::NoTransport),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => write!(f, "transport: {error}"),
            Self::File(error) => write!(f, "{}: {error}", error.field()),
            #[cfg(feature = "blocking")]
            Self::Start(error) => write!(f, "transport: {error}"),
        }
    }
}

impl StdError for ConfigError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // What `Display` has said already is passed over.
        match self {
            Self::Transport(error) => error.source(),
            Self::File(error) => error.source(),
            #[cfg(feature = "blocking")]
            Self::Start(error) => error.source(),
        }
    }
}
