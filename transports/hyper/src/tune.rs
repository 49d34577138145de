//! What HTTP wants of a TCP socket.

use std::io;

use socket2::SockRef;

/// How many bytes the system may take of a request before it has sent them.
///
/// It reports room again when half of that is sent, so that a peer which takes this much within
/// twice the write timeout is never mistaken for one that takes nothing.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT: u32 = 64 * 1024;

/// Prepares a TCP socket for HTTP.
///
/// `TCP_NODELAY`, because requests are small and wait for answers. And, on Linux and Android, a
/// `TCP_NOTSENT_LOWAT` of 64 KiB: without it a large upload fills a send buffer of megabytes, and
/// the system says that there is room again when a third of it is free. A peer that reads slowly
/// but steadily would look like one that reads nothing (R-T-3). Costs two system calls a
/// connection.
///
/// # Errors
///
/// What the system says where the socket is gone already.
pub fn tune(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    #[cfg(any(target_os = "android", target_os = "linux"))]
    socket.set_tcp_notsent_lowat(UNSENT)?;
    Ok(())
}
