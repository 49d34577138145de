//! The executors that each test runs on.

use core::future::Future;
use core::time::Duration;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::RemoteHandle;
use redial_async_std::AsyncStd;
use redial_client::{BoxFuture, Client, ClientBuilder, PoolLimits};
use redial_hyper::{Hyper, Runtime as _};
use redial_smol::Smol;
use redial_tokio::Tokio;
use smol::Executor;
use tokio::runtime::{Builder, Handle};

use crate::common::{TOO_LONG, quick, within};
use crate::runtime::{Base, TestRuntime};

/// An executor, from the inside of a test that runs on it.
#[derive(Clone, Debug)]
pub(crate) struct On {
    base: Base,
    flavour: Flavour,
}

/// Which executor a test is to run on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flavour {
    TokioCurrentThread,
    TokioMultiThread,
    SmolGlobal,
    SmolOwnExecutor,
    AsyncStd,
}

impl Flavour {
    /// Runs a test to its end, and fails where it has none.
    pub(crate) fn run<F: Future<Output = ()> + Send + 'static>(self, test: impl FnOnce(On) -> F) {
        let on = |base| On { base, flavour: self };
        match self {
            Self::TokioCurrentThread => {
                run_on_tokio(Builder::new_current_thread(), |base| test(on(base)))
            }
            Self::TokioMultiThread => {
                run_on_tokio(Builder::new_multi_thread(), |base| test(on(base)))
            }
            Self::SmolGlobal => smol::block_on(bounded(test(on(Base::Smol(Smol::new()))))),
            Self::SmolOwnExecutor => {
                let executor = Arc::new(Executor::new());
                let on = on(Base::Smol(Smol::with_executor(&executor)));
                smol::block_on(executor.run(bounded(test(on))));
            }
            Self::AsyncStd => {
                async_std::task::block_on(bounded(test(on(Base::AsyncStd(AsyncStd::new())))));
            }
        }
    }
}

fn run_on_tokio<F: Future<Output = ()>>(mut builder: Builder, test: impl FnOnce(Base) -> F) {
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        bounded(test(Base::Tokio(Tokio::new(Handle::current())))).await;
    });
}

async fn bounded(test: impl Future<Output = ()>) {
    within(TOO_LONG, test).await.expect("the test hangs");
}

impl On {
    /// Which executor it is.
    pub(crate) const fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// What the transport is made on.
    pub(crate) fn runtime(&self) -> TestRuntime {
        TestRuntime::new(self.base.clone())
    }

    /// A client under the quick policy.
    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    /// The same, to be changed.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let builder = match self.base.clone() {
            Base::Tokio(runtime) => Client::builder(Hyper::on(runtime)),
            Base::Smol(runtime) => Client::builder(Hyper::on(runtime)),
            Base::AsyncStd(runtime) => Client::builder(Hyper::on(runtime)),
        };
        builder.policy(quick().build().unwrap()).seed(1)
    }

    /// The same with these limits of its pool.
    pub(crate) fn limited(&self, limits: PoolLimits) -> ClientBuilder {
        self.builder().pool(limits)
    }

    /// Runs a future beside the test. Dropping the handle cancels it; a panic reaches whoever
    /// awaits it.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> RemoteHandle<T> {
        let (task, handle) = future.remote_handle();
        let task: BoxFuture<'static, ()> = Box::pin(task);
        match &self.base {
            Base::Tokio(runtime) => runtime.spawn(task),
            Base::Smol(runtime) => runtime.spawn(task),
            Base::AsyncStd(runtime) => runtime.spawn(task),
        }
        handle
    }
}

/// Waits on a timer that every executor has beside its own.
pub(crate) async fn sleep(length: Duration) {
    smol::Timer::after(length).await;
}

/// Makes of each function a test on each executor.
macro_rules! on_each_runtime {
    ($($test:ident),* $(,)?) => {
        $crate::on::on_each_runtime! {
            @ [$($test)*]
            tokio_current_thread TokioCurrentThread,
            tokio_multi_thread TokioMultiThread,
            smol_global SmolGlobal,
            smol_own_executor SmolOwnExecutor,
            async_std AsyncStd,
        }
    };
    (@ $tests:tt $($module:ident $flavour:ident,)*) => {
        $($crate::on::on_each_runtime! { @@ $tests $module $flavour })*
    };
    (@@ [$($test:ident)*] $module:ident $flavour:ident) => {
        mod $module {
            $(#[test]
            fn $test() {
                $crate::on::Flavour::$flavour.run(super::$test);
            })*
        }
    };
}
pub(crate) use on_each_runtime;
