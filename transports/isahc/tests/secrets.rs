//! No secret of a request is in what isahc logs (R-O-3).

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::fmt::{Debug, Write};
use std::sync::Mutex;

use common::{block_on, client, finish, ok, replies};
use redial_conformance::{Reply, Step};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static LOG: Mutex<String> = Mutex::new(String::new());

/// Writes down everything, at every level.
struct Everything;

struct Writer<'a>(&'a mut String);

impl Visit for Writer<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut log = LOG.lock().unwrap();
        log.push_str(span.metadata().name());
        span.record(&mut Writer(&mut log));
        log.push('\n');
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Writer(&mut LOG.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut log = LOG.lock().unwrap();
        log.push_str(event.metadata().target());
        event.record(&mut Writer(&mut log));
        log.push('\n');
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// One test alone in its process: isahc's threads log to the global subscriber.
#[test]
fn no_secret_is_logged_at_any_level() {
    tracing::subscriber::set_global_default(Everything).unwrap();
    tracing::info!("the subscriber listens");
    let server = replies([Reply::status(503), ok()]);
    let call = client().get(server.url("/path?token=query-secret"));
    let call = call.header("authorization", "Bearer header-secret").body("body-secret");
    assert_eq!(block_on(call.send()).unwrap().status(), 200);
    finish(server);
    let server = common::always(vec![Step::Reset]);
    let call = client().post(server.url("/path?token=query-secret"));
    let error = block_on(call.header("cookie", "a=header-secret").send()).unwrap_err();
    let log = LOG.lock().unwrap();
    assert!(log.contains("the subscriber listens"));
    for secret in ["query-secret", "header-secret", "body-secret"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "R-O-3");
        assert!(!format!("{error:?} {error}").contains(secret), "R-O-3");
    }
}
