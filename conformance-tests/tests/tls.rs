//! TLS as scripts say it, seen by a client of rustls over plain sockets.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use common::http2::Http2Client;
use common::{GET, connect};
use redial_conformance::{
    Certificate, ClientIdentity, FaultServer, Handshake, Leftover, Reply, Script, Step, StepError,
    Tls,
};
use rustls::crypto::ring;
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

type Stream = StreamOwned<ClientConnection, TcpStream>;

fn start(tls: Tls, replies: usize) -> FaultServer {
    let replies = (0..replies).map(|_| Reply::status(200).body("ok"));
    FaultServer::start(Script::replies(replies).secured(tls)).unwrap()
}

fn config(server: &FaultServer, alpn: &[&str], identity: Option<&ClientIdentity>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.roots().unwrap().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let certificates = CertificateDer::pem_slice_iter(identity.certificates.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
            let certificates = certificates.collect::<Result<_, _>>().unwrap();
            builder.with_client_auth_cert(certificates, key).unwrap()
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// Shakes hands with the server by this name of it.
fn shake(server: &FaultServer, name: &str, config: ClientConfig) -> io::Result<Stream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, connect(server)?);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn plain(server: &FaultServer) -> io::Result<Stream> {
    shake(server, "127.0.0.1", config(server, &[], None))
}

/// What kept TLS from being agreed on.
fn refusal(result: io::Result<Stream>) -> rustls::Error {
    let error = result.map(drop).unwrap_err();
    error.into_inner().unwrap().downcast_ref::<rustls::Error>().unwrap().clone()
}

fn get(stream: &mut Stream) -> io::Result<()> {
    let expected = Reply::status(200).body("ok").bytes();
    stream.write_all(GET)?;
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes)?;
    assert_eq!(bytes, expected);
    Ok(())
}

#[test]
fn a_good_certificate_is_good_by_every_name() {
    for kind in [Certificate::Good, Certificate::GoodByIntermediate] {
        let server = start(Tls::new(kind), 3);
        for name in ["127.0.0.1", "localhost", "::1"] {
            let mut stream = shake(&server, name, config(&server, &[], None)).unwrap();
            get(&mut stream).unwrap();
        }
        assert!(server.url("/a").starts_with("https://127.0.0.1:"));
        assert!(server.url_by("localhost", "/a").starts_with("https://localhost:"));
        let log = server.finish().unwrap();
        let tls = log.connections()[0].tls.clone().unwrap();
        assert_eq!((tls.failure, tls.alpn, tls.client_certificate), (None, None, false));
        assert!(log.connections()[0].bytes_in > GET.len() as u64, "TLS counts");
    }
}

#[test]
fn a_bad_certificate_has_the_fault_that_it_is_named_for() {
    for kind in Certificate::BAD {
        let server = start(Tls::new(kind), 0);
        let rustls::Error::InvalidCertificate(fault) = refusal(plain(&server)) else {
            panic!("{kind:?}");
        };
        let expected = match kind {
            Certificate::Expired => matches!(fault, CertificateError::ExpiredContext { .. }),
            Certificate::NotYetValid => {
                matches!(fault, CertificateError::NotValidYetContext { .. })
            }
            Certificate::WrongHost | Certificate::WrongAddress => {
                matches!(fault, CertificateError::NotValidForNameContext { .. })
            }
            Certificate::SelfSigned
            | Certificate::UnknownAuthority
            | Certificate::UntrustedIntermediate
            | _ => matches!(fault, CertificateError::UnknownIssuer),
        };
        assert!(expected, "{kind:?}: {fault}");
        let log = server.finish().unwrap();
        assert!(log.requests().is_empty());
        let tls = log.connections()[0].tls.clone().unwrap();
        assert!(tls.failure.unwrap().contains("alert"), "{kind:?}");
    }
}

#[test]
fn protocols_are_agreed_on_or_refused() {
    for (spoken, offered, agreed) in [
        (vec!["h2", "http/1.1"], vec!["http/1.1", "h2"], Ok(Some("h2"))),
        (vec!["http/1.1"], vec!["h2", "http/1.1"], Ok(Some("http/1.1"))),
        (vec![], vec!["h2"], Ok(None)),
        (vec!["http/1.1"], vec![], Ok(None)),
        (vec!["http/1.1"], vec!["h2"], Err(())),
    ] {
        let server = start(Tls::new(Certificate::Good).alpn(spoken), 0);
        let shaken = shake(&server, "localhost", config(&server, &offered, None));
        match agreed {
            Ok(agreed) => {
                let found = shaken.unwrap().conn.alpn_protocol().map(<[u8]>::to_vec);
                assert_eq!(found.as_deref(), agreed.map(str::as_bytes));
                let log = server.finish().unwrap();
                let found = log.connections()[0].tls.clone().unwrap().alpn;
                assert_eq!(found.as_deref(), agreed);
            }
            Err(()) => {
                let alert = rustls::AlertDescription::NoApplicationProtocol;
                assert_eq!(refusal(shaken), rustls::Error::AlertReceived(alert));
                let log = server.finish().unwrap();
                assert!(log.connections()[0].tls.clone().unwrap().failure.is_some());
            }
        }
    }
}

#[test]
fn http2_is_spoken_over_tls() {
    let server = start(Tls::new(Certificate::Good).alpn(["h2"]), 2);
    let stream = shake(&server, "localhost", config(&server, &["h2"], None)).unwrap();
    let mut client = Http2Client(stream);
    client.begin(&[]).unwrap();
    for stream in [1, 3] {
        client.ask(stream, "/", true).unwrap();
        assert_eq!(client.body(stream).unwrap(), b"ok");
    }
    drop(client);
    assert_eq!(server.finish().unwrap().processed("/"), 2);
}

