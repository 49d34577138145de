//! Timeouts at their ends, and handshakes that come to nothing.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::net::SocketAddr;
use core::num::NonZeroU32;
use core::time::Duration;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Instant;

use common::{SOON, always, block_on, ok, silent, timeouts, until};
use http::{Method, Request};
use http_body_util::BodyExt;
use redial_client::{Body, Exchange, Timeouts, Transport, TransportError};
use redial_conformance::{FaultServer, Reply, Script, Step};
use redial_engine::{Delivery, Failure, FailureKind};
use redial_isahc::IsahcTransport;
use socket2::{Domain, Socket, Type};

const SHORT: Duration = Duration::from_millis(300);

fn send(url: &str, upload: usize, timeouts: Timeouts) -> Result<u16, TransportError> {
    let transport = IsahcTransport::new().unwrap();
    let request = Request::put(url).body(Body::from(vec![b'x'; upload])).unwrap();
    block_on(async {
        let answer = transport.send(Exchange::of(request, timeouts).unwrap()).await?;
        let status = answer.response.status().as_u16();
        answer.response.into_body().collect().await?;
        Ok(status)
    })
}

type Field = fn(&mut Timeouts) -> &mut Duration;

const FIELDS: [(&str, Field); 4] = [
    ("connect", |timeouts| &mut timeouts.connect),
    ("read", |timeouts| &mut timeouts.read),
    ("write", |timeouts| &mut timeouts.write),
    ("pool", |timeouts| &mut timeouts.pool),
];

/// R-T-8: zero means "at once", and what is too long for the clock means "never".
#[test]
fn the_ends_of_every_timeout_are_taken() {
    let server = always(vec![ok().step()]);
    for (name, field) in FIELDS {
        let mut limits = timeouts(SOON);
        *field(&mut limits) = Duration::MAX;
        assert_eq!(send(&server.url("/"), 100_000, limits).unwrap(), 200, "{name}");
        *field(&mut limits) = Duration::ZERO;
        // A peer on this machine may be faster than nothing at all.
        if let Err(error) = send(&server.url("/"), 100_000, limits) {
            assert!(error.failure().kind.is_timeout(), "{name}: {error:?}");
        }
    }
    let mut limits = timeouts(Duration::MAX);
    assert_eq!(send(&server.url("/"), 0, limits).unwrap(), 200);
    limits.read = Duration::ZERO;
    for upload in [0, 1, 100_000] {
        let error = send(&server.url("/"), upload, limits).unwrap_err();
        let failure = Failure::new(FailureKind::ReadTimeout, Delivery::Unknown);
        assert_eq!(error.failure(), failure, "{upload}: there is no head either");
    }
    limits.connect = SHORT;
    let began = Instant::now();
    let silent = silent();
    let error = send(&silent.url("/"), 0, limits).unwrap_err();
    assert_eq!(error.failure().kind, FailureKind::ReadTimeout);
    assert!(began.elapsed() < SOON);
}

/// R-T-8: without time to connect, a call is served by a connection of its own origin that stands,
/// and by nothing else.
#[test]
fn no_time_to_connect_is_enough_for_a_connection_that_stands() {
    let servers = [always(vec![ok().step()]), always(vec![ok().step()])];
    let client = redial_isahc::client().build().unwrap();
    let at_once = |method: Method, server: &FaultServer| {
        let call = client.call(method, server.url("/")).connect_timeout(Duration::ZERO);
        let result = block_on(call.max_attempts(NonZeroU32::MIN).send());
        result.map_err(|error| error.kind()).map(|response| response.status().as_u16())
    };
    let late = Err(FailureKind::ConnectTimeout);
    assert_eq!(at_once(Method::GET, &servers[0]), late, "nothing stands");
    block_on(client.get(servers[0].url("/")).send()).unwrap();
    assert_eq!(at_once(Method::GET, &servers[1]), late, "what stands is of another origin");
    assert_eq!(at_once(Method::POST, &servers[0]), late, "what is not repeated uses none again");
    assert_eq!(at_once(Method::GET, &servers[0]), Ok(200));
}

