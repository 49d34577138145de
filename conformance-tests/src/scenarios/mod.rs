//! The suite: every scenario, by group.
//!
//! A row is written as what it proves (`Scenario::new`), what the origin does (`origin`), what the
//! client does and what must come of it (`call`), and what the origin must have seen (`sees`).

mod decisions;

use crate::{Reply, Scenario, Step};

/// Every scenario, group by group.
pub fn scenarios() -> Vec<Scenario> {
    [decisions::all()].into_iter().flatten().collect()
}

/// A good answer.
fn ok() -> Reply {
    Reply::status(200).body("ok")
}

/// An answer of this status, which a client can read and throw away.
fn status(status: u16) -> Reply {
    Reply::status(status).body("no")
}

/// One reply, as what is done to a request.
fn reply(reply: &Reply) -> Vec<Step> {
    vec![reply.step()]
}
