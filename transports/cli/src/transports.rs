//! A transport by its name, and a runtime for it to live on.

use redial_client::{Client, ClientBuilder};
use redial_hyper::Hyper;
use redial_tokio::Tokio;

use crate::Failure;
use crate::arguments::TransportName;

/// Runs work on the runtime that a transport needs, with a client builder over that transport.
pub(crate) fn with_transport<T, F>(
    name: TransportName,
    work: impl FnOnce(ClientBuilder) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    match name {
        TransportName::Tokio => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime =
                runtime.map_err(|error| Failure::trouble(format!("no tokio runtime: {error}")))?;
            let transport = Hyper::on(Tokio::new(runtime.handle().clone()));
            runtime.block_on(work(Client::builder(transport)))
        }
        TransportName::Smol => smol::block_on(work(redial_smol::client())),
        TransportName::AsyncStd => async_std::task::block_on(work(redial_async_std::client())),
    }
}