/// R-T-2 and R-T-3: each silence has its own timeout, and no other.
#[test]
fn each_silence_has_its_own_timeout() {
    let stuck = vec![Step::Stall { at_most: SOON }];
    let cases = [
        (silent(), 0, "read", FailureKind::ReadTimeout),
        (silent(), 100_000, "read", FailureKind::ReadTimeout),
        (
            FaultServer::start(Script::connections(vec![stuck])).unwrap(),
            16_000_000,
            "write",
            FailureKind::WriteTimeout,
        ),
    ];
    for (server, upload, name, kind) in cases {
        let mut limits = timeouts(SOON);
        limits.connect = SHORT;
        let (_, field) = FIELDS.iter().find(|(other, _)| *other == name).unwrap();
        *field(&mut limits) = SHORT;
        let began = Instant::now();
        let failure = send(&server.url("/"), upload, limits).unwrap_err().failure();
        assert_eq!((failure.kind, failure.delivery), (kind, Delivery::Unknown), "{name}");
        assert!(began.elapsed() >= SHORT && began.elapsed() < SOON, "{name}");
    }
}

/// R-T-3: the system goes on taking a little of an upload for a long time, which curl offers it every
/// second; that is no sign of the server's.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "elsewhere nobody says what waits in a socket")]
fn a_server_that_accepts_nothing_trips_the_write_timeout_whatever_the_system_takes() {
    let stuck = vec![Step::Stall { at_most: Duration::from_secs(60) }];
    let server = FaultServer::start(Script::connections(vec![stuck])).unwrap();
    let mut limits = timeouts(Duration::from_secs(60));
    limits.write = Duration::from_secs(2);
    let began = Instant::now();
    let failure = send(&server.url("/"), 32_000_000, limits).unwrap_err().failure();
    assert_eq!((failure.kind, failure.delivery), (FailureKind::WriteTimeout, Delivery::Unknown));
    // Without a look at the socket it takes nearly a minute.
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(20), "{took:?}");
}

/// R-T-3: so it is for many at once, and for one beside another that moves, when that has ended,
/// whichever transport they are of.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "elsewhere nobody says what waits in a socket")]
fn uploads_that_a_server_accepts_nothing_of_end_together() {
    let stuck = vec![Step::Stall { at_most: Duration::from_secs(60) }];
    let slow = taken_slowly();
    for (scripts, moving) in [(vec![stuck.clone(); 4], 0), (vec![slow, stuck.clone(), stuck], 1)] {
        let count = scripts.len();
        let server = FaultServer::start(Script::connections(scripts)).unwrap();
        let mut limits = timeouts(Duration::from_secs(60));
        limits.write = Duration::from_secs(2);
        let client = || redial_isahc::client().timeouts(limits).build().unwrap();
        let clients = [client(), client()];
        let began = Instant::now();
        let url = server.url("/");
        let calls = clients.iter().cycle().take(count).map(|client| {
            let call = client.put(&url).body(vec![b'x'; 3_000_000]).max_attempts(NonZeroU32::MIN);
            smol::spawn(async move {
                let end = call.send().await.map_err(|error| error.failure().unwrap().kind);
                (end.map(|response| response.status().as_u16()), began.elapsed())
            })
        });
        let ends: Vec<_> = calls.collect::<Vec<_>>().into_iter().map(block_on).collect();
        let ok = ends.iter().filter(|(end, _)| end.is_ok()).count();
        assert_eq!(ok, moving, "{ends:?}");
        let failed = ends.iter().filter(|(end, _)| end.is_err());
        for (end, took) in failed {
            assert_eq!(end, &Err(FailureKind::WriteTimeout), "{ends:?}");
            assert!(*took < Duration::from_secs(20), "{ends:?}");
        }
    }
}

/// R-T-3: what waits in the socket of one transport's upload is not taken for another's.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "elsewhere nobody says what waits in a socket")]
fn an_upload_that_waits_for_its_answer_is_not_taken_for_a_stuck_one_of_another_transport() {
    let server = stuck_and_late(Duration::from_secs(4));
    let stuck = {
        let client = redial_isahc::client().timeouts(timeouts(Duration::from_secs(60)));
        let call = client.build().unwrap().put(server.url("/")).body(vec![b'x'; 3_000_000]);
        smol::spawn(async move { call.send().await.map(|response| response.status()) })
    };
    until(|| server.log().connections().len() == 1);
    assert_eq!(send_small(&server).unwrap(), 200);
    drop(stuck);
}

