//! The script of a test: what goes wrong, at which call, how often.
//!
//! `Fault::Answer(BrokenAnswer::status(500)).on(Call::CreateRequest).after(1).times(2)` breaks the second and the third
//! posting of a signing request, and nothing else. Without `on`, a fault applies where its kind belongs; without `times`,
//! for good.

use super::answer::BrokenAnswer;
use super::description::Description;
use super::server::BrokenConnection;
use super::server_certificate::ServerCertificate;
use super::signing::Issue;

/// What can go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Something else than a TLS connection.
    Connection(BrokenConnection),
    /// Another certificate than the server's.
    Certificate(ServerCertificate),
    /// Another answer than the API server's.
    Answer(BrokenAnswer),
    /// Another description of the cluster.
    Description(Description),
    /// Another decision about a signing request, or another certificate than the one asked for.
    Issue(Issue),
}

/// Where it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A new connection.
    Connect,
    /// `GET …/configmaps/cluster-info`.
    ClusterInfo,
    /// `GET …/configmaps/kube-root-ca.crt`.
    ReadRootAuthorities,
    /// `POST …/certificatesigningrequests`.
    CreateRequest,
    /// `GET …/certificatesigningrequests/NAME`.
    ReadRequest,
    /// An attempt of the signer to issue one certificate; there is one each time a client looks.
    Sign,
    /// `GET …/nodes/NAME`.
    ReadNode,
    /// `POST …/nodes`, `PATCH …/nodes/NAME`.
    WriteNode,
    /// `GET …/secrets/NAME`.
    ReadSecret,
    /// Any other path.
    Other,
    /// Each HTTP request.
    Any,
}

/// A fault with its place and number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    fault: Fault,
    call: Call,
    skip: usize,
    times: usize,
    seen: usize,
}

impl Fault {
    /// The fault at `call` only.
    pub fn on(self, call: Call) -> Rule {
        Rule::from(self).on(call)
    }

    /// The fault where its kind belongs, `times` times.
    pub fn times(self, times: usize) -> Rule {
        Rule::from(self).times(times)
    }

    /// The fault where its kind belongs, after `skip` good ones.
    pub fn after(self, skip: usize) -> Rule {
        Rule::from(self).after(skip)
    }

    fn place(&self) -> Call {
        match self {
            Self::Connection(_) | Self::Certificate(_) => Call::Connect,
            Self::Answer(_) => Call::Any,
            Self::Description(_) => Call::ClusterInfo,
            Self::Issue(_) => Call::Sign,
        }
    }
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Self {
        Self {
            call: fault.place(),
            fault,
            skip: 0,
            times: usize::MAX,
            seen: 0,
        }
    }
}

impl Rule {
    /// Applies at `call` only.
    pub fn on(self, call: Call) -> Self {
        Self { call, ..self }
    }

    /// Lets `skip` calls pass first.
    pub fn after(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    /// Ends after `times` calls.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    fn covers(&self, call: Call) -> bool {
        let is_request = !matches!(call, Call::Connect | Call::Sign);
        self.call == call || (self.call == Call::Any && is_request)
    }

    /// Counts one call and says whether the fault applies to it.
    fn strikes(&mut self) -> bool {
        self.seen += 1;
        self.seen > self.skip && self.seen - self.skip <= self.times
    }
}

/// All faults of a test, in the order in which they were given.
#[derive(Debug, Clone, Default)]
pub struct Script(Vec<Rule>);

impl Script {
    /// Adds a fault.
    pub fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The faults that apply to this one call at `call`.
    pub fn at(&mut self, call: Call) -> Vec<Fault> {
        let rules = self.0.iter_mut().filter(|rule| rule.covers(call));
        rules
            .filter_map(|rule| rule.strikes().then(|| rule.fault.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: Fault = Fault::Certificate(ServerCertificate::Expired);

    fn strikes(script: &mut Script, call: Call, calls: usize) -> Vec<usize> {
        (0..calls).filter(|_| !script.at(call).is_empty()).collect()
    }

    fn script(rule: impl Into<Rule>) -> Script {
        let mut script = Script::default();
        script.add(rule.into());
        script
    }

    #[test]
    fn a_fault_strikes_after_so_many_calls_and_so_many_times() {
        let mut script = script(FAULT.after(2).times(3));
        let struck: Vec<bool> = (0..7).map(|_| !script.at(Call::Connect).is_empty()).collect();
        assert_eq!(struck, [false, false, true, true, true, false, false]);
    }

    #[test]
    fn a_fault_counts_only_the_calls_of_its_place() {
        let mut script = script(FAULT.on(Call::ReadNode).times(1));
        assert_eq!(strikes(&mut script, Call::Connect, 3).len(), 0);
        assert_eq!(strikes(&mut script, Call::CreateRequest, 3).len(), 0);
        assert_eq!(strikes(&mut script, Call::ReadNode, 3).len(), 1);
    }

    #[test]
    fn any_means_requests_and_neither_connections_nor_the_signer() {
        let mut script = script(FAULT.on(Call::Any));
        assert_eq!(strikes(&mut script, Call::Other, 2).len(), 2);
        assert_eq!(strikes(&mut script, Call::Connect, 2).len(), 0);
        assert_eq!(strikes(&mut script, Call::Sign, 2).len(), 0);
    }
}
