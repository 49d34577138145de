//! What isahc declares: where curl does things its own way and no option of it says otherwise.
//!
//! A reason names the line of curl 8.22.0 or isahc 2.0.2 that shows it, and a report of the suite
//! what was seen instead. What holds instead is played too.

use core::time::Duration;

use redial_engine::{Delivery, FailureKind, Reason};

use crate::{
    Act, Attempted, Call, Came, Count, Declaration, End, HeaderSeen, Http2, Plan, QUICK_TIMEOUT,
    Scenario, Script, Sighting, Step,
};

const NOTHING_USABLE: &str = "where no complete header line has come curl says CURLE_GOT_NOTHING \
                              (lib/http.c:1712, \"Empty reply from server\"), as for no answer at \
                              all; its words are not kept (isahc's agent/mod.rs:509)";
const SENT_AGAIN: &str = "curl itself sends what may be repeated once more where a reused \
                          connection breaks (lib/transfer.c:608, Curl_retry_request)";
const ENDS_WITH_ITS_CONNECTION: &str = "to curl a head may end with its connection (lib/http.c): \
                                        it is the body that is found to be missing";
const MALFORMED_CHUNK: &str = "curl says CURLE_RECV_ERROR of a malformed chunk, as of a reset \
                               (lib/http_chunks.c:441); its words are not kept (isahc's \
                               agent/mod.rs:509)";
const ADDED: &str = "Accept, and an empty User-Agent and Content-Type, cannot be left out: isahc's \
                     parsing.rs:85 (header_to_curl_string) has no way to tell curl \"none\", and \
                     client.rs:1171 adds a User-Agent where there is none";
const UNASKED: &str = "curl looks at an idle connection at most once in a second before it is \
                       reused (lib/conncache.c:954)";
const HANDSHAKE: &str = "a handshake that was cut and one that was refused are one code of curl's, \
                         CURLE_SSL_CONNECT_ERROR (lib/vtls/rustls.c:1303): both count as refused";
const NO_GOODBYE: &str = "curl's rustls backend makes CURLE_RECV_ERROR of a missing close_notify \
                          (lib/vtls/rustls.c:231), as of a reset";
const NO_FRAMES: &str = "curl says CURLE_HTTP2, or CURLE_RECV_ERROR, of frames that are none, as of \
                         the end of a connection (lib/http2.c:498 and 1856)";
const NOT_WAITED_FOR: &str = "isahc does not set CURLOPT_PIPEWAIT (lib/url.c:1105): until a \
                              connection stands, curl opens more of them";
const REFUSED: &str = "curl tries a refused stream five times more by itself, and then says nothing \
                       that tells it from a broken connection (lib/transfer.c:638, \
                       CONN_MAX_RETRIES)";
const HUGE_HEAD: &str = "a head beyond curl's own limit of 300 KiB is CURLE_RECV_ERROR, as a reset \
                         is (lib/http.c:3914, \"Too large response headers\")";
const OF_ITS_OWN: &str = "what must not be repeated has a connection of its own, because curl \
                          re-sends on reused ones (lib/transfer.c:608, Curl_retry_request): there \
                          is no race to lose";
const TAKEN: &str = "curl takes up to 64 KiB of a body whether or not the window of its stream is open \
                     (lib/http2.c:2045, cf_h2_body_send): a short body has been taken, and its \
                     response is waited for";
const HELD_BACK: &str = "curl opens a stream before it has seen the server's settings, and nghttp2 \
                         holds further ones back (lib/http2.c:1180): nobody is told that one waits";
const ANY_END: &str = "a body that ends early is CURLE_PARTIAL_FILE, whatever ended it \
                       (lib/http2.c:1856, stream_recv)";
const CLEAN: &str = "to curl a stream that is reset without an error was closed cleanly, whether or \
                     not its response had ended (lib/http2.c:1335, on_stream_close)";
const UPLOAD_TAKEN: &str = "isahc takes the request's body from curl with the first byte of the \
                            response's (handler.rs:310, build_response): the rest of it is never \
                            sent";
const UNTOLD: &str = "curl tells of a connection with the response alone, and not of its end: the \
                      figures are bounds from above";