/// R-T-3, as it is declared: but what waits in a socket that is not isahc's is.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "elsewhere nobody says what waits in a socket")]
fn what_waits_in_a_socket_of_others_may_be_taken_for_an_upload() {
    let server = stuck_and_late(Duration::from_secs(30));
    let mut others = TcpStream::connect(server.address()).unwrap();
    others.set_write_timeout(Some(SHORT)).unwrap();
    while others.write(&[b'x'; 65536]).is_ok() {}
    assert_eq!(send_small(&server).unwrap_err().failure().kind, FailureKind::WriteTimeout);
}

/// A server that accepts nothing of what comes first, and takes its time to answer what comes next.
fn stuck_and_late(pause: Duration) -> FaultServer {
    let stuck = vec![Step::Stall { at_most: Duration::from_secs(60) }];
    let late = vec![Step::ReadRequest, Step::Pause(pause), ok().step()];
    FaultServer::start(Script::connections(vec![stuck, late])).unwrap()
}

/// Sends what no server keeps waiting, with a write timeout that is shorter than its answer takes.
fn send_small(server: &FaultServer) -> Result<u16, TransportError> {
    let mut limits = timeouts(Duration::from_secs(60));
    limits.write = Duration::from_secs(1);
    send(&server.url("/"), 3_000, limits)
}

/// R-T-2: no answer is to be expected while a part of the upload waits in the system.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "elsewhere nobody says what waits in a socket")]
fn an_upload_that_is_taken_slowly_is_no_silence_of_the_servers() {
    let server = FaultServer::start(Script::connections(vec![taken_slowly()])).unwrap();
    let mut limits = timeouts(Duration::from_secs(60));
    (limits.read, limits.write) = (Duration::from_secs(1), Duration::from_secs(2));
    assert_eq!(send(&server.url("/"), 3_000_000, limits).unwrap(), 200);
}

/// Of a server that takes 3 MB within 3 s.
fn taken_slowly() -> Vec<Step> {
    let some = [Step::ReadBytes(150_000), Step::Pause(Duration::from_millis(150))];
    let slow = core::iter::repeat_n(some, 19).flatten();
    let steps = [Step::ReadHead].into_iter().chain(slow);
    steps.chain([Step::ReadBytes(150_000), ok().step()]).collect()
}

/// A listener that answers nobody any more, and those who keep it from that.
fn black_hole() -> (SocketAddr, (Socket, Vec<TcpStream>)) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    // Whoever comes after these is not answered.
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
    let waiting = core::iter::from_fn(connect).take(64).collect();
    (address, (listener, waiting))
}

/// R-D-4: connections of others' to the same server are no proof that this one was not open.
#[test]
fn an_attempt_that_is_cut_while_others_are_connected_may_have_been_sent() {
    let (address, _full) = black_hole();
    let client = redial_isahc::client().timeouts(timeouts(SOON)).build().unwrap();
    let call = client.post(format!("http://{address}/")).attempt_timeout(SHORT);
    let failure = block_on(call.send()).unwrap_err().failure().unwrap();
    assert_eq!((failure.kind, failure.delivery), (FailureKind::AttemptTimeout, Delivery::Unknown));
}

/// Whoever waits for a connection leaves the thread to others, with a body to send as well.
#[test]
fn a_connection_in_the_making_keeps_no_thread_busy() {
    let (address, _full) = black_hole();
    let mut limits = timeouts(SOON);
    limits.read = Duration::from_millis(80);
    let client = redial_isahc::client().timeouts(limits).build().unwrap();
    for body in ["", "a body"] {
        let began = Instant::now();
        let call = client.post(format!("http://{address}/")).body(body).send();
        let call = async { Some(call.await) };
        let elsewhere = async {
            smol::Timer::after(Duration::from_millis(300)).await;
            None
        };
        assert!(smol::block_on(smol::future::or(call, elsewhere)).is_none(), "{body:?}");
        assert!(began.elapsed() < SOON / 2, "{body:?}");
    }
}

