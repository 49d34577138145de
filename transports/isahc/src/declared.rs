//! What isahc does otherwise than the requirements say, as data.

/// A requirement that isahc meets otherwise, because curl leaves no choice.
///
/// Tests hold each of them to what it says: where curl does better one day, they fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Declared {
    /// The ids of the requirements that it is about.
    pub requirements: &'static [&'static str],
    /// The rows of the wire vectors in which it shows.
    pub rows: &'static [DeclaredRow],
    /// What holds instead.
    pub instead: &'static str,
    /// Why: what curl 8.22 or isahc 2.0 does, and where.
    pub because: &'static str,
    /// The test that holds it to that.
    pub shown_by: &'static str,
}

/// What is seen instead in one row of the wire vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeclaredRow {
    /// The id of the row.
    pub id: &'static str,
    /// The requests for which it is so.
    pub requests: Requests,
    /// Each outcome that may be seen: `closed (unknown)` for a kind and a delivery, `response 408`
    /// for a status.
    pub seen: &'static [&'static str],
    /// How often the server sees the request at most.
    pub sent: usize,
}

/// A part of all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requests {
    /// All of them.
    All,
    /// Those whose method may be repeated (R-D-4).
    Repeatable,
    /// Those whose method must not be repeated.
    Unrepeatable,
}