const LETS_GO_LATE: &str = "curl notices that a call was dropped when bytes move (isahc's \
                            handler.rs:543), or when the reaper comes: after the read timeout and \
                            5 s, and up to 8 s more where bytes had moved (lib/progress.c:150)";

/// What isahc declares.
pub fn isahc() -> Vec<Declaration> {
    let groups = [kinds(), handshakes(), frames(), rows(), added(), resent(), unread(), dropped()];
    groups.into_iter().flatten().collect()
}

/// What isahc declares for blocking callers. They cannot drop a call: they give it a deadline, and
/// curl keeps deadlines itself.
pub fn isahc_blocking() -> Vec<Declaration> {
    let groups = [kinds(), handshakes(), frames(), rows(), added(), resent(), unread()];
    groups.into_iter().flatten().collect()
}

/// Failures that curl has another name for.
fn kinds() -> Vec<Declaration> {
    let closed = |id: &str| {
        Declaration::new(id, NOTHING_USABLE)
            .instead(|it| nth_attempt(it, 0, (FailureKind::Closed, Delivery::Unknown)))
    };
    let malformed = |id: &str| Declaration::new(id, MALFORMED_CHUNK).instead(reset_and_no_more);
    vec![
        closed("decisions/status-104-is-interim"),
        closed("hostile/cut-status-line"),
        Declaration::new("hostile/cut-before-the-blank-line", ENDS_WITH_ITS_CONNECTION)
            .instead(|it| nth_attempt(it, 0, (FailureKind::Truncated, Delivery::Answered))),
        malformed("hostile/chunk-size-too-large"),
        malformed("hostile/chunk-size-negative"),
        malformed("hostile/chunk-without-its-end"),
    ]
}

/// R-X-5, R-X-4: what curl's TLS says.
fn handshakes() -> Vec<Declaration> {
    let cut = |id: &str| {
        Declaration::new(id, HANDSHAKE).instead(|mut it| {
            it.sightings = vec![Sighting::RequestCount { origin: 0, count: Count::Exactly(0) }];
            for script in &mut it.origins {
                let tls = script.tls().cloned();
                *script = Script::connections(vec![]);
                if let Some(tls) = tls {
                    *script = script.clone().secured(tls);
                }
            }
            each_call(it, |call| call.attempts = vec![(FailureKind::Tls, Delivery::Unsent).into()])
        })
    };
    vec![
        cut("tls/cut-end-of-stream"),
        cut("tls/cut-reset"),
        cut("tls/cut-garbage"),
        Declaration::new("tls/no-goodbye-and-no-length", NO_GOODBYE)
            .instead(|it| nth_attempt(it, 0, FailureKind::Reset)),
    ]
}

