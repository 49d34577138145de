//! What the tests share.

use redial::TransportKind;

/// Runs a call where the transport wants to be.
pub(crate) fn run<T>(kind: TransportKind, call: impl Future<Output = T>) -> T {
    match kind {
        TransportKind::Tokio => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(call)
        }
        TransportKind::Smol | TransportKind::AsyncStd | TransportKind::Isahc | _ => {
            smol::block_on(call)
        }
    }
}
