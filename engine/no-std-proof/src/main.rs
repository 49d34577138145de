//! A program without `std` and without an allocator that carries out a call with the engine.
//!
//! That it links is the proof: a dependency on either would need a panic handler or an allocator
//! that is not there. `cargo run --manifest-path engine/no-std-proof/Cargo.toml` exits with 0 where
//! the call went as it should.
#![no_std]
#![no_main]

use core::convert::Infallible;
use core::ffi::{c_char, c_int};
use core::panic::PanicInfo;
use core::time::Duration;

use rand_core::TryRng;
use redial_engine::{
    Action, Call, Finality, Outcome, PauseCause, Replay, Retry, ServerHint, StandardPolicy,
    Timestamp, Upstream, Verdict,
};

/// What the platform starts. `std` would define it, so this program has to, and exporting a symbol
/// by its name is what `unsafe` stands for here: nothing else in this program may be called `main`.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    c_int::from(attempts() != Some(3))
}

/// A call that is answered with 503, with 429 and a hint, and with 200: how many attempts it took.
fn attempts() -> Option<u32> {
    let (mut upstream, mut rng, mut now) = (Upstream::default(), Counter(0), Timestamp::ORIGIN);
    let asked = ServerHint::NONE.after(Duration::from_secs(7));
    let mut outcomes =
        [Outcome::status(503), Outcome::hinted(429, asked), Outcome::status(200)].into_iter();
    let mut action =
        Retry::new(&StandardPolicy::DEFAULT).begin(Call::new(Replay::Freely), now, &mut upstream);
    loop {
        action = match action {
            Action::Send(attempt) => {
                match attempt.finish(&outcomes.next()?, now, &mut upstream, &mut rng) {
                    Verdict::Done(end) => {
                        return (end.finality == Finality::Success).then_some(end.attempts);
                    }
                    Verdict::Next(action) => action,
                }
            }
            Action::Sleep(pause) => {
                let hinted = pause.cause() == PauseCause::ServerHint;
                if hinted != (pause.wait() == Duration::from_secs(7)) {
                    return None;
                }
                now = pause.until();
                pause.resume(now, &mut upstream)
            }
            Action::GiveUp(_) => return None,
        };
    }
}

/// The least that is a source of numbers.
struct Counter(u64);

impl TryRng for Counter {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(1);
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0);
        Ok(())
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// What the unwinder would ask. The compiled `core` of the host names it, and `std` would define it;
/// nothing unwinds here, so it is never called. It is exported by its name as `main` is.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

// The platform's start code, which calls `main`, comes with its C library.
#[link(name = "c")]
unsafe extern "C" {}
