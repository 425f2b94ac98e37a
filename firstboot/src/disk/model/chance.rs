//! What survives a power cut, chosen by a seed.

use crate::split_mix::SplitMix64;

/// A source of choices: seed 0 loses everything that was not synced, seed 1 keeps it all, the others mix.
#[derive(Debug)]
pub(super) enum Chance {
    Lose,
    Keep,
    Mix(SplitMix64),
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        match seed {
            0 => Self::Lose,
            1 => Self::Keep,
            other => Self::Mix(SplitMix64::new(other)),
        }
    }

    /// One of `count` outcomes, of which 0 is the loss and 1 that all is well.
    pub(super) fn outcome(&mut self, count: usize) -> usize {
        match self {
            Self::Lose => 0,
            Self::Keep => 1,
            Self::Mix(_) => self.below(count),
        }
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let Self::Mix(numbers) = self else { return 0 };
        (numbers.draw() % bound as u64) as usize
    }
}
