//! What a mock is started with.

use std::net::{Ipv4Addr, SocketAddr};

use super::authority::{Authority, KeyKind};
use super::clock::Clock;
use super::faults::Script;
use super::log::Log;
use super::nodes::Nodes;
use super::secrets::Secrets;
use super::server_certificate::ServerIdentity;
use super::signing::{Approval, Bucket, Limits, SigningRequests};
use super::state::State;
use super::tokens::{Token, Tokens};

/// What a mock is started with. The default is a cluster that lets every machine join that has the token.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where it listens; port 0 is any free one.
    pub address: SocketAddr,
    /// The host by which it describes itself.
    pub host: String,
    /// Names and addresses in its certificate, besides `host`.
    pub names: Vec<String>,
    /// The key of its authority.
    pub authority: KeyKind,
    /// The token that is there from the start.
    pub token: Token,
    /// Who approves signing requests.
    pub approval: Approval,
    /// How fast it works.
    pub limits: Limits,
    /// By how many seconds its clock differs from this machine's.
    pub clock_shift_secs: i64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            host: Ipv4Addr::LOCALHOST.to_string(),
            names: vec!["localhost".to_owned()],
            authority: KeyKind::Ecdsa,
            token: Token::new("abcdef", "0123456789abcdef"),
            approval: Approval::Automatic,
            limits: Limits::default(),
            clock_shift_secs: 0,
        }
    }
}

impl Setup {
    pub(super) fn into_state(self, port: u16) -> State {
        let mut clock = Clock::right();
        clock.shift(self.clock_shift_secs);
        let mut names = self.names;
        names.push(self.host.clone());
        let mut tokens = Tokens::default();
        tokens.add(self.token);
        let authority = Authority::new(self.authority, &clock);
        State {
            clock,
            server: match self.host.contains(':') {
                true => format!("https://[{}]:{port}", self.host),
                false => format!("https://{}:{port}", self.host),
            },
            identity: ServerIdentity::new(authority, &names, &clock),
            tokens,
            signing: SigningRequests::new(self.approval, &self.limits),
            nodes: Nodes::default(),
            secrets: Secrets::default(),
            root_authorities: None,
            script: Script::default(),
            log: Log::default(),
            gate: Bucket::new(self.limits.requests),
        }
    }
}
