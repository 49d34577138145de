//! Whether the process has more open files than curl can wait for.

use core::error::Error as StdError;
use core::fmt;

/// The process has so many open files that libcurl, as isahc builds it, can make no connection.
///
/// isahc's own libcurl waits for a new socket with `select`, which knows no descriptor of
/// 1,024 or above: curl-sys defines `HAVE_POLL_FINE`, curl reads `HAVE_POLL`. To another attempt
/// the same would happen, so that this is final. Building with `CFLAGS=-DHAVE_POLL` in the
/// environment avoids it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescriptorLimit;

impl fmt::Display for DescriptorLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "1,024 or more files are open, and this libcurl cannot connect beyond that: close \
             some, take another transport, or build with CFLAGS=-DHAVE_POLL",
        )
    }
}

impl StdError for DescriptorLimit {}

impl DescriptorLimit {
    /// Whether a descriptor that curl asked for a moment ago was beyond what it can wait for.
    pub(crate) fn is_reached() -> bool {
        // What the system brings was configured on the system, and waits with `poll`.
        let selects = curl::Version::get().vendored() && !is_built_with_poll();
        selects && next_descriptor().is_some_and(|next| next >= SELECTABLE)
    }
}

/// Whether whoever built this had the remedy in the environment.
fn is_built_with_poll() -> bool {
    let flags = option_env!("CFLAGS").unwrap_or("");
    flags.split_whitespace().any(|flag| matches!(flag, "-DHAVE_POLL" | "-DHAVE_POLL=1"))
}

/// `FD_SETSIZE`.
const SELECTABLE: i32 = 1024;

/// How many descriptors may have come free since curl had its socket, whatever their numbers.
#[cfg(unix)]
const COME_FREE: usize = 16;

/// The lowest number that is free, but for those that may have come free just now.
#[cfg(unix)]
fn next_descriptor() -> Option<i32> {
    use std::fs::File;
    use std::os::fd::AsRawFd;
    // The kernel gives the lowest number that is free (POSIX 2.6), and each of these is held until
    // the last has its own.
    let open = |_| File::open("/dev/null").ok();
    let held: Vec<_> = (0..=COME_FREE).map_while(open).collect();
    held.iter().map(AsRawFd::as_raw_fd).max()
}

/// Elsewhere a socket's number says nothing.
#[cfg(not(unix))]
fn next_descriptor() -> Option<i32> {
    None
}
