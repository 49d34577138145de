//! The file that a report goes to, which may be a stream of the process by another name.

use core::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::streams::{say, tell, written};
use crate::{Failure, NO_RESPONSE, USAGE};

/// The file that a report goes to, opened before anything is sent: a call is not made whose report
/// nobody will see.
#[derive(Debug)]
pub(crate) struct ReportFile {
    path: PathBuf,
    place: Place,
}

/// Where what is written ends up.
#[derive(Debug)]
enum Place {
    /// Standard output, behind what the command writes there.
    Output,
    /// Standard error, in the same way.
    Errors,
    /// A file that is the report's alone.
    File(File),
}

impl ReportFile {
    /// Opens the file, and leaves what is in it until there is a report. `-` is standard output, as
    /// is every path that leads to the same file, such as `/dev/stdout`.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let place = Place::of(path).map_err(|error| unwritten(path, &error, USAGE))?;
        Ok(Self { path: path.to_owned(), place })
    }

    /// Writes a report as JSON in place of what is in the file.
    pub(crate) fn write(&mut self, report: &impl Serialize) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(report);
        let mut json = json.map_err(|error| self.failure(&error, NO_RESPONSE))?;
        json.push('\n');
        self.replace(json.as_bytes())
    }

    /// Puts this in place of what is in the file; a stream keeps what has been written to it.
    pub(crate) fn replace(&mut self, text: &[u8]) -> Result<(), Failure> {
        let result = match &mut self.place {
            Place::Output => return written(write_to(io::stdout(), text)),
            Place::Errors => write_to(io::stderr(), text),
            Place::File(file) => replace(file, text),
        };
        result.map_err(|error| self.failure(&error, NO_RESPONSE))
    }

    /// Whether both would be written to one file, each over the other.
    pub(crate) fn is_one_with(&self, other: &Self) -> bool {
        match (&self.place, &other.place) {
            (Place::Output, Place::Output) | (Place::Errors, Place::Errors) => true,
            (Place::File(file), Place::File(other)) => are_one(file, other).unwrap_or(false),
            (Place::Output | Place::Errors | Place::File(_), _) => false,
        }
    }

    const fn is_output(&self) -> bool {
        matches!(self.place, Place::Output)
    }

    fn failure(&self, error: &dyn fmt::Display, code: u8) -> Failure {
        unwritten(&self.path, error, code)
    }
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Output);
        }
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        if is_stream(&file, io::stdout())? {
            Ok(Self::Output)
        } else if is_stream(&file, io::stderr())? {
            Ok(Self::Errors)
        } else {
            Ok(Self::File(file))
        }
    }
}

/// Writes what people are to read: to standard output, unless that is for one of these reports.
pub(crate) fn show<'a>(
    reports: impl IntoIterator<Item = &'a ReportFile>,
    text: fmt::Arguments<'_>,
) -> Result<(), Failure> {
    if reports.into_iter().any(ReportFile::is_output) {
        tell(text);
        return Ok(());
    }
    say(text)
}

fn write_to(mut stream: impl io::Write, text: &[u8]) -> io::Result<()> {
    stream.write_all(text)?;
    stream.flush()
}

fn replace(file: &mut File, text: &[u8]) -> io::Result<()> {
    // A pipe or a terminal has no length; what cannot be cut is written to as it is.
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        file.set_len(0)?;
    }
    file.write_all(text)
}

/// Whether this file is what a stream of the process writes to. A device is not: what is written
/// to it, a terminal or `/dev/null`, lies over nothing.
#[cfg(unix)]
fn is_stream(file: &File, stream: impl std::os::fd::AsFd) -> io::Result<bool> {
    use std::os::unix::fs::FileTypeExt as _;

    if file.metadata()?.file_type().is_char_device() {
        return Ok(false);
    }
    are_one(file, &File::from(stream.as_fd().try_clone_to_owned()?))
}

/// Elsewhere than on Unix, streams have no names among the files.
#[cfg(not(unix))]
fn is_stream<S>(_: &File, _: S) -> io::Result<bool> {
    Ok(false)
}

#[cfg(unix)]
fn are_one(file: &File, other: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let (file, other) = (file.metadata()?, other.metadata()?);
    Ok((file.dev(), file.ino()) == (other.dev(), other.ino()))
}

#[cfg(not(unix))]
fn are_one(_: &File, _: &File) -> io::Result<bool> {
    Ok(false)
}

fn unwritten(path: &Path, error: &dyn fmt::Display, code: u8) -> Failure {
    Failure { line: format!("the report {} was not written: {error}", path.display()), code }
}
