//! Whom an HTTP/1.1 connection wakes: whoever waits for it just now.

use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use core::task::{Context, Waker};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

use crate::connections::End;

/// Passes on what wakes a connection: to the exchange that has it, or to its keeper.
///
/// The connection is always polled with the same wakers, so that a reactor need not be told of
/// another whenever it changes hands: async-io would wake the one before each time.
///
/// Whoever polls the connection attends to it meanwhile, and is not woken but told afterwards: much
/// of what hyper does while it is polled wakes another part of itself.
pub(crate) struct Relay {
    shared: Arc<Shared>,
    /// What hyper is polled with.
    waker: Waker,
}

struct Shared {
    /// Who waits, and whether they have been woken.
    state: AtomicU8,
    /// Here while an exchange waits.
    exchange: Mutex<Option<Waker>>,
    keeper: Arc<End>,
    /// Whether the socket has nothing to read, and is to say so when that changes.
    listening: AtomicBool,
}

/// Nobody waits: the connection is attended to.
const NOBODY: u8 = 0;
const EXCHANGE: u8 = 1;
const KEEPER: u8 = 2;
/// There is something to do since.
const WOKEN: u8 = 4;

impl Relay {
    /// A relay for a connection whose keeper waits for this signal.
    pub(crate) fn new(keeper: Arc<End>) -> Self {
        let (state, listening) = (AtomicU8::new(NOBODY), AtomicBool::new(false));
        let shared = Arc::new(Shared { state, exchange: Mutex::default(), keeper, listening });
        Self { waker: Waker::from(Arc::clone(&shared)), shared }
    }

    /// What hyper is polled with.
    pub(crate) const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// What its socket is polled with.
    pub(crate) fn ear(&self) -> Ear {
        let waker = Waker::from(Arc::new(Heard(Arc::clone(&self.shared))));
        Ear { shared: Arc::clone(&self.shared), waker }
    }

    /// Whether the socket has nothing to read, and will say so when that changes.
    pub(crate) fn is_listening(&self) -> bool {
        self.shared.listening.load(Ordering::Acquire)
    }

    /// The socket is asked the next time, whatever it has promised.
    pub(crate) fn ask(&self) {
        self.shared.listening.store(false, Ordering::Release);
    }

    /// Whoever waited attends to the connection now, or somebody else does.
    pub(crate) fn attend(&self) {
        // Mostly it is attended to already, and to look costs less than to say so.
        if self.shared.state.load(Ordering::Acquire) != NOBODY {
            self.shared.state.swap(NOBODY, Ordering::AcqRel);
        }
    }

    /// An exchange has attended to it, and waits from here on.
    pub(crate) fn wait(&self, context: &Context<'_>) {
        let waker = Some(context.waker().clone());
        let before = core::mem::replace(&mut *self.shared.exchange(), waker);
        if self.shared.state.swap(EXCHANGE, Ordering::AcqRel) & WOKEN != 0 {
            context.waker().wake_by_ref();
        }
        // Outside the lock: nobody knows what that does.
        drop(before);
    }

    /// Somebody has attended to it, and leaves it to its keeper. Answers whether there was anything
    /// to do since.
    pub(crate) fn leave(&self) -> bool {
        self.shared.state.swap(KEEPER, Ordering::AcqRel) & WOKEN != 0
    }
}

/// The waker of a socket, and whether it has been told to wake.
pub(crate) struct Ear {
    shared: Arc<Shared>,
    waker: Waker,
}

impl Ear {
    pub(crate) const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Whether there is nothing to read, and that has not changed.
    pub(crate) fn is_listening(&self) -> bool {
        self.shared.listening.load(Ordering::Acquire)
    }

    /// The socket is polled now. To be said before, so that what it says at once is not missed.
    pub(crate) fn listen(&self) {
        self.shared.listening.store(true, Ordering::Release);
    }

    /// There was something to read, and may be more.
    pub(crate) fn heard(&self) {
        self.shared.listening.store(false, Ordering::Release);
    }
}

impl Shared {
    fn exchange(&self) -> MutexGuard<'_, Option<Waker>> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn woken(&self) {
        // Whoever has been woken already, or attends to the connection, looks after this too.
        match self.state.fetch_or(WOKEN, Ordering::AcqRel) {
            EXCHANGE => {
                let waker = self.exchange().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            KEEPER => self.keeper.nudge(),
            _ => {}
        }
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.woken();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken();
    }
}

/// What a socket wakes.
struct Heard(Arc<Shared>);

impl Wake for Heard {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.listening.store(false, Ordering::Release);
        self.0.woken();
    }
}