#[test]
fn a_client_certificate_is_asked_for() {
    let server = start(Tls::new(Certificate::Good).client_certificate(), 1);
    let identity = server.identity().unwrap();
    let mut stream = shake(&server, "localhost", config(&server, &[], Some(identity))).unwrap();
    get(&mut stream).unwrap();
    // In TLS 1.3 the client has shaken hands before the server has looked at its certificate.
    assert!(plain(&server).and_then(|mut stream| get(&mut stream)).is_err());
    drop(stream);
    let log = server.finish().unwrap();
    let shown = log.connections().iter().map(|one| one.tls.clone().unwrap().client_certificate);
    assert_eq!(shown.collect::<Vec<_>>(), [true, false]);
    assert!(log.connections()[1].tls.clone().unwrap().failure.is_some());
}

#[test]
fn a_handshake_is_spoiled_as_it_is_said_and_the_next_is_good() {
    let faults =
        [Handshake::EndOfStream, Handshake::Reset, Handshake::Garbage, Handshake::NoCommonVersion];
    let server = start(Tls::new(Certificate::Good).first(faults.clone()), 1);
    for fault in faults {
        let error = plain(&server).map(drop).unwrap_err();
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).cloned();
        let expected = match fault {
            Handshake::EndOfStream => error.kind() == ErrorKind::UnexpectedEof,
            Handshake::Reset => error.kind() == ErrorKind::ConnectionReset,
            Handshake::Garbage => matches!(tls, Some(rustls::Error::InvalidMessage(_))),
            Handshake::NoCommonVersion => {
                let alert = rustls::AlertDescription::ProtocolVersion;
                tls == Some(rustls::Error::AlertReceived(alert))
            }
            Handshake::Complete(_) | Handshake::Silence | _ => false,
        };
        assert!(expected, "{fault:?}: {error}");
    }
    get(&mut plain(&server).unwrap()).unwrap();
    let log = server.finish().unwrap();
    assert!(log.connections()[..4].iter().all(|connection| connection.tls.is_none()));
}

#[test]
fn silence_lasts_until_the_client_goes() {
    let server = start(Tls::every(Handshake::Silence), 0);
    let mut client = connect(&server).unwrap();
    client.write_all(b"\x16\x03\x01").unwrap();
    client.set_read_timeout(Some(core::time::Duration::from_millis(50))).unwrap();
    assert!(client.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
    drop(client);
    assert_eq!(server.finish().unwrap().connections()[0].bytes_out, 0);
}

#[test]
fn certificates_change_from_connection_to_connection() {
    let first = [Handshake::Complete(Certificate::Good)];
    let server = start(Tls::new(Certificate::SelfSigned).first(first), 1);
    get(&mut plain(&server).unwrap()).unwrap();
    let refused = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert_eq!(refusal(plain(&server)), refused);
    server.finish().unwrap();
}

#[test]
fn handshakes_and_lists_that_are_not_played_are_reported() {
    let first = [Handshake::EndOfStream, Handshake::Reset];
    let server = start(Tls::new(Certificate::Good).first(first), 0);
    assert!(plain(&server).is_err());
    let unfinished = server.finish().unwrap_err();
    assert!(matches!(unfinished.leftovers(), [Leftover::HandshakeMissing { connection: 1 }]));

    // The client goes before it has said anything.
    let server = start(Tls::new(Certificate::Good).first([Handshake::Garbage]), 0);
    drop(connect(&server).unwrap());
    let unfinished = server.finish().unwrap_err();
    let [Leftover::HandshakeStopped { connection: 0, handshake, .. }] = unfinished.leftovers()
    else {
        panic!("{unfinished}");
    };
    assert_eq!(*handshake, Handshake::Garbage);

    let script = Script::connections(vec![vec![Step::ReadRequest]]);
    let tls = Tls::new(Certificate::Expired);
    let server = FaultServer::start(script.secured(tls)).unwrap();
    assert!(plain(&server).is_err());
    let unfinished = server.finish().unwrap_err();
    assert!(matches!(
        unfinished.leftovers(),
        [Leftover::Stopped { list: 0, step: 0, error: StepError::NoHandshake, .. }]
    ));
}

#[test]
fn a_server_says_goodbye_or_does_not() {
    for end in [Step::Close, Step::CloseWrite] {
        for polite in [true, false] {
            let tls = Tls::new(Certificate::Good);
            let tls = if polite { tls } else { tls.without_close_notify() };
            let steps = vec![Step::ReadRequest, Step::Write(b"bye".to_vec()), end.clone()];
            let script = Script::connections(vec![steps]).secured(tls);
            let server = FaultServer::start(script).unwrap();
            let mut stream = plain(&server).unwrap();
            stream.write_all(GET).unwrap();
            let mut bytes = Vec::new();
            let ended = stream.read_to_end(&mut bytes).map_err(|error| error.kind());
            assert_eq!(ended, if polite { Ok(3) } else { Err(ErrorKind::UnexpectedEof) }, "{end}");
            assert_eq!(bytes, b"bye");
            drop(stream);
            server.finish().unwrap();
        }
    }
}

#[test]
fn large_bodies_cross_both_ways() {
    const LENGTH: usize = 1_000_000;
    let large = Reply::status(200).body(vec![b'y'; LENGTH]);
    let script = Script::replies([large.clone()]).secured(Tls::new(Certificate::Good));
    let server = FaultServer::start(script).unwrap();
    let mut stream = plain(&server).unwrap();
    let head = format!("POST / HTTP/1.1\r\ncontent-length: {LENGTH}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b'x'; LENGTH]).unwrap();
    let mut bytes = vec![0; large.bytes().len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, large.bytes());
    drop(stream);
    assert_eq!(server.finish().unwrap().requests()[0].body_length, LENGTH as u64);
}
