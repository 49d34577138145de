//! Secures a connection, or does not, as the script says.

use super::{Connection, Flow};
use crate::certificates::Security;
use crate::socket::{PATIENCE, Wait};
use crate::{Certificate, Handshake, Leftover, Plan, StepError, Tls, TlsRecord};

/// A fatal alert `protocol_version` in a record of TLS 1.0, which a client of any version reads.
const PROTOCOL_VERSION: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];

/// What is no TLS record, whatever the version.
const GARBAGE: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";

impl Connection {
    /// Plays the handshake of this connection. Where it does not complete, answers what is left of
    /// the connection.
    pub(super) fn secure(&mut self, tls: &Tls, security: &Security) -> Result<(), Flow> {
        let handshake = tls.handshake(self.index);
        let played = self.socket.await_data(Wait::WhileRunning);
        match played.and_then(|()| self.spoil(handshake)) {
            Ok(Some(kind)) => self.shake_hands(tls, security, kind),
            Ok(None) if *handshake == Handshake::Reset => Err(self.reset()),
            Ok(None) => Err(self.close()),
            Err(error) => {
                if self.index < tls.planned() {
                    let handshake = handshake.clone();
                    self.report(Leftover::HandshakeStopped {
                        connection: self.index,
                        handshake,
                        error,
                    });
                }
                Err(self.reset())
            }
        }
    }

    /// Plays a handshake that does not complete; answers the certificate of one that may.
    fn spoil(&mut self, handshake: &Handshake) -> Result<Option<Certificate>, StepError> {
        let patience = Wait::begin(PATIENCE);
        match handshake {
            Handshake::Complete(kind) => return Ok(Some(*kind)),
            Handshake::EndOfStream | Handshake::Reset => {}
            Handshake::Garbage => {
                self.socket.send(GARBAGE, patience)?;
                self.socket.discard(patience)?;
            }
            Handshake::Silence => {
                self.socket.discard(patience)?;
            }
            Handshake::NoCommonVersion => self.socket.send(&PROTOCOL_VERSION, patience)?,
        }
        Ok(None)
    }

    fn shake_hands(
        &mut self,
        tls: &Tls,
        security: &Security,
        kind: Certificate,
    ) -> Result<(), Flow> {
        let config = security.config(kind).ok_or(StepError::NoHandshake);
        let made = config.and_then(|config| {
            self.socket.secure(config, tls.says_close_notify(), Wait::begin(PATIENCE))
        });
        let (alpn, client_certificate) = self.socket.tls().map_or((None, false), |tls| {
            let alpn = tls.alpn_protocol();
            let alpn = alpn.map(|name| String::from_utf8_lossy(name).into_owned());
            (alpn, tls.peer_certificates().is_some())
        });
        let failure = made.as_ref().err().map(explain);
        self.shared.shook_hands(self.index, |ended| TlsRecord {
            ended,
            failure,
            alpn,
            client_certificate,
        });
        made.map_err(|_| self.close())
    }

    /// Reports the list of a connection whose handshake did not complete, if it has one.
    pub(super) fn report_insecure(&self, plan: &Plan) {
        let Plan::Connections(lists) = plan else { return };
        let list = self.index;
        if let Some(instruction) = lists.get(list).and_then(|steps| steps.first()).cloned() {
            let (connection, step, error) = (self.index, 0, StepError::NoHandshake);
            self.report(Leftover::Stopped { connection, list, step, instruction, error });
        }
    }
}

/// What went wrong; of an error of TLS, what it says itself.
fn explain(error: &StepError) -> String {
    if let StepError::Io(error) = error { error.to_string() } else { error.to_string() }
}
