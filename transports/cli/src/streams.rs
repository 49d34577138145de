//! The two streams of the process, either of which may be closed or full.

use core::fmt;
use std::io::{self, ErrorKind, Write as _};

use crate::Failure;

/// Writes to standard error what people may want to know. Where nobody can read it, the command
/// does its work all the same.
pub(crate) fn tell(text: fmt::Arguments<'_>) {
    let _ = anstream::stderr().write_fmt(text);
}

/// Writes to standard output what the command was asked for.
pub(crate) fn say(text: fmt::Arguments<'_>) -> Result<(), Failure> {
    written(anstream::stdout().write_fmt(text))
}

/// Whether standard output took what was written. A reader that has gone away has had enough of it,
/// and is no trouble.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::trouble(format!("standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
