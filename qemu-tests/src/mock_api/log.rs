//! What clients did: every connection and every request, for tests to look at.

use std::time::Duration;

use super::server_certificate::ServerCertificate;
use super::users::User;

/// One TCP connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Which one it is, counted from 1.
    pub number: usize,
    /// The host name the client asked for (SNI), if it got so far and asked for one.
    pub server_name: Option<String>,
    /// The certificate it was shown.
    pub shown: ServerCertificate,
    /// How the handshake ended.
    pub handshake: Handshake,
    /// When it came, in the mock's running time.
    pub at: Duration,
}

/// How a TLS handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// Not yet, or never.
    Open,
    /// The client took the certificate.
    Done,
    /// It did not.
    Failed,
}

/// The credential that came with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// None.
    Nothing,
    /// `Authorization: Bearer` with this token.
    Bearer(String),
    /// A client certificate with this common name.
    Certificate(String),
}

/// One HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The connection's number.
    pub connection: usize,
    /// The certificate that the client was shown on that connection.
    pub shown: ServerCertificate,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The credential.
    pub presented: Presented,
    /// Whose credential it is; none if nobody's.
    pub user: Option<User>,
    /// The status it was answered with; 0 if with none.
    pub status: u16,
    /// When it came, in the mock's running time.
    pub at: Duration,
}

impl Request {
    /// The value of the header `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn is_cluster_info(&self) -> bool {
        self.path.contains("/configmaps/cluster-info")
    }
}

/// Everything that happened.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Connections in the order in which they came.
    pub connections: Vec<Connection>,
    /// Requests in the order in which they were answered.
    pub requests: Vec<Request>,
}

impl Log {
    /// Notes a connection and returns its number.
    pub fn connected(&mut self, shown: ServerCertificate, at: Duration) -> usize {
        let number = self.connections.len() + 1;
        self.connections.push(Connection {
            number,
            server_name: None,
            shown,
            handshake: Handshake::Open,
            at,
        });
        number
    }

    /// Changes what is known of connection `number`.
    pub fn update(&mut self, number: usize, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.connections.get_mut(number.wrapping_sub(1)) {
            change(connection);
        }
    }

    /// Requests with a credential on a connection that the client cannot have verified: the certificate was wrong, or
    /// `cluster-info` had been read there without a credential (discovery's first step verifies nothing).
    pub fn leaks(&self) -> Vec<&Request> {
        let told = self
            .requests
            .iter()
            .filter(|request| request.presented != Presented::Nothing);
        told.filter(|request| !request.shown.is_genuine() || self.is_unverified(request.connection))
            .collect()
    }

    /// Requests in which one of `secrets` stands anywhere but in `Authorization`.
    pub fn misplaced<'a>(&self, secrets: impl Iterator<Item = &'a str>) -> Vec<&Request> {
        let secrets: Vec<&str> = secrets.collect();
        let holds = |text: &str| secrets.iter().any(|secret| text.contains(secret));
        let requests = self.requests.iter().filter(|request| {
            let mut headers = request.headers.iter();
            let in_headers = headers.any(|(name, value)| name != "authorization" && holds(value));
            in_headers || holds(&request.path) || holds(&String::from_utf8_lossy(&request.body))
        });
        requests.collect()
    }

    /// Discovery's first reading of `cluster-info` is the unverified one; of later discoveries the server cannot tell it.
    fn is_unverified(&self, connection: usize) -> bool {
        let mut first = self.requests.iter().filter(|request| request.is_cluster_info());
        first
            .next()
            .is_some_and(|request| request.connection == connection && request.presented == Presented::Nothing)
    }
}