/// R-D-3, R-X-7: HTTP/2 as curl reports it.
fn frames() -> Vec<Declaration> {
    let malformed = |id: &str| {
        Declaration::new(id, NO_FRAMES).instead(|mut it| {
            it.sightings.clear();
            each_call(it, |call| {
                *call = Call::get("/")
                    .max_attempts(1)
                    .somehow(End::Error(vec![FailureKind::Closed, FailureKind::Reset]));
            })
        })
    };
    let unrepeatable = |id: &str| {
        Declaration::new(id, REFUSED)
            .instead(|it| nth_attempt(it, 0, (FailureKind::Closed, Delivery::Unknown)))
    };
    let not_waited_for = |id: &str| {
        Declaration::new(id, NOT_WAITED_FOR).at_times().instead(|mut it| {
            it.sightings = vec![Sighting::Connections { origin: 0, count: Count::AtMost(20) }];
            it
        })
    };
    vec![
        malformed("http2/data-on-an-idle-stream"),
        malformed("http2/headers-on-stream-0"),
        malformed("http2/window-update-of-0"),
        malformed("http2/frame-too-large"),
        malformed("http2/settings-of-a-wrong-length"),
        not_waited_for("http2/shared-while-it-is-opened"),
        not_waited_for("tls/together-by-alpn"),
        unrepeatable("http2/refused-stream-of-a-post"),
        unrepeatable("http2/go-away-with-an-error"),
        Declaration::new("http2/window-of-0", TAKEN).instead(|it| {
            last_call(it, |call| {
                call.attempts = vec![(FailureKind::ReadTimeout, Delivery::Unknown).into()];
            })
        }),
        Declaration::new("http2/body-reset-without-error-or-length", CLEAN).instead(|it| {
            let it = first_request_alone(it);
            each_call(it, |call| {
                call.attempts = vec![200.into()];
                call.end = Some(End::with(200, "half"));
            })
        }),
        Declaration::new("http2/body-disowned", ANY_END)
            .instead(|it| nth_attempt(it, 0, (FailureKind::Reset, Delivery::Answered))),
        Declaration::new("http2/refused-stream", REFUSED)
            .instead(|it| each_call(it, |call| call.attempts = vec![200.into()])),
        Declaration::new("http2/refused-stream-if-unsent", REFUSED).instead(|it| {
            let it = first_request_alone(it);
            each_call(it, |call| {
                call.attempts = vec![(FailureKind::Closed, Delivery::Unknown).into()];
                call.reason = Some(Reason::NotRepeatable);
            })
        }),
        Declaration::new("http2/refused-for-ever", REFUSED).instead(|mut it| {
            it.sightings = vec![Sighting::RequestCount { origin: 0, count: Count::Exactly(30) }];
            each_call(it, |call| call.attempts = vec![FailureKind::Reset.into(); 5])
        }),
    ]
}

/// Rows of the table of failures.
fn rows() -> Vec<Declaration> {
    let closed = |id: &str, why| {
        Declaration::new(id, why)
            .instead(|it| last_call(it, |call| call.attempts = vec![FailureKind::Closed.into()]))
    };
    let reset = |id: &str, why| {
        Declaration::new(id, why)
            .instead(|it| last_call(it, |call| call.attempts = vec![FailureKind::Reset.into()]))
    };
    let no_http2 = |id: &str| {
        Declaration::new(id, NO_FRAMES).instead(|it| {
            last_call(it, |call| {
                call.attempts = vec![Attempted::any_of([
                    Came::Failure(FailureKind::Closed, Some(Delivery::Unknown)),
                    Came::Failure(FailureKind::ReadTimeout, Some(Delivery::Unknown)),
                ])];
            })
        })
    };
    let lost = |id: &str| {
        Declaration::new(id, REFUSED).instead(|it| {
            last_call(it, |call| {
                call.attempts = vec![Attempted::any_of([
                    Came::Failure(FailureKind::Closed, Some(Delivery::Unknown)),
                    Came::Failure(FailureKind::Reset, Some(Delivery::Unknown)),
                ])];
            })
        })
    };
    let held_back = |id: &str| {
        Declaration::new(id, HELD_BACK).instead(|mut it| {
            it.sightings.clear();
            let silent = vec![Step::AwaitClose { within: REAPED }];
            let none = Http2::new().max_concurrent_streams(0);
            let it = with_lists(it, |_, _| Script::requests(vec![]).http2(none).otherwise(silent));
            last_call(it, |call| call.attempts = vec![FailureKind::ReadTimeout.into()])
        })
    };
    let no_race = |id: &str| {
        Declaration::new(id, OF_ITS_OWN).instead(|it| {
            let it = with_lists(it, |script, lists| {
                let answered = lists.into_iter().map(|list| list.into_iter().take(2).collect());
                let otherwise = script.beyond().map(<[Step]>::to_vec).unwrap_or_default();
                Script::connections(answered.collect()).otherwise(otherwise)
            });
            last_call(it, |call| call.attempts = vec![200.into()])
        })
    };
    vec![
        closed("failures/100-then-close", NOTHING_USABLE),
        closed("failures/partial-status-close", NOTHING_USABLE),
        reset("failures/huge-head", HUGE_HEAD),
        reset("failures/bad-chunk-size", MALFORMED_CHUNK),
        Declaration::new("http2/go-away-on-a-reused-one", OF_ITS_OWN).instead(|mut it| {
            it.sightings = vec![Sighting::RequestCount { origin: 0, count: Count::Exactly(2) }];
            let it = with_lists(it, |_, lists| {
                let answered = lists.into_iter().map(|list| list.into_iter().take(3).collect());
                Script::connections(answered.collect())
            });
            last_call(it, |call| call.attempts = vec![Attempted::from(200).reused(false)])
        }),
        no_race("failures/keepalive-close-race"),
        no_race("failures/keepalive-rst-race"),
        no_http2("failures/h2-bad-frame"),
        no_http2("failures/h2-http1-reply"),
        lost("failures/h2-refused-stream"),
        lost("failures/h2-goaway-unprocessed"),
        lost("failures/h2-goaway-before-request"),
        held_back("failures/h2-max-streams-0"),
        held_back("http2/no-stream-at-all"),
        Declaration::new("failures/h2-goaway-midbody", ANY_END).instead(|it| {
            last_call(it, |call| {
                call.attempts = vec![Attempted::any_of([
                    Came::Failure(FailureKind::Truncated, Some(Delivery::Answered)),
                    Came::Failure(FailureKind::Reset, Some(Delivery::Answered)),
                ])];
            })
        }),
        Declaration::new("bodies/answer-before-the-request-ends", UPLOAD_TAKEN).instead(|it| {
            let it = with_lists(it, |_, lists| {
                let cut = || [Step::AwaitClose { within: REAPED }];
                let begun = |list: Vec<Step>| list.into_iter().take(2).chain(cut()).collect();
                Script::connections(lists.into_iter().map(begun).collect())
            });
            last_call(it, |call| {
                call.attempts = vec![(FailureKind::LocalLimit, Delivery::Answered).into()];
                call.end = Some(End::Error(vec![FailureKind::LocalLimit]));
            })
        }),
        Declaration::new("pool/figures", UNTOLD).instead(|mut it| {
            it.acts.retain(|act| matches!(act, Act::Calls(_)));
            it
        }),
    ]
}

