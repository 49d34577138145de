//! From curl's codes to a kind and a delivery.

use core::error::Error as StdError;
use core::fmt;
use std::io;

use http::StatusCode;
use isahc::error::ErrorKind;
use redial_client::TransportError;
use redial_engine::{Delivery, Failure, FailureKind};

use crate::descriptors::DescriptorLimit;
use crate::upload::{Progress, UploadCut};
use crate::watch::Watch;

/// What curl said, by its number (`CURLE_...` in `curl.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CurlError {
    /// The number.
    pub code: u32,
}

impl fmt::Display for CurlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "curl failed with code {}", self.code)
    }
}

impl StdError for CurlError {}

/// An error that came instead of a response head. `streams_over_tls`: over what may have been
/// HTTP/2 with TLS below.
pub(crate) fn before_head(
    error: isahc::Error,
    watch: &Watch,
    progress: &Progress,
    streams_over_tls: bool,
) -> TransportError {
    if let Some(source) = progress.take_failure() {
        // The server may have made something of the part that it got.
        let failure = Failure::new(FailureKind::InvalidRequest, Delivery::Unknown);
        return TransportError::with_source(failure, source);
    }
    if progress.is_asked_again() {
        // curl would have sent a stream that was reset by HTTP/1.1.
        let failure = Failure::new(FailureKind::StreamReset, Delivery::Unknown);
        return TransportError::with_source(failure, error);
    }
    let Some(code) = curl_code(&error) else {
        return TransportError::with_source(of_isahc(&error), error);
    };
    if code == code_of::COULDNT_CONNECT && DescriptorLimit::is_reached() {
        return TransportError::with_source(
            Failure::new(FailureKind::LocalLimit, Delivery::Unsent),
            DescriptorLimit,
        );
    }
    if streams_over_tls && code == code_of::WRITE_ERROR {
        // So curl's TLS says that it can no longer send, and HTTP/2 has to at any time.
        let failure = Failure::new(FailureKind::Reset, Delivery::Unknown);
        return TransportError::with_source(failure, CurlError { code });
    }
    // curl knows the server's address when the TCP connection stands.
    let connected = error.remote_addr().is_some();
    TransportError::with_source(head_failure(code, connected, watch), CurlError { code })
}

/// An error in a response body.
pub(crate) fn in_body(error: &io::Error, watch: &Watch) -> TransportError {
    let isahc = error.get_ref().and_then(|inner| inner.downcast_ref::<isahc::Error>());
    let Some(code) = isahc.and_then(curl_code) else {
        let failure = Failure::new(FailureKind::Truncated, Delivery::Answered);
        return TransportError::with_source(failure, error.kind().to_string());
    };
    if code == code_of::READ_ERROR {
        return TransportError::with_source(CUT, UploadCut);
    }
    let kind = match code {
        code_of::OPERATION_TIMEDOUT => watch.cut_off().unwrap_or(FailureKind::ReadTimeout),
        code_of::PARTIAL_FILE | code_of::HTTP2 => FailureKind::Truncated,
        code => after_connecting(code),
    };
    TransportError::with_source(Failure::new(kind, Delivery::Answered), CurlError { code })
}

/// Whether a connection that may have other streams on it may be broken as a whole. curl keeps it
/// then, where its TLS or its HTTP/2 has given up, as long as its end has not come.
pub(crate) fn is_of_the_connection(error: &TransportError) -> bool {
    let curl = error.source().and_then(|source| source.downcast_ref::<CurlError>());
    error.failure().kind == FailureKind::Reset
        || curl.is_some_and(|curl| curl.code == code_of::HTTP2)
}

/// Of a request that isahc has cut, and that was answered.
const CUT: Failure = Failure::new(FailureKind::LocalLimit, Delivery::Answered);

/// What it means that a response has begun; an error where what was sent of the request seems to be
/// all of it and is not. From a status of 300 on curl stops by itself, and lets it not seem so, unless
/// the connection is to close; but then nobody takes it for a success.
pub(crate) fn of_upload(progress: &Progress, status: StatusCode) -> Result<(), TransportError> {
    if progress.may_seem_complete() && status.as_u16() < 300 {
        return Err(TransportError::with_source(CUT, UploadCut));
    }
    Ok(())
}

fn head_failure(code: u32, connected: bool, watch: &Watch) -> Failure {
    use code_of as c;
    let unsent = |kind| Failure::new(kind, Delivery::Unsent);
    match code {
        c::URL_MALFORMAT => unsent(FailureKind::InvalidRequest),
        c::COULDNT_RESOLVE_PROXY | c::COULDNT_RESOLVE_HOST => unsent(FailureKind::Resolve),
        c::COULDNT_CONNECT => unsent(FailureKind::Connect),
        c::SSL_CONNECT_ERROR
        | c::SSL_CERTPROBLEM
        | c::SSL_CIPHER
        | c::PEER_FAILED_VERIFICATION
        | c::USE_SSL_FAILED
        | c::SSL_ENGINE_INITFAILED
        | c::SSL_CACERT_BADFILE
        | c::SSL_ISSUER_ERROR => unsent(FailureKind::Tls),
        c::OPERATION_TIMEDOUT => match watch.cut_off() {
            Some(kind) if connected => Failure::new(kind, Delivery::Unknown),
            Some(kind) => unsent(kind),
            None if connected => Failure::new(watch.silence(), Delivery::Unknown),
            None => unsent(FailureKind::ConnectTimeout),
        },
        // A body that is not rewound: curl would have sent the request again.
        c::SEND_FAIL_REWIND => Failure::new(FailureKind::Closed, Delivery::Unknown),
        code => Failure::new(after_connecting(code), Delivery::Unknown),
    }
}

