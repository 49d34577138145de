//! How a log is written, by a server on loopback and by a simulated one.
//!
//! What is about a connection or a request that the log does not have is not written.

use core::net::SocketAddr;
use core::time::Duration;

use super::{BODY_KEPT, Closing, ConnectionRecord, Log, RequestRecord, TlsRecord};
use crate::ErrorCode;
use crate::request::Head;

impl Log {
    /// A connection has come, and so many are open with it. Answers which one it is.
    pub(crate) fn connected(&mut self, peer: SocketAddr, accepted: Duration, open: usize) -> usize {
        self.peak_open = self.peak_open.max(open);
        self.connections.push(ConnectionRecord {
            peer,
            accepted,
            tls: None,
            closed: None,
            ended: None,
            bytes_in: 0,
            bytes_out: 0,
            peak_requests: 0,
        });
        self.connections.len() - 1
    }

    /// How a connection ended; only the first record counts.
    pub(crate) fn disconnected(&mut self, connection: usize, closing: Closing, at: Duration) {
        if let Some(record) = self.connections.get_mut(connection) {
            record.closed.get_or_insert(closing);
            record.ended.get_or_insert(at);
        }
    }

    /// How a TLS handshake ended.
    pub(crate) fn shook_hands(&mut self, connection: usize, record: TlsRecord) {
        if let Some(connection) = self.connections.get_mut(connection) {
            connection.tls = Some(record);
        }
    }

    /// How many requests are on a connection now.
    pub(crate) fn requests_open(&mut self, connection: usize, count: usize) {
        if let Some(record) = self.connections.get_mut(connection) {
            record.peak_requests = record.peak_requests.max(count);
        }
    }

    pub(crate) fn received(&mut self, connection: usize, count: usize) {
        if let Some(record) = self.connections.get_mut(connection) {
            record.bytes_in += count as u64;
        }
    }

    pub(crate) fn sent(&mut self, connection: usize, count: usize) {
        if let Some(record) = self.connections.get_mut(connection) {
            record.bytes_out += count as u64;
        }
    }

    /// A request's head has come. Answers which request it is.
    pub(crate) fn requested(
        &mut self,
        connection: usize,
        stream: Option<u32>,
        arrived: Duration,
        head: Head,
    ) -> usize {
        self.requests.push(RequestRecord {
            connection,
            stream,
            arrived,
            method: head.method,
            target: head.target,
            headers: head.headers,
            body: Vec::new(),
            body_length: 0,
            complete: false,
            ended: None,
            processed: false,
            reset: None,
        });
        self.requests.len() - 1
    }

    /// More of a request's body, of which so much is kept as there is room for.
    pub(crate) fn body(&mut self, request: usize, bytes: &[u8]) {
        if let Some(record) = self.requests.get_mut(request) {
            let room = BODY_KEPT.saturating_sub(record.body.len());
            record.body.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            record.body_length += bytes.len() as u64;
        }
    }

    /// A request has come to its end.
    pub(crate) fn complete(&mut self, request: usize, at: Duration) {
        if let Some(record) = self.requests.get_mut(request) {
            record.complete = true;
            record.ended.get_or_insert(at);
        }
    }

    /// Whether the server acts on a request.
    pub(crate) fn acts_on(&mut self, request: usize, processed: bool) {
        if let Some(record) = self.requests.get_mut(request) {
            record.processed = processed;
        }
    }

    /// The client has reset the stream of a request.
    pub(crate) fn reset(&mut self, request: usize, at: Duration, code: ErrorCode) {
        if let Some(record) = self.requests.get_mut(request) {
            record.reset.get_or_insert((at, code));
        }
    }
}
