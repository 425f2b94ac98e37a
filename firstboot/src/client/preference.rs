//! Which of several endpoints is tried first: the one that worked last; of the others, the one whose failure is longest
//! ago.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::join_config::Endpoint;

/// What is remembered of endpoints.
#[derive(Debug, Default)]
pub(crate) struct Preference(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    worked: Option<Endpoint>,
    /// Each with the number of its last failure.
    failed: BTreeMap<Endpoint, u64>,
    failures: u64,
}

impl Preference {
    pub fn worked(&self, endpoint: &Endpoint) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.failed.remove(endpoint);
        memory.worked = Some(endpoint.clone());
    }

    pub fn failed(&self, endpoint: &Endpoint) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.failures += 1;
        let number = memory.failures;
        memory.failed.insert(endpoint.clone(), number);
        memory.worked.take_if(|worked| worked == endpoint);
    }

    /// `endpoints` in the order in which they are tried.
    pub fn order<'a>(&self, endpoints: &'a [Endpoint]) -> Vec<&'a Endpoint> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut order: Vec<_> = endpoints.iter().collect();
        // Stable: what nothing is known of keeps the order of the join file.
        order.sort_by_key(|endpoint| match memory.failed.get(*endpoint) {
            None => (memory.worked.as_ref() != Some(*endpoint), 0),
            Some(number) => (true, *number),
        });
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints() -> [Endpoint; 3] {
        ["a", "b", "c"].map(|host| Endpoint {
            host: host.to_owned(),
            port: 6443,
            path: String::new(),
        })
    }

    fn order(preference: &Preference) -> String {
        let endpoints = endpoints();
        preference
            .order(&endpoints)
            .iter()
            .map(|endpoint| endpoint.host.as_str())
            .collect()
    }

    #[test]
    fn the_one_that_worked_comes_first_and_those_that_failed_last() {
        let (preference, [a, b, _]) = (Preference::default(), endpoints());
        assert_eq!(order(&preference), "abc");
        preference.failed(&a);
        assert_eq!(order(&preference), "bca");
        preference.worked(&b);
        assert_eq!(order(&preference), "bca");
        preference.failed(&b);
        assert_eq!(order(&preference), "cab");
        preference.worked(&a);
        assert_eq!(order(&preference), "acb");
    }

    #[test]
    fn when_all_have_failed_each_has_its_turn() {
        let (preference, [a, b, c]) = (Preference::default(), endpoints());
        for endpoint in [&a, &b, &c] {
            preference.failed(endpoint);
        }
        assert_eq!(order(&preference), "abc");
        preference.failed(&a);
        assert_eq!(order(&preference), "bca");
        preference.failed(&b);
        assert_eq!(order(&preference), "cab");
    }
}
