//! The judge of certificates.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage};

use super::{Authorities, Check, Shown, Verdict};
use crate::certificates::{Validity, facts};
use crate::clock::Clock;
use crate::discovery::pin;
use crate::join_config::CaPin;

/// Accepts or refuses what a server shows, and writes down why.
#[derive(Debug)]
pub(super) struct Verifier {
    pub check: Check,
    pub algorithms: WebPkiSupportedAlgorithms,
    pub clock: Arc<dyn Clock>,
    pub seen: Arc<Mutex<Option<Shown>>>,
}

/// A server's certificates and the name that it should have.
struct Presented<'a> {
    leaf: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
    name: &'a ServerName<'a>,
}

impl Verifier {
    fn judge(&self, presented: &Presented<'_>) -> Verdict {
        match &self.check {
            Check::Nothing => Verdict::Unchecked,
            Check::Authorities(authorities) | Check::AnyTime(authorities) => {
                self.by_authorities(presented, authorities)
            }
            Check::Pins(pins) => self.by_pins(presented, pins),
        }
    }

    fn by_pins(&self, presented: &Presented<'_>, pins: &[CaPin]) -> Verdict {
        if pin::of(presented.leaf).is_some_and(|pin| pins.contains(&pin)) {
            return Verdict::Trusted;
        }
        let pinned: Vec<_> = presented
            .intermediates
            .iter()
            .map(|der| der.clone().into_owned())
            .collect();
        match Authorities::of(&pin::pinned(&pinned, pins)) {
            Ok(authorities) if !authorities.anchors.is_empty() => self.by_authorities(presented, &authorities),
            _ => Verdict::Refused("no key in its chain is pinned".to_owned()),
        }
    }

    /// Tries the time that it is. If that fails, the time at which all certificates had begun tells whether the clock is
    /// all that is wrong.
    fn by_authorities(&self, presented: &Presented<'_>, authorities: &Authorities) -> Verdict {
        let now = self.clock.now();
        // webpki does not look at the dates of the authorities; kubelet, which comes next, does.
        let path = self.path(presented, authorities, now);
        match path.or_else(|_| self.path(presented, authorities, presented.begun())) {
            Ok(validity) if validity.contains(now) => Verdict::Trusted,
            Ok(validity) if validity.not_before <= validity.not_after => Verdict::OutOfTime(validity),
            Ok(_) => Verdict::Refused("its chain is never valid as a whole".to_owned()),
            Err(error) => refusal(error),
        }
    }

    /// When the chain to one of the authorities is valid, if there is one at `time`.
    fn path(&self, presented: &Presented<'_>, authorities: &Authorities, time: u64) -> Result<Validity, webpki::Error> {
        let leaf = EndEntityCert::try_from(presented.leaf)?;
        let path = leaf.verify_for_usage(
            self.algorithms.all,
            &authorities.anchors,
            presented.intermediates,
            UnixTime::since_unix_epoch(Duration::from_secs(time)),
            KeyUsage::server_auth(),
            None,
            None,
        )?;
        leaf.verify_is_valid_for_subject_name(presented.name)?;
        let own = facts(presented.leaf).ok_or(webpki::Error::BadDer)?.validity;
        let between = path
            .intermediate_certificates()
            .filter_map(|certificate| facts(&certificate.der()));
        let anchor = authorities.anchors.iter().position(|anchor| anchor == path.anchor());
        let top = anchor.map(|place| authorities.validities[place]);
        Ok(between.map(|facts| facts.validity).chain(top).fold(own, Validity::and))
    }
}

impl Presented<'_> {
    /// The first time at which all of its certificates are or were valid, if there is one.
    fn begun(&self) -> u64 {
        let all = std::iter::once(self.leaf).chain(self.intermediates);
        all.filter_map(|der| facts(der))
            .map(|facts| facts.validity.not_before)
            .max()
            .unwrap_or(0)
    }
}

fn refusal(error: webpki::Error) -> Verdict {
    match error {
        webpki::Error::CertNotValidForName(context) => Verdict::OtherName(context.presented),
        webpki::Error::UnknownIssuer => Verdict::Refused("signed by another authority".to_owned()),
        // Every cluster's authority is called the same: this is what a cluster made anew looks like.
        webpki::Error::InvalidSignatureForPublicKey => {
            Verdict::Refused("signed by another authority of the same name".to_owned())
        }
        error => Verdict::Refused(error.to_string()),
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = Presented {
            leaf,
            intermediates,
            name,
        };
        let verdict = self.judge(&presented);
        let accepted = match (&verdict, &self.check) {
            (Verdict::Unchecked | Verdict::Trusted, _) | (Verdict::OutOfTime(_), Check::AnyTime(_)) => Ok(()),
            (Verdict::OutOfTime(_), _) => Err(CertificateError::Expired),
            (Verdict::OtherName(_), _) => Err(CertificateError::NotValidForName),
            (Verdict::Refused(_), _) => Err(CertificateError::UnknownIssuer),
        };
        let chain = std::iter::once(leaf).chain(intermediates);
        let shown = Shown {
            facts: facts(leaf),
            chain: chain.map(|der| der.clone().into_owned()).collect(),
            verdict,
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        accepted.map(|()| ServerCertVerified::assertion()).map_err(Error::from)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
