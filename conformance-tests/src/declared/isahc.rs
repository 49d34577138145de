//! What isahc declares: where curl does things its own way and no option of it says otherwise.
//!
//! A reason names the file of curl or isahc that shows it.

use redial_engine::{Delivery, FailureKind};

use crate::{Attempted, Call, Declaration, Scenario, Script};

const NOTHING_USABLE: &str = "where no complete header line has come curl says CURLE_GOT_NOTHING \
                              (lib/http.c, \"Empty reply from server\"), as for no answer at all";

const SENT_AGAIN: &str = "curl itself sends what may be repeated once more where a reused \
                          connection breaks (lib/transfer.c, Curl_retry_request)";

/// What isahc declares.
pub fn isahc() -> Vec<Declaration> {
    vec![
        Declaration::new("decisions/status-104-is-interim", NOTHING_USABLE)
            .instead(|it| nth_attempt(it, 0, (FailureKind::Closed, Delivery::Unknown))),
        Declaration::new("decisions/last-response-is-handed-over", SENT_AGAIN)
            .instead(and_once_more),
    ]
}

/// The scenario, whose n-th attempt comes to this instead.
fn nth_attempt(scenario: Scenario, attempt: usize, came: impl Into<Attempted>) -> Scenario {
    let came = came.into();
    each_call(scenario, |call| {
        if let Some(attempt) = call.attempts.get_mut(attempt) {
            *attempt = came.clone();
        }
    })
}

/// The scenario, whose first origin treats what comes beyond its script as its last list says.
fn and_once_more(mut scenario: Scenario) -> Scenario {
    if let Some(script) = scenario.origins.first_mut() {
        let again = match script.plan() {
            crate::Plan::Requests(lists) | crate::Plan::Connections(lists) => lists.last().cloned(),
            crate::Plan::Refused => None,
        };
        let plain = core::mem::replace(script, Script::refused());
        *script = plain.otherwise(again.unwrap_or_default());
    }
    scenario
}

fn each_call(mut scenario: Scenario, change: impl Fn(&mut Call)) -> Scenario {
    for act in &mut scenario.acts {
        if let crate::Act::Calls(calls) = act {
            calls.iter_mut().for_each(&change);
        }
    }
    scenario
}
