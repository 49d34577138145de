//! A file that is in memory alone, for what has to have a name and must be on no disk.

use std::io;
use std::path::PathBuf;

/// A file without a place in any directory, gone with its last descriptor.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    #[cfg(target_os = "linux")]
    file: std::fs::File,
}

#[cfg(target_os = "linux")]
impl MemoryFile {
    pub(crate) fn with(content: &[u8]) -> io::Result<Self> {
        use std::io::Write as _;
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let mut file = std::fs::File::from(rustix::fs::memfd_create("redial-isahc", flags)?);
        file.write_all(content)?;
        Ok(Self { file })
    }

    /// A name under which this process can open it, each time from its start.
    pub(crate) fn path(&self) -> PathBuf {
        use std::os::fd::AsRawFd as _;
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

#[cfg(not(target_os = "linux"))]
impl MemoryFile {
    pub(crate) fn with(_: &[u8]) -> io::Result<Self> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "curl's rustls backend reads client certificates from files, and only Linux has files \
             that are on no disk: take another transport",
        ))
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::new()
    }
}
