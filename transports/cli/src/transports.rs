//! A transport by its name, and a runtime for it to live on.

use core::any::Any;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;

use redial::{Client, ClientBuilder, TransportKind, blocking};
use smol::Timer;
use smol::future::{block_on, poll_once};

use crate::{Failure, in_one_line};

/// Runs work on the runtime that a transport needs, with a client builder over that transport.
///
/// When the work is done, nothing of the runtime is waited for: the name server of a call that is
/// over may be silent for long.
pub(crate) fn with_transport<T, F>(
    kind: TransportKind,
    work: impl FnOnce(ClientBuilder) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    guarded(|| {
        start(kind);
        let work = work(Client::builder(kind));
        match kind {
            TransportKind::Tokio => on_tokio(work),
            TransportKind::AsyncStd => async_std::task::block_on(work),
            TransportKind::Smol => smol::block_on(work),
            // libcurl has a thread of its own, and is content with any executor.
            TransportKind::Isahc | _ => block_on(work),
        }
    })?
}

/// Runs work with a blocking client builder over a transport.
pub(crate) fn with_blocking<T>(
    kind: TransportKind,
    work: impl FnOnce(blocking::ClientBuilder) -> Result<T, Failure>,
) -> Result<T, Failure> {
    guarded(|| {
        start(kind);
        let builder = blocking::client(kind);
        work(builder.map_err(|error| Failure::trouble(in_one_line(&error)))?)
    })?
}

fn on_tokio<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::trouble(format!("no tokio runtime: {error}")))?;
    let done = runtime.block_on(work);
    // To drop it would be to wait for every name that is still being looked up.
    runtime.shutdown_background();
    done
}

/// Starts the threads that a runtime would start at its first use. Where the system has none to
/// give, that is known here, before there is anything whose end would need them: a panic while
/// another one is under way ends the process.
fn start(kind: TransportKind) {
    match kind {
        TransportKind::Smol => {
            start_async_io();
            block_on(smol::spawn(async {}));
        }
        TransportKind::AsyncStd => {
            start_async_io();
            block_on(async_std::task::spawn(async {}));
        }
        TransportKind::Tokio | TransportKind::Isahc | _ => (),
    }
}

/// Starts the thread behind the sockets and timers of smol and async-std, by looking once at a
/// timer that nobody waits for.
fn start_async_io() {
    block_on(poll_once(Timer::after(Duration::from_secs(1))));
}

/// Runs what may panic because the system has no thread or descriptor left: the runtimes know of no
/// other way to say so.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    // What was broken off is looked at by nobody: the command ends with this failure.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        Failure::trouble(format!("the call could not be made: {}", words(&*panic)))
    })
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref().map(String::as_str)).unwrap_or("a panic without words")
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use super::*;

    /// Longer than any test waits for a call that is over.
    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn what_still_blocks_a_thread_is_not_waited_for() {
        for kind in TransportKind::ALL {
            let began = Instant::now();
            let done = with_transport(kind, async |_| {
                match kind {
                    TransportKind::Tokio => drop(tokio::task::spawn_blocking(block)),
                    TransportKind::AsyncStd => drop(async_std::task::spawn_blocking(block)),
                    TransportKind::Smol | TransportKind::Isahc | _ => smol::unblock(block).detach(),
                }
                Ok(())
            });
            done.expect("there are threads");
            assert!(began.elapsed() < LONG / 2, "{kind}: {:?}", began.elapsed());
        }
    }

    fn block() {
        thread::sleep(LONG);
    }

    #[test]
    fn a_runtime_that_panics_is_trouble_and_says_why() {
        for kind in TransportKind::ALL {
            let failure = with_transport(kind, async |_| -> Result<(), Failure> {
                panic!("cannot spawn executor thread: {kind}")
            });
            let failure = failure.expect_err("it panicked");
            assert_eq!(failure.exit_code(), 3);
            let said = failure.to_string();
            assert!(said.ends_with(&format!("cannot spawn executor thread: {kind}")), "{said}");
        }
    }
}
