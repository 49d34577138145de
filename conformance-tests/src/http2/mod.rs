//! How the server speaks HTTP/2 (RFC 9113): the data of it.

mod frame;
mod session;

pub use frame::{ErrorCode, Frame, LastStream};
pub(crate) use frame::{MAX_PAYLOAD, flag, kind};
pub(crate) use session::{Event, PREFACE, Session};

/// How a connection of HTTP/2 is held by the server, whatever its script says besides.
///
/// The default is a server of good manners with an empty SETTINGS frame: it acknowledges settings
/// and pings, and gives back the window for what it has received.
///
/// ```
/// use redial_conformance::{Http2, Reply, Script};
///
/// let one_at_a_time = Http2::new().max_concurrent_streams(1);
/// let script = Script::replies([Reply::status(200)]).http2(one_at_a_time);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http2 {
    settings: Vec<(u16, u32)>,
    window_updates: bool,
    acknowledges: bool,
}

impl Default for Http2 {
    fn default() -> Self {
        Self { settings: Vec::new(), window_updates: true, acknowledges: true }
    }
}

impl Http2 {
    /// A server of good manners, without settings of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this parameter in its first SETTINGS frame; nothing is checked (RFC 9113 6.5.2).
    #[must_use]
    pub fn setting(mut self, id: u16, value: u32) -> Self {
        self.settings.push((id, value));
        self
    }

    /// With `SETTINGS_MAX_CONCURRENT_STREAMS`: so many requests at a time are permitted.
    #[must_use]
    pub fn max_concurrent_streams(self, count: u32) -> Self {
        self.setting(0x3, count)
    }

    /// With `SETTINGS_INITIAL_WINDOW_SIZE`: so many bytes of a request's body may come unasked.
    #[must_use]
    pub fn initial_window_size(self, bytes: u32) -> Self {
        self.setting(0x4, bytes)
    }

    /// With `SETTINGS_MAX_FRAME_SIZE`.
    #[must_use]
    pub fn max_frame_size(self, bytes: u32) -> Self {
        self.setting(0x5, bytes)
    }

    /// Without any WINDOW_UPDATE: an upload is stuck once the first windows are used up.
    #[must_use]
    pub fn without_window_updates(mut self) -> Self {
        self.window_updates = false;
        self
    }

    /// Without acknowledging what the client sets and pings.
    #[must_use]
    pub fn without_acknowledgements(mut self) -> Self {
        self.acknowledges = false;
        self
    }

    /// The parameters of the first SETTINGS frame, in order: identifier and value.
    pub fn settings(&self) -> &[(u16, u32)] {
        &self.settings
    }

    /// Whether the window for what has been received is given back.
    pub fn gives_window(&self) -> bool {
        self.window_updates
    }

    /// Whether settings and pings of the client's are acknowledged.
    pub fn acknowledges(&self) -> bool {
        self.acknowledges
    }
}