/// What a code means that only a connection which stands can bring.
const fn after_connecting(code: u32) -> FailureKind {
    use code_of as c;
    match code {
        // A frame that is none is CURLE_HTTP2 as well as the end of a connection: the end is what
        // happens to every server one day.
        c::GOT_NOTHING | c::HTTP2 => FailureKind::Closed,
        c::PARTIAL_FILE => FailureKind::Truncated,
        c::SEND_ERROR | c::RECV_ERROR => FailureKind::Reset,
        // The latter where curl has begun to send a stream that was reset by HTTP/1.1, and its body is
        // there no more.
        c::HTTP2_STREAM | c::READ_ERROR => FailureKind::StreamReset,
        // isahc stops curl (CURLE_WRITE_ERROR) at a header line that it cannot read.
        c::UNSUPPORTED_PROTOCOL
        | c::WEIRD_SERVER_REPLY
        | c::WRITE_ERROR
        | c::BAD_CONTENT_ENCODING => FailureKind::RemoteProtocol,
        c::TOO_LARGE => FailureKind::ResponseTooLarge,
        c::SSL_CLIENTCERT => FailureKind::Tls,
        _ => FailureKind::Other,
    }
}

/// What isahc itself refuses, or fails with.
#[allow(clippy::wildcard_enum_match_arm, reason = "the kinds that curl alone brings are many")]
fn of_isahc(error: &isahc::Error) -> Failure {
    match error.kind() {
        ErrorKind::InvalidRequest => Failure::new(FailureKind::InvalidRequest, Delivery::Unsent),
        ErrorKind::BadClientCertificate
        | ErrorKind::BadServerCertificate
        | ErrorKind::InvalidTlsConfiguration
        | ErrorKind::TlsEngine => Failure::new(FailureKind::Tls, Delivery::Unsent),
        ErrorKind::ProtocolViolation => {
            Failure::new(FailureKind::RemoteProtocol, Delivery::Unknown)
        }
        _ => Failure::new(FailureKind::Other, Delivery::Unknown),
    }
}

fn curl_code(error: &isahc::Error) -> Option<u32> {
    let source = error.source()?.downcast_ref::<curl::Error>()?;
    #[allow(clippy::useless_conversion, reason = "on some systems it is an `i32`")]
    u32::try_from(source.code()).ok()
}

/// The codes of `curl.h` that are told apart here.
mod code_of {
    pub(super) const UNSUPPORTED_PROTOCOL: u32 = 1;
    pub(super) const URL_MALFORMAT: u32 = 3;
    pub(super) const COULDNT_RESOLVE_PROXY: u32 = 5;
    pub(super) const COULDNT_RESOLVE_HOST: u32 = 6;
    pub(super) const COULDNT_CONNECT: u32 = 7;
    pub(super) const WEIRD_SERVER_REPLY: u32 = 8;
    pub(super) const HTTP2: u32 = 16;
    pub(super) const PARTIAL_FILE: u32 = 18;
    pub(super) const WRITE_ERROR: u32 = 23;
    pub(super) const READ_ERROR: u32 = 26;
    pub(super) const OPERATION_TIMEDOUT: u32 = 28;
    pub(super) const SSL_CONNECT_ERROR: u32 = 35;
    pub(super) const GOT_NOTHING: u32 = 52;
    pub(super) const SEND_ERROR: u32 = 55;
    pub(super) const RECV_ERROR: u32 = 56;
    pub(super) const SSL_CERTPROBLEM: u32 = 58;
    pub(super) const SSL_CIPHER: u32 = 59;
    pub(super) const PEER_FAILED_VERIFICATION: u32 = 60;
    pub(super) const BAD_CONTENT_ENCODING: u32 = 61;
    pub(super) const USE_SSL_FAILED: u32 = 64;
    pub(super) const SEND_FAIL_REWIND: u32 = 65;
    pub(super) const SSL_ENGINE_INITFAILED: u32 = 66;
    pub(super) const SSL_CACERT_BADFILE: u32 = 77;
    pub(super) const SSL_ISSUER_ERROR: u32 = 83;
    pub(super) const HTTP2_STREAM: u32 = 92;
    pub(super) const SSL_CLIENTCERT: u32 = 98;
    pub(super) const TOO_LARGE: u32 = 100;
}