/// Headers that curl adds, and answers that it takes for its own.
fn added() -> Vec<Declaration> {
    let more = |id: &str| Declaration::new(id, ADDED).instead(with_what_curl_adds);
    vec![
        more("headers/nothing-is-added"),
        more("headers/nothing-is-added-to-a-post"),
        more("headers/no-user-agent"),
        more("headers/default-nowhere-else"),
        more("http2/headers"),
        Declaration::new("hostile/answer-to-nobody", UNASKED).instead(|it| {
            let it = first_list_alone(it);
            nth_call(it, 1, |call| call.end = Some(End::with(299, "evil")))
        }),
    ]
}

/// Requests that curl sends again by itself.
fn resent() -> Vec<Declaration> {
    vec![
        Declaration::new("decisions/last-response-is-handed-over", SENT_AGAIN)
            .instead(and_once_more),
        Declaration::new("pool/served-once-then-always-closed", SENT_AGAIN).instead(|mut it| {
            it.sightings = vec![Sighting::RequestCount { origin: 0, count: Count::AtMost(7) }];
            nth_call(it, 1, |call| call.attempts = vec![FailureKind::Closed.into(); 5])
        }),
    ]
}

fn late(id: &str) -> Declaration {
    Declaration::new(id, LETS_GO_LATE).instead(within_the_reapers_bound)
}

/// Responses that nobody reads any more.
fn unread() -> Vec<Declaration> {
    vec![late("bodies/no-slot-while-it-sleeps"), late("cancellation/leaves-nothing")]
}

/// Calls that curl lets go of late.
fn dropped() -> Vec<Declaration> {
    vec![
        late("cancellation/while-waiting-for-the-answer"),
        late("cancellation/while-the-body-comes"),
        late("cancellation/frees-its-slot"),
    ]
}

/// How long curl may hold what was dropped, under the quick setup's read timeout.
const REAPED: Duration = Duration::from_secs(14);