/// R-T-1 and R-X-5: silence in a handshake is the connect timeout; one that is cut, or no
/// handshake at all, is to curl what a refusal is.
#[test]
fn a_handshake_that_comes_to_nothing_sends_nothing() {
    let data = || Step::AwaitData { within: SOON };
    let cases = [
        (vec![Step::AwaitClose { within: SOON }], FailureKind::ConnectTimeout),
        (vec![data(), Step::Close], FailureKind::Tls),
        (vec![data(), Step::Reset], FailureKind::Tls),
        (vec![data(), Step::Write(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())], FailureKind::Tls),
    ];
    for (steps, kind) in cases {
        let script = Script::connections(vec![steps.clone()]);
        let server = FaultServer::start(script).unwrap();
        let url = server.url("/").replace("http://", "https://");
        let mut limits = timeouts(SOON);
        limits.connect = SHORT;
        let failure = send(&url, 0, limits).unwrap_err().failure();
        assert_eq!((failure.kind, failure.delivery), (kind, Delivery::Unsent), "{steps:?}");
    }
    // As it is declared: where a reset cuts it, curl may think that a connection stood.
    let server = FaultServer::start(Script::connections(vec![vec![Step::Reset]])).unwrap();
    let url = server.url("/").replace("http://", "https://");
    let failure = send(&url, 0, timeouts(SOON)).unwrap_err().failure();
    let seen = (failure.kind, failure.delivery);
    let expected = [
        (FailureKind::Tls, Delivery::Unsent),
        (FailureKind::Connect, Delivery::Unsent),
        (FailureKind::Reset, Delivery::Unknown),
    ];
    assert!(expected.contains(&seen), "{seen:?}");
}

/// R-T-2, as it is declared: curl hands over a head with the first byte of the body, so that bytes
/// of the head are no life of the server's.
#[test]
fn a_head_that_trickles_is_bounded() {
    let line = b"x: y\r\n".to_vec();
    let trickle = |bytes| Step::WriteSlowly { bytes, piece: 6, gap: Duration::from_millis(50) };
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n".to_vec();
    // Slow, but within the connect and the read timeout together.
    let slow = [line.repeat(6), b"\r\n".to_vec()].concat();
    let server = always(vec![Step::Write(head.clone()), trickle(slow)]);
    assert_eq!(send(&server.url("/"), 0, timeouts(SHORT)).unwrap(), 200);
    // Without an end.
    let server = always(vec![Step::Write(head), trickle(line.repeat(10_000))]);
    let began = Instant::now();
    let failure = send(&server.url("/"), 0, timeouts(SHORT)).unwrap_err().failure();
    assert_eq!((failure.kind, failure.delivery), (FailureKind::ReadTimeout, Delivery::Unknown));
    assert!(began.elapsed() >= SHORT * 2 && began.elapsed() < SOON);
}

/// R-T-2, as it is declared: of a few bytes now and then, curl's low-speed limit sees nothing.
#[test]
fn a_body_of_a_few_bytes_now_and_then_ends_by_the_low_speed_limit() {
    let body = |piece: &'static [u8]| {
        let (bytes, gap) = ([piece; 12].concat(), Duration::from_millis(1200));
        let head = ok().body(bytes.clone()).head();
        let piece = piece.len();
        always(vec![Step::Write(head), Step::WriteSlowly { bytes, piece, gap }])
    };
    let mut limits = timeouts(SOON);
    limits.read = Duration::from_millis(1900);
    let ends = [body(b"x"), body(b"a whole line\n")].map(|server| {
        std::thread::spawn(move || {
            let began = Instant::now();
            (send(&server.url("/"), 0, limits).map_err(|error| error.failure()), began.elapsed())
        })
    });
    let [few, enough] = ends.map(|end| end.join().unwrap());
    let failure = few.0.unwrap_err();
    assert_eq!((failure.kind, failure.delivery), (FailureKind::ReadTimeout, Delivery::Answered));
    assert!(few.1 >= limits.read + Duration::from_secs(5), "{:?}", few.1);
    assert_eq!(enough.0, Ok(200));
}

#[test]
fn a_caller_that_reads_slowly_trips_no_timeout() {
    // R-T-2: only waiting for bytes is silence. The second half comes long after the first, but
    // shortly after somebody begins to wait for it.
    let head = Reply::status(200).header("content-length", "8").raw();
    let server = always(vec![
        Step::Write([head.head(), b"four".to_vec()].concat()),
        Step::Pause(Duration::from_millis(700)),
        Step::Write(b"more".to_vec()),
    ]);
    let client = redial_isahc::client().timeouts(timeouts(Duration::from_millis(400)));
    let client = client.build().unwrap();
    let mut response = block_on(client.get(server.url("/")).send_streaming()).unwrap();
    assert_eq!(block_on(response.chunk()).unwrap().unwrap(), "four");
    std::thread::sleep(Duration::from_millis(550));
    assert_eq!(block_on(response.chunk()).unwrap().unwrap(), "more");
    assert_eq!(block_on(response.chunk()).unwrap(), None);
}
