//! How the server speaks TLS, as data: the certificate that it shows, and what goes wrong before.

/// How the connections of a script are secured, and how well.
///
/// The authority that clients are to trust, and no other, is made when the server starts:
/// [`FaultServer::roots`](crate::FaultServer::roots).
///
/// ```
/// use redial_conformance::{Certificate, Handshake, Reply, Script, Tls};
///
/// // The first handshake is cut off; the connection after it is in order, and speaks HTTP/2.
/// let tls = Tls::new(Certificate::Good).alpn(["h2"]).first([Handshake::Reset]);
/// let script = Script::replies([Reply::status(200)]).secured(tls);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    first: Vec<Handshake>,
    otherwise: Handshake,
    alpn: Vec<String>,
    requires_client: bool,
    says_goodbye: bool,
}

impl Tls {
    /// Every connection shows this certificate. Without [`Tls::alpn`] no protocol is agreed on.
    pub fn new(certificate: Certificate) -> Self {
        Self::every(Handshake::Complete(certificate))
    }

    /// Every connection is treated so.
    pub fn every(handshake: Handshake) -> Self {
        Self {
            first: Vec::new(),
            otherwise: handshake,
            alpn: Vec::new(),
            requires_client: false,
            says_goodbye: true,
        }
    }

    /// The n-th connection is treated as the n-th of these says. Those that no client comes for
    /// are reported, as lists of steps are.
    #[must_use]
    pub fn first(mut self, handshakes: impl IntoIterator<Item = Handshake>) -> Self {
        self.first = handshakes.into_iter().collect();
        self
    }

    /// The protocols that the server speaks, the dearest first (RFC 7301). A client that offers
    /// only others is refused.
    #[must_use]
    pub fn alpn<T: Into<String>>(mut self, protocols: impl IntoIterator<Item = T>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Clients have to show a certificate of the server's own authority, such as
    /// [`FaultServer::identity`](crate::FaultServer::identity).
    #[must_use]
    pub fn client_certificate(mut self) -> Self {
        self.requires_client = true;
        self
    }

    /// The server ends its connections without `close_notify`, as an attacker would who cuts them.
    #[must_use]
    pub fn without_close_notify(mut self) -> Self {
        self.says_goodbye = false;
        self
    }

    /// How the connection with this number is treated, counted from zero.
    pub fn handshake(&self, connection: usize) -> &Handshake {
        self.first.get(connection).unwrap_or(&self.otherwise)
    }

    /// How many connections have to come for every handshake to be played.
    pub fn planned(&self) -> usize {
        self.first.len()
    }

    /// The protocols that the server speaks; none where nothing is to be agreed on.
    pub fn protocols(&self) -> &[String] {
        &self.alpn
    }

    /// Whether clients have to show a certificate.
    pub fn requires_client_certificate(&self) -> bool {
        self.requires_client
    }

    /// Whether the server says `close_notify` when it closes a connection.
    pub fn says_close_notify(&self) -> bool {
        self.says_goodbye
    }
}

/// What comes of one TLS handshake, as far as the server has a say in it.
///
/// All begin when the client's first bytes are there. After one that does not complete the
/// connection plays no steps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handshake {
    /// It completes, if the client takes this certificate.
    Complete(Certificate),
    /// The server closes the connection instead of an answer.
    EndOfStream,
    /// The server resets the connection instead of an answer.
    Reset,
    /// The server answers with bytes that are no TLS, and waits for the client to go.
    Garbage,
    /// The server never answers; the client is to go within [`PATIENCE`](crate::PATIENCE).
    Silence,
    /// The server says that it speaks no version of TLS that the client does (RFC 8446 6.2,
    /// `protocol_version`), and closes.
    NoCommonVersion,
}

/// A certificate of the server's: a good one, or one with one fault.
///
/// All but the first are to be refused by the client, which trusts
/// [`FaultServer::roots`](crate::FaultServer::roots) and calls the server by 127.0.0.1 or
/// `localhost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Certificate {
    /// For `localhost`, 127.0.0.1 and ::1, signed by the authority, valid now.
    Good,
    /// The same by an intermediate authority, whose certificate comes with it.
    GoodByIntermediate,
    /// Valid until some years ago.
    Expired,
    /// Valid in some years.
    NotYetValid,
    /// For another name and no address.
    WrongHost,
    /// For 127.0.0.2 and no name.
    WrongAddress,
    /// Signed by its own key.
    SelfSigned,
    /// Signed by another authority.
    UnknownAuthority,
    /// Signed by an intermediate authority that another authority vouches for.
    UntrustedIntermediate,
}

impl Certificate {
    /// Every kind that a client has to refuse.
    pub const BAD: [Self; 7] = [
        Self::Expired,
        Self::NotYetValid,
        Self::WrongHost,
        Self::WrongAddress,
        Self::SelfSigned,
        Self::UnknownAuthority,
        Self::UntrustedIntermediate,
    ];
}
