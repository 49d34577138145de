//! Whether a client has ended a connection, found out without reading from it.

use core::mem::MaybeUninit;
use std::net::TcpStream;

use socket2::SockRef;

use crate::Closing;
use crate::socket::is_pause;

/// How the client has ended a connection, as far as that is known without reading and waiting.
///
/// Clients of TLS and HTTP/2 say something before they go. On Linux an end behind bytes that nobody
/// has read is found too; elsewhere it is found when they are read, and on Windows only then.
pub(crate) fn peek_end(stream: &TcpStream) -> Option<Closing> {
    const PEEK: i32 = 0x2;
    const DONT_WAIT: i32 = if cfg!(any(target_os = "linux", target_os = "android")) {
        0x40
    } else {
        0x80 // The BSDs and their kin, macOS among them.
    };
    if !cfg!(unix) {
        return None;
    }
    let mut byte = [MaybeUninit::uninit()];
    match SockRef::from(stream).recv_with_flags(&mut byte, PEEK | DONT_WAIT) {
        Ok(0) => Some(Closing::ByPeer),
        Err(error) if !is_pause(&error) => Some(Closing::ResetByPeer),
        Ok(_) => ends_later(stream).then_some(Closing::ByPeer),
        Err(_) => None,
    }
}

/// Whether an end follows the bytes that are there.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn ends_later(stream: &TcpStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut asked = [PollFd::new(stream, PollFlags::RDHUP)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let answered = poll(&mut asked, Some(&at_once)).is_ok();
    answered && asked.iter().any(|one| one.revents().contains(PollFlags::RDHUP))
}

/// The same where the system has no such question.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn ends_later(_: &TcpStream) -> bool {
    false
}