/// The scenario, with the quick read timeout, and with time for the reaper.
fn within_the_reapers_bound(mut scenario: Scenario) -> Scenario {
    scenario.setup.timeouts.read = QUICK_TIMEOUT;
    scenario.setup.timeouts.pool = REAPED;
    scenario.acts.retain(|act| !matches!(act, Act::Figures { .. }));
    scenario.sightings.retain(|it| !matches!(it, Sighting::Requests { .. }));
    for sighting in &mut scenario.sightings {
        if let Sighting::AllClosed { within } = sighting {
            *within = REAPED;
        }
    }
    each_call(scenario, |call| call.took.1 = call.took.1.max(REAPED * 2))
}

/// The scenario, whose first call fails by a reset and is not made again.
fn reset_and_no_more(scenario: Scenario) -> Scenario {
    nth_call(scenario, 0, |call| {
        *call = Call::get("/")
            .max_attempts(1)
            .comes_to([FailureKind::Reset])
            .gives_up(Reason::AttemptsExhausted);
    })
}

/// The scenario, with the headers that curl adds.
fn with_what_curl_adds(mut scenario: Scenario) -> Scenario {
    for sighting in &mut scenario.sightings {
        let Sighting::Requests { requests, .. } = sighting else { continue };
        for header in requests.iter_mut().flat_map(|request| &mut request.headers) {
            match header {
                HeaderSeen::Only(names) => {
                    *names = &[
                        ":method",
                        ":path",
                        ":scheme",
                        ":authority",
                        "host",
                        "accept",
                        "user-agent",
                        "content-length",
                        "content-type",
                        "x-one",
                    ];
                }
                HeaderSeen::Absent("user-agent") => {
                    *header = HeaderSeen::Is("user-agent", String::new());
                }
                HeaderSeen::Is(..) | HeaderSeen::Absent(_) | HeaderSeen::AsBefore(_) => {}
            }
        }
    }
    scenario
}

/// The scenario, whose first origin treats what comes beyond its script as its last list says.
fn and_once_more(scenario: Scenario) -> Scenario {
    with_lists(scenario, |script, lists| {
        let again = lists.last().cloned().unwrap_or_default();
        script.otherwise(again)
    })
}

/// The scenario, whose first origin has only the first of its lists.
fn first_list_alone(scenario: Scenario) -> Scenario {
    with_lists(scenario, |_, lists| Script::connections(lists.into_iter().take(1).collect()))
}

/// The scenario, whose first origin answers only the first request.
fn first_request_alone(scenario: Scenario) -> Scenario {
    with_lists(scenario, |_, lists| Script::requests(lists.into_iter().take(1).collect()))
}

fn with_lists(
    mut scenario: Scenario,
    change: impl FnOnce(Script, Vec<Vec<Step>>) -> Script,
) -> Scenario {
    if let Some(script) = scenario.origins.first_mut() {
        let lists = match script.plan() {
            Plan::Requests(lists) | Plan::Connections(lists) => lists.clone(),
            Plan::Refused => Vec::new(),
        };
        *script = change(script.clone(), lists);
    }
    scenario
}

/// The scenario, the n-th attempt of whose calls comes to this.
fn nth_attempt(scenario: Scenario, attempt: usize, came: impl Into<Attempted>) -> Scenario {
    let came = came.into();
    each_call(scenario, |call| {
        if let Some(attempt) = call.attempts.get_mut(attempt) {
            *attempt = came.clone();
        }
    })
}

fn nth_call(mut scenario: Scenario, number: usize, change: impl FnOnce(&mut Call)) -> Scenario {
    if let Some(call) = calls(&mut scenario).nth(number) {
        change(call);
    }
    scenario
}

fn last_call(mut scenario: Scenario, change: impl FnOnce(&mut Call)) -> Scenario {
    if let Some(call) = calls(&mut scenario).last() {
        change(call);
    }
    scenario
}

fn each_call(mut scenario: Scenario, change: impl FnMut(&mut Call)) -> Scenario {
    calls(&mut scenario).for_each(change);
    scenario
}

fn calls(scenario: &mut Scenario) -> impl Iterator<Item = &mut Call> {
    scenario.acts.iter_mut().flat_map(|act| match act {
        Act::Calls(calls) => calls.as_mut_slice(),
        Act::Rest(_) | Act::Close | Act::Figures { .. } | Act::Totals { .. } => &mut [],
    })
}
