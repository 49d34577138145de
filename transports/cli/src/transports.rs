//! A transport by its name, and a runtime for it to live on.

use core::future::Future;

use redial::{Client, ClientBuilder, TransportKind};

use crate::Failure;

/// Runs work on the runtime that a transport needs, with a client builder over that transport.
pub(crate) fn with_transport<T, F>(
    kind: TransportKind,
    work: impl FnOnce(ClientBuilder) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let work = work(Client::builder(kind));
    match kind {
        TransportKind::Tokio => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime =
                runtime.map_err(|error| Failure::trouble(format!("no tokio runtime: {error}")))?;
            runtime.block_on(work)
        }
        TransportKind::AsyncStd => async_std::task::block_on(work),
        // libcurl has a thread of its own, and is content with any executor.
        TransportKind::Smol | TransportKind::Isahc | _ => smol::block_on(work),
    }
}
