//! Closing idle connections as they expire, without another request to notice (R-P-3).

use core::future::Future;
use std::sync::Arc;

use redial_client::race;

use crate::connections::{Connections, End};
use crate::runtime::Runtime;

/// Closes idle connections as they expire, until there is none, or nothing is kept any more.
///
/// It keeps nothing alive: it ends with the transport.
pub(super) fn close_as_they_expire<R: Runtime>(
    connections: &Arc<Connections<R>>,
    shut: Arc<End>,
) -> impl Future<Output = ()> + Send + use<R> {
    let (runtime, connections) = (connections.runtime.clone(), Arc::downgrade(connections));
    async move {
        loop {
            let next = {
                let Some(connections) = connections.upgrade() else { return };
                let mut state = connections.lock();
                let next = state.pool.next_deadline();
                state.has_janitor = next.is_some();
                next
            };
            let Some(next) = next else { return };
            if race(shut.wait(), runtime.sleep_until(next)).await.is_some() {
                return;
            }
            let Some(connections) = connections.upgrade() else { return };
            let now = runtime.now();
            connections.with(|state| state.pool.tick(now));
        }
    }
}
