//! A runtime for clients that have none.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// A tokio runtime on a thread of its own, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Background {
    handle: Handle,
    /// Here until it is dropped.
    runtime: Option<Runtime>,
}

impl Background {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("redial")
            .enable_io()
            .enable_time()
            .build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    pub(crate) const fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // To wait for its end would panic where the last clone is dropped inside an async task.
            runtime.shutdown_background();
        }
    }
}