const fn all(id: &'static str, seen: &'static [&'static str]) -> DeclaredRow {
    DeclaredRow { id, requests: Requests::All, seen, sent: 1 }
}

const fn repeatable(id: &'static str, seen: &'static [&'static str], sent: usize) -> DeclaredRow {
    DeclaredRow { id, requests: Requests::Repeatable, seen, sent }
}

const fn unrepeatable(id: &'static str, seen: &'static [&'static str]) -> DeclaredRow {
    DeclaredRow { id, requests: Requests::Unrepeatable, seen, sent: 1 }
}

const CLOSED: &[&str] = &["closed (unknown)"];
const RESET: &[&str] = &["reset (unknown)"];
/// curl says the same of both, and may say it late.
const NO_HTTP2: &[&str] = &["closed (unknown)", "read_timeout (unknown)"];
const EITHER: &[&str] = &["reset (unknown)", "closed (unknown)"];

/// Makes the table, and its documentation of the same words.
macro_rules! declare {
    ($({
        requirements: [$first:literal $(, $more:literal)*],
        rows: [$($row:expr),* $(,)?],
        instead: $instead:literal,
        because: $because:literal,
        shown_by: $shown_by:literal,
    })*) => {
        /// Every requirement that isahc meets otherwise, with the reason.
        ///
        /// | requirement | what holds instead | why |
        /// |---|---|---|
        $(#[doc = concat!("| ", $first, $(", ", $more,)* " | ", $instead, " | ", $because, " |")])*
        pub const DECLARED: &[Declared] = &[$(Declared {
            requirements: &[$first $(, $more)*],
            rows: &[$($row),*],
            instead: $instead,
            because: $because,
            shown_by: $shown_by,
        }),*];
    };
}

declare! {
    {
        requirements: ["R-D-7"],
        rows: [
            repeatable("keepalive-close-race", &["response 200"], 2),
            repeatable("keepalive-rst-race", &["response 200"], 2),
        ],
        instead: "what may be repeated and has no body is sent again by curl itself, where the \
                  kept connection that it went over breaks before any answer: at most five times",
        because: "`lib/transfer.c`, `Curl_retry_request`; no option switches it off",
        shown_by: "wire::every_row_of_http1_with_a_method_that_may_be_repeated",
    }
    {
        requirements: ["R-D-7", "R-P-7"],
        rows: [
            unrepeatable("keepalive-close-race", &["response 200"]),
            unrepeatable("keepalive-rst-race", &["response 200"]),
        ],
        instead: "what must not be repeated has a connection of its own, and so no race to lose",
        because: "the same: curl re-sends on reused connections alone",
        shown_by: "wire::every_row_of_http1_with_a_method_that_may_not_be_repeated",
    }
    {
        requirements: ["R-D-7", "R-X-4"],
        rows: [],
        instead: "a stream that is reset because HTTP/1.1 is required is sent again by that, where \
                  the request may be repeated; a response that had begun then fails as \
                  `StreamReset`, by the second head behind it, and goes on with what comes where \
                  that head has no framing, no `Connection` and no `Date`; what must not be repeated begins anew, but is not whole, and fails as `StreamReset`, \
                  except where it has no body and its response had begun",
        because: "`lib/multi.c`, \"Downgrades to HTTP/1.1\"; no option switches it off, and isahc's \
                  `handler.rs` has let go of the body with the response head",
        shown_by: "http2::what_may_be_repeated_goes_on_by_http1",
    }
    {
        requirements: ["R-D-7"],
        rows: [],
        instead: "a request with a body, whose kept connection has died, fails as `Closed` with \
                  delivery `Unknown`, and is on no connection twice; over HTTP/2 and TLS, so may \
                  one without",
        because: "the body cannot be rewound: `CURLE_SEND_FAIL_REWIND` is all that there is to see; \
                  of a stream, `lib/http2.c` says `CURLE_HTTP2`",
        shown_by: "wire::a_request_with_a_body_is_never_sent_twice_whatever_its_method",
    }
    {
        requirements: ["R-D-7", "R-X-7"],
        rows: [
            repeatable("h2-refused-stream", RESET, 6),
            repeatable("h2-goaway-unprocessed", RESET, 6),
            repeatable("h2-goaway-before-request", RESET, 6),
            unrepeatable("h2-refused-stream", EITHER),
            unrepeatable("h2-goaway-unprocessed", EITHER),
            unrepeatable("h2-goaway-before-request", EITHER),
        ],
        instead: "a refused stream is tried five times more, on a connection each, where the \
                  request may be repeated; nothing says then that it is unsent",
        because: "`lib/transfer.c`, `Curl_retry_request`, on `refused_stream`; it ends as \
                  `CURLE_RECV_ERROR`",
        shown_by: "wire::every_row_of_http2_with_a_method_that_may_be_repeated",
    }
    {
        requirements: ["R-D-3", "R-X-8"],
        rows: [all("h2-bad-frame", NO_HTTP2), all("h2-http1-reply", NO_HTTP2)],
        instead: "frames that are none count as the end of the connection",
        because: "`lib/http2.c` says `CURLE_HTTP2` of both",
        shown_by: "wire::every_row_of_http2_with_a_method_that_may_be_repeated",
    }
    {
        requirements: ["R-P-6"],
        rows: [all("h2-max-streams-0", &["read_timeout (unknown)"])],
        instead: "the first request on a connection does not wait for the server's leave to open \
                  a stream; waiting for one is waiting for the answer",
        because: "`lib/http2.c` sends the stream with the preface, before SETTINGS have come (RFC \
                  9113 3.4 allows it); what nghttp2 holds back later, nobody is told of",
        shown_by: "wire::every_row_of_http2_with_a_method_that_may_be_repeated",
    }
    {
        requirements: ["R-D-3"],
        rows: [all("h2-goaway-midbody", &["reset (answered)"])],
        instead: "a body that a GOAWAY leaves behind is a `Reset`",
        because: "`lib/http2.c` says `CURLE_RECV_ERROR` of such a stream",
        shown_by: "wire::every_row_of_http2_with_a_method_that_may_be_repeated",
    }
    {
        requirements: ["R-C-5"],
        rows: [],
        instead: "what must not be repeated is sent by HTTP/1.1 where the version is negotiated",
        because: "curl would share an HTTP/2 connection, and so reuse it",
        shown_by: "tls::what_must_not_be_repeated_is_sent_by_http1",
    }
    {
        requirements: ["R-X-4"],
        rows: [],
        instead: "a whole body over TLS, whose connection ends at the same time without close_notify, \
                  may be a `Reset`",
        because: "`lib/vtls/rustls.c` makes an error of `RUSTLS_RESULT_UNEXPECTED_EOF`",
        shown_by: "tls::an_end_without_close_notify_is_an_error",
    }
    {
        requirements: ["R-C-5"],
        rows: [],
        instead: "client certificates on Linux only",
        because: "`lib/vtls/rustls.c` reads them from files, and a key is not to be on a disk",
        shown_by: "tls::a_client_certificate_is_shown",
    }
    {
        requirements: ["R-D-3"],
        rows: [],
        instead: "over TLS, where it might be HTTP/2, a header line that isahc cannot read is `Reset`, \
                  and retried",
        because: "isahc's `handler.rs` stops curl by `CURLE_WRITE_ERROR`, which `lib/vtls/rustls.c` \
                  says as well where it can no longer send",
        shown_by: "tls::a_header_that_is_none_is_told_where_no_stream_may_have_been_lost",
    }
    {
        requirements: ["R-P-6"],
        rows: [],
        instead: "HTTP/2: calls that begin together open a connection each, and every call has a \
                  slot; later ones share what stands",
        because: "isahc sets no `CURLOPT_PIPEWAIT`",
        shown_by: "http2::calls_in_sequence_share_a_connection_and_all_have_slots",
    }
    {
        requirements: ["R-T-2"],
        rows: [],
        instead: "a response head has the connect and the read timeout together to come to its \
                  first body byte, or, over plain TCP on Linux, three read timeouts since the \
                  connection was seen to stand, where those are over first",
        because: "isahc's `handler.rs` completes the future in `write`, with the body's first byte",
        shown_by: "timeouts::a_head_that_trickles_is_bounded",
    }
    {
        requirements: ["R-T-2"],
        rows: [],
        instead: "a response body of which fewer than six bytes come in any five seconds, as of a \
                  heartbeat that is a line feed, is a `ReadTimeout` after the read timeout and 5 s \
                  of that, although no silence was as long",
        because: "the reaper, curl's low-speed limit, is set for the whole of a request; \
                  `lib/progress.c`, `progress_calc`, counts whole bytes a second over five",
        shown_by: "timeouts::a_body_of_a_few_bytes_now_and_then_ends_by_the_low_speed_limit",
    }
    {
        requirements: ["R-T-3"],
        rows: [],
        instead: "over HTTP/2, the last 64 KiB of a body have the read timeout to come through the \
                  window of their stream, and end as a response that does not come; and a window \
                  that opens by less within a write timeout trips that",
        because: "`lib/http2.c`, `cf_h2_body_send`, takes so much whether or not the window is open, \
                  and then no more until there is room for it",
        shown_by: "http2::a_body_that_curl_has_taken_waits_as_for_its_response",
    }
    {
        requirements: ["R-T-3"],
        rows: [],
        instead: "an upload of which nothing is accepted, while another one to the same port moves \
                  all the time, ends by curl's low-speed limit: the read timeout and 5 s after the \
                  system takes no more of it; so does every such upload elsewhere than on Linux",
        because: "which socket is whose neither isahc nor Linux says; curl offers the system more \
                  each second (`lib/transfer.c`), which counts as progress",
        shown_by: "timeouts::uploads_that_a_server_accepts_nothing_of_end_together",
    }
    {
        requirements: ["R-T-2", "R-T-3"],
        rows: [],
        instead: "an upload whose answer takes longer than the write timeout ends by that while \
                  other sockets of the process than isahc's, at least as many to the same port as \
                  there are uploads, hold more than 16 KiB each of which nothing is accepted; and \
                  of an upload 16 KiB or less may wait unseen, as if they had been accepted",
        because: "which socket is whose neither isahc nor Linux says, and where a network is gone, \
                  the head of a request without a body waits in its socket too",
        shown_by: "timeouts::what_waits_in_a_socket_of_others_may_be_taken_for_an_upload",
    }
    {
        requirements: ["R-X-4"],
        rows: [],
        instead: "over HTTP/2, a response of no known length that is reset without an error is \
                  taken for whole",
        because: "`lib/http2.c`, `on_stream_close`: to curl a reset is one only where it names an \
                  error",
        shown_by: "http2::a_reset_that_names_no_error_ends_a_response",
    }
    {
        requirements: ["R-D-8", "R-RA-1"],
        rows: [],
        instead: "a response that breaks off, or falls silent, before the first byte of its body is \
                  that failure, its delivery unknown: of its status and its `Retry-After` nothing is \
                  known, so that a 503 is retried by backoff, and not handed over in the end",
        because: "isahc's `handler.rs` completes the future in `write`, with the body's first byte; \
                  an error of curl's before that is all that there is to see",
        shown_by: "hostile::a_status_is_lost_with_a_body_that_never_begins",
    }
    {
        requirements: ["R-D-8"],
        rows: [],
        instead: "a response of less than 300 that begins before the upload has ended, and any other \
                  that closes its connection by HTTP/1.1 or is of HTTP/1.0, is final as `LocalLimit`, \
                  unless the request says its length and the response is there as a whole, of \
                  less than 300 by a length of its own; one without a body, and over HTTP/2 one \
                  without a length, is over when the upload is, or never; a request \
                  that says no length looks whole to the server then, also where it gets an error \
                  that closes its connection, which is that call's response",
        because: "isahc's `handler.rs`, `build_response`, takes the request's body from curl, and \
                  is called with the first byte of the response's; to `lib/http.c`, \
                  `http_handle_send_error`, a refusal ends no upload whose connection is to close",
        shown_by: "calls::an_upload_that_is_not_over_ends_with_its_response",
    }
    {
        requirements: ["R-X-2"],
        rows: [],
        instead: "an unasked 101 that nothing follows is a `ReadTimeout`, or `Closed` with its \
                  connection",
        because: "`lib/http.c`, \"We silently accept this as the final response\", which isahc tells \
                  with the first byte of a body",
        shown_by: "calls::an_unasked_upgrade_is_refused",
    }
    {
        requirements: ["R-T-7", "R-P-10"],
        rows: [],
        instead: "a dropped call is gone at once, its slot when curl lets go: with the next byte, \
                  or after the read timeout and 5 s, in whole seconds, and up to 8 s more where bytes had \
                  moved before",
        because: "isahc's `handler.rs` looks for a dropped future in its callbacks alone; \
                  `lib/progress.c` looks back so far",
        shown_by: "dropped::a_dropped_request_to_a_silent_server_frees_its_slot_with_the_reaper",
    }
    {
        requirements: ["R-X-2"],
        rows: [all("huge-head", RESET)],
        instead: "a head beyond curl's own limit of 300 KiB is a `Reset`; below that the \
                  transport looks for itself, and knows, but for a reason phrase and interim heads, \
                  of which it is shown nothing",
        because: "`lib/http.c`, \"Too large response headers\", is `CURLE_RECV_ERROR`",
        shown_by: "hostile::the_limit_of_curl_itself_is_a_bound_too",
    }
    {
        requirements: ["R-X-2", "R-D-3"],
        rows: [],
        instead: "over HTTP/2, interim heads without end are `Reset` beyond curl's limit of 300 KiB, \
                  `Closed` beyond its limit of 5,000 lines, and retried; fewer of them are taken",
        because: "`lib/http2.c`, `on_header`, fails by nghttp2's callback, which is `CURLE_HTTP2` as \
                  the end of a connection is; what curl says in words beside it (\"Too many response \
                  headers\"), isahc's `agent/mod.rs` does not ask for (`Message::result`)",
        shown_by: "http2::interim_heads_without_end_are_bounded_by_curl",
    }
    {
        requirements: ["R-D-3", "R-X-3"],
        rows: [all("bad-chunk-size", &["reset (answered)"])],
        instead: "a malformed chunk is a `Reset`",
        because: "`lib/http_chunks.c` says `CURLE_RECV_ERROR` of each",
        shown_by: "wire::every_row_of_http1_with_a_method_that_may_be_repeated",
    }
    {
        requirements: ["R-X-3"],
        rows: [repeatable("unsolicited-408", &["response 408"], 0)],
        instead: "what came over an idle connection is taken for the answer to the next request",
        because: "`lib/url.c` looks at the connection, not at its bytes, before it is reused",
        shown_by: "wire::every_row_of_http1_with_a_method_that_may_be_repeated",
    }
    {
        requirements: ["R-D-3", "R-X-4"],
        rows: [all("100-then-close", CLOSED), all("partial-status-close", CLOSED)],
        instead: "a head that is cut before its first whole line is `Closed`, not `Truncated`",
        because: "`lib/http.c`, \"Empty reply from server\", is `CURLE_GOT_NOTHING`",
        shown_by: "wire::every_row_of_http1_with_a_method_that_may_be_repeated",
    }
    {
        requirements: ["R-X-4"],
        rows: [],
        instead: "a head that is cut after lines that say how the body ends, or of a response that \
                  has none (to HEAD, 204, 304), is taken as whole: `Ok` where an empty body is \
                  allowed",
        because: "`lib/http.c` ends a head with its connection",
        shown_by: "hostile::a_head_that_is_cut_is_a_failure_unless_it_says_how_its_body_ends",
    }
    {
        requirements: ["R-X-5"],
        rows: [],
        instead: "a handshake that was cut is `Tls`, and final, as one without a common version; \
                  where a reset cut it, it may be `Reset` with a delivery that is unknown",
        because: "the first two are `CURLE_SSL_CONNECT_ERROR`; of the last, `lib/vtls/rustls.c` may \
                  say `CURLE_RECV_ERROR`, as of a connection that stood",
        shown_by: "timeouts::a_handshake_that_comes_to_nothing_sends_nothing",
    }
    {
        requirements: ["R-X-5", "R-D-3"],
        rows: [],
        instead: "a server that refuses the client after the handshake, as TLS 1.3 has it for \
                  certificates (RFC 8446 4.4.2.4), is `Reset`, and retried where the request may be",
        because: "`lib/vtls/rustls.c` says `CURLE_RECV_ERROR` of an alert as of all that ends a \
                  connection",
        shown_by: "tls::a_client_certificate_is_shown",
    }
    {
        requirements: ["R-D-3"],
        rows: [],
        instead: "with 1,024 or more open descriptors a new connection fails as `LocalLimit`, \
                  final, and the source says what to do",
        because: "curl-sys defines `HAVE_POLL_FINE`, curl reads `HAVE_POLL`: it waits by `select`",
        shown_by: "descriptors::two_thousand_open_files_are_no_dead_network",
    }
    {
        requirements: ["R-C-13"],
        rows: [],
        instead: "`Accept: */*` is sent where the caller sets none, which means the same (RFC \
                  9110 12.5.1); `User-Agent`, and `Content-Type` of a POST with a body, are sent \
                  empty where there is none",
        because: "isahc's `parsing.rs`, `header_to_curl_string`, writes no header in the way in \
                  which curl takes it for \"none\", and `client.rs` adds a `User-Agent` of its own",
        shown_by: "calls::the_wire_shows_what_the_caller_asked_for",
    }
    {
        requirements: ["R-C-13", "R-X-7"],
        rows: [],
        instead: "a caller's `Expect: 100-continue` is not sent, and nothing is waited for, as no \
                  client has to (RFC 9110 10.1.1)",
        because: "`lib/http.c`, `http_handle_send_error`: to a 417 curl sends the request again, that \
                  header included, thirty times, or fails where it has sent some of the body",
        shown_by: "callers::nobody_waits_to_be_told_to_continue",
    }
    {
        requirements: ["R-C-13"],
        rows: [],
        instead: "the digits of a percent-encoding in the path are sent in upper case (RFC 3986 6.2.2.1)",
        because: "`lib/urlapi.c` writes the URL anew",
        shown_by: "calls::a_percent_encoding_is_sent_in_upper_case",
    }
    {
        requirements: ["R-C-3"],
        rows: [],
        instead: "paths with `.` or `..` segments, header values that are not ASCII and a HEAD \
                  with a body are refused, and nothing is sent",
        because: "`lib/urlapi.c` resolves the first, isahc's `parsing.rs` panics at the second, \
                  and to curl the third is a request whose response has a body",
        shown_by: "calls::what_isahc_would_change_is_refused_before_anything_is_sent",
    }
    {
        requirements: ["R-C-3", "R-C-5"],
        rows: [],
        instead: "a request head of more than 1 MiB, or of more than 64 KiB over HTTP/2, is refused \
                  as `LocalLimit`, and nothing is sent; where HTTP/1.1 may be negotiated, one of \
                  more than 64 KiB goes by that, over a connection of its own",
        because: "`lib/http.c` writes none beyond `DYN_HTTP_REQUEST`; nghttp2's \
                  `nghttp2_session.c`, `session_prep_frame`, sends none beyond \
                  `NGHTTP2_MAX_HEADERSLEN`, of which `lib/http2.c`, `cf_h2_send`, says \
                  `CURLE_SEND_ERROR`, as of a connection that broke",
        shown_by: "http2::a_head_beyond_what_curl_sends_is_refused_before_it_is_sent",
    }
    {
        requirements: ["R-P-3"],
        rows: [],
        instead: "an idle connection that is due closes at once where no request is on its \
                  handle, else with the last of those that are: new ones go over another handle",
        because: "isahc's `agent/mod.rs` has no message that closes a connection, only one that \
                  ends the handle",
        shown_by: "pool::an_idle_connection_expires_beside_traffic",
    }
    {
        requirements: ["R-P-2", "R-P-7"],
        rows: [],
        instead: "while more connections are open than may be kept idle, those in use included, one \
                  that has served its request closes: with the default limits nothing is reused \
                  where more than 20 requests run all the time",
        because: "`lib/conncache.c`, `Curl_cpool_conn_now_idle`, holds all of them against \
                  `CURLMOPT_MAXCONNECTS`, which is isahc's `connection_cache_size`",
        shown_by: "pool::more_requests_than_may_be_kept_idle_keep_no_connection",
    }
    {
        requirements: ["R-P-4"],
        rows: [],
        instead: "a request on a connection of its own may wait, as long as it would for a slot, \
                  for one that runs, although an idle connection could make room",
        because: "the same: the idle one is on the handle of the one that runs",
        shown_by: "pool::an_idle_connection_makes_room_for_all_but_a_fresh_one_beside_a_busy_one",
    }
    {
        requirements: ["R-O-2", "R-P-9"],
        rows: [],
        instead: "of connections an observer hears only that they were opened or used again, and \
                  that with the response head; the figures are bounds from above",
        because: "curl does not tell",
        shown_by: "pool::an_observer_is_told_what_curl_tells",
    }
}
