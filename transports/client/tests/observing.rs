//! What can be seen of a call, and what never can (R-O-1 to R-O-3, R-C-6).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may fail"
)]

mod common;

use core::cell::RefCell;
use core::fmt;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::panic::{catch_unwind, panic_any};
use std::sync::{Arc, Mutex, Once};

use common::{Piece, answer, block_on, builder, client, fails, status};
use redial_client::engine::{Delivery, FailureKind, GiveUp};
use redial_client::{
    AttemptRecord, CallEnd, CallInfo, Observer, Origin, PoolEvent, PoolEventKind, PoolObserver,
    Wait,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down what it is told.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Diary {
    fn attempt(&self, call: &CallInfo<'_>, attempt: &AttemptRecord) {
        self.note(format!("{} {} attempt {}", call.method, call.origin, attempt.number));
    }

    fn wait(&self, _: &CallInfo<'_>, wait: &Wait) {
        self.note(format!("wait: {}", wait.cause.name()));
    }

    fn give_up(&self, _: &CallInfo<'_>, why: GiveUp) {
        self.note(format!("gives up after {}: {}", why.attempts, why.reason.name()));
    }

    fn end(&self, _: &CallInfo<'_>, end: &CallEnd<'_>) {
        let reason = end.reason.map(|reason| reason.name());
        let waited = end.elapsed.as_millis() >= 800;
        self.note(format!("end after {}, {reason:?}, waited: {waited}", end.attempts.len()));
    }
}

#[test]
fn an_observer_is_told_every_step_in_order() {
    let diary = Arc::new(Diary::default());
    let (builder, _) = builder([
        status(429).header("retry-after", "3"),
        fails(FailureKind::Reset, Delivery::Unknown),
        status(200),
        status(503),
    ]);
    let client = builder.observer(Arc::<Diary>::clone(&diary)).build().unwrap();
    block_on(client.get("http://h/path?query").send()).unwrap();
    block_on(client.post("https://h:8443/").send()).unwrap();
    assert_eq!(
        diary.lines(),
        [
            "GET http://h:80 attempt 1",
            "wait: server_hint",
            "GET http://h:80 attempt 2",
            "wait: backoff",
            "GET http://h:80 attempt 3",
            "end after 3, None, waited: true",
            "POST https://h:8443 attempt 1",
            "gives up after 1: not_repeatable",
            "end after 1, Some(\"not_repeatable\"), waited: false",
        ]
    );
}

/// Records spans and events as text, each thread's apart.
///
/// It is everybody's subscriber: one that is set for a thread alone is not asked about a call site
/// that another thread comes to first.
struct Recorder;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

impl Recorder {
    fn note(&self, what: &str, record: impl FnOnce(&mut Line)) {
        let mut line = Line(what.to_owned());
        record(&mut line);
        LINES.with_borrow_mut(|lines| lines.push(line.0));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "elapsed" && field.name() != "length" {
            self.0 += &format!(" {}={value:?}", field.name());
        }
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("redial")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.note(span.metadata().name(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.note("record", |line| values.record(line));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.note(event.metadata().level().as_str(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What this thread records while it runs this.
fn traced(run: impl FnOnce()) -> Vec<String> {
    static SET: Once = Once::new();
    SET.call_once(|| tracing::subscriber::set_global_default(Recorder).unwrap());
    LINES.take();
    run();
    LINES.take()
}

/// R-O-1: the names are those of OpenTelemetry.
#[test]
fn a_call_is_a_span_and_its_steps_are_events() {
    let lines = traced(|| {
        let (client, _) = client([fails(FailureKind::Reset, Delivery::Unknown), status(404)]);
        block_on(client.get("http://h/").send()).unwrap();
    });
    assert_eq!(
        lines,
        [
            "http.client http.request.method=\"GET\" server.address=\"h\" server.port=80 \
             url.scheme=\"http\"",
            "DEBUG message=attempt 1 http.request.resend_count=0 error.type=\"reset\" \
             reused=false",
            "DEBUG message=wait cause=\"backoff\"",
            "DEBUG message=attempt 2 http.request.resend_count=1 \
             http.response.status_code=404 error.type=\"404\" reused=false",
            "record http.response.status_code=404",
            "record error.type=\"404\"",
            "record http.request.resend_count=1",
        ]
    );
}

#[test]
fn giving_up_is_an_event() {
    let lines = traced(|| {
        let (client, _) = client([status(503)]);
        block_on(client.post("http://h/").send()).unwrap();
    });
    let expected = "INFO message=give up reason=\"not_repeatable\" attempts=1";
    assert!(lines.iter().any(|line| line == expected), "{lines:?}");
}

/// Panics at every event of a pool, and with something that panics when it is dropped.
#[derive(Default)]
struct Panicking(AtomicUsize);

impl Observer for Panicking {
    fn pool(&self, _: &PoolEvent<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic_any(Unwelcome);
    }
}

struct Unwelcome;

impl Drop for Unwelcome {
    fn drop(&mut self) {
        panic!("here it comes again");
    }
}

/// What a transport does that loses a connection because of a panic.
struct Leaving<'a>(&'a PoolObserver, &'a Origin);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.tell(self.1, PoolEventKind::Closed);
    }
}

/// R-O-2: metrics end no process.
#[test]
fn a_panic_at_an_event_of_the_pool_goes_no_further_and_is_said_once() {
    let observer = Arc::new(Panicking::default());
    let pool = PoolObserver::new(Some(Arc::<Panicking>::clone(&observer)));
    let origin = Origin::of(&"http://h/".parse().unwrap()).unwrap();
    let lines = traced(|| {
        pool.tell(&origin, PoolEventKind::Reused);
        pool.clone().tell(&origin, PoolEventKind::TimedOut);
        let lost = catch_unwind(AssertUnwindSafe(|| {
            let _leaving = Leaving(&pool, &origin);
            panic!("something else");
        }));
        assert!(lost.is_err());
    });
    assert_eq!(observer.0.load(Ordering::Relaxed), 3, "it is told all the same");
    assert!(matches!(&lines[..], [line] if line.starts_with("WARN")), "{lines:?}");
}

/// R-O-3, in everything that can be printed.
#[test]
fn secrets_are_seen_nowhere() {
    let mut seen = traced(|| {
        let (client, _) = client([status(503), fails(FailureKind::Tls, Delivery::Unsent)]);
        let call = client.get("http://h/?hidden").bearer_auth("hidden").header("cookie", "hidden");
        let error = block_on(call.body("hidden").send()).unwrap_err();
        tracing::info!(target: "redial", "{error} {error:?} {client:?}");
    });
    let (client, _) =
        client([answer(200, &[Piece::Data(b"hidden")]).header("set-cookie", "hidden")]);
    let call = client.get("http://h/?hidden").basic_auth("hidden", Some("hidden"));
    seen.push(format!("{call:?}"));
    let response = block_on(call.send_streaming()).unwrap();
    seen.push(format!("{response:?}"));
    seen.push(format!("{:?}", block_on(response.buffer()).unwrap()));
    seen.push(block_on(client.get("http://hidden@h/").send()).unwrap_err().to_string());
    for line in seen {
        assert!(!line.contains("hidden") && !line.contains("aGlkZGVu"), "{line}");
    }
}

/// R-C-6: a warning where something is still in flight, and only there.
#[test]
fn dropping_the_last_clone_says_so_where_bodies_are_being_read() {
    for in_flight in [true, false] {
        let (client, script) = client([answer(200, &[Piece::Data(b"x")])]);
        let clone = client.clone();
        let response = block_on(client.get("http://h/").send_streaming()).unwrap();
        let mut response = Some(response);
        if !in_flight {
            response = None;
        }
        assert!(traced(|| drop(client)).is_empty(), "there is another clone");
        let lines = traced(|| drop(clone));
        assert_eq!(lines.len(), usize::from(in_flight), "{lines:?}");
        assert!(lines.iter().all(|line| line.starts_with("WARN") && line.contains("bodies=1")));
        assert_eq!(script.closed(), 1, "it closes everything");
        if let Some(response) = response {
            assert_eq!(block_on(response.text()).unwrap(), "x", "and lets this finish");
        }
    }
}
