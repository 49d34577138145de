//! A thread for clients that have no executor.

use std::io;
use std::sync::Arc;
use std::thread;

use smol::Executor;
use smol::channel::Sender;

/// A thread that runs an executor, and drops it with all that is on it when this is dropped.
#[derive(Debug)]
pub(crate) struct Background {
    /// Closed when this is dropped, by which the thread knows.
    _running: Sender<()>,
}

impl Background {
    /// Starts the thread.
    pub(crate) fn start(executor: Arc<Executor<'static>>) -> io::Result<Self> {
        let (running, ended) = smol::channel::bounded(1);
        // It only ever ends because the channel is closed.
        let work = move || {
            let _ = smol::block_on(executor.run(ended.recv()));
        };
        thread::Builder::new().name("redial".to_owned()).spawn(work)?;
        Ok(Self { _running: running })
    }
}
