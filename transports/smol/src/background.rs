//! A thread for clients that have no executor.

use std::io;
use std::sync::Arc;
use std::thread;

use smol::Executor;
use smol::channel::Sender;

/// An executor on a thread of its own, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Background {
    executor: Arc<Executor<'static>>,
    /// Closed when this is dropped, by which the thread knows.
    _running: Sender<()>,
}

impl Background {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let executor = Arc::new(Executor::new());
        let (running, ended) = smol::channel::bounded(1);
        let worker = Arc::clone(&executor);
        // It only ever ends because the channel is closed.
        let work = move || {
            let _ = smol::block_on(worker.run(ended.recv()));
        };
        thread::Builder::new().name("redial".to_owned()).spawn(work)?;
        Ok(Self { executor, _running: running })
    }

    pub(crate) fn executor(&self) -> Arc<Executor<'static>> {
        Arc::clone(&self.executor)
    }
}
