//! What survives a power cut, chosen by a seed.

/// A source of choices: seed 0 loses everything that was not synced, seed 1 keeps it all, the others mix.
#[derive(Debug)]
pub(super) enum Chance {
    Lose,
    Keep,
    Mix(u64),
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        match seed {
            0 => Self::Lose,
            1 => Self::Keep,
            other => Self::Mix(other),
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
        let Self::Mix(state) = self else { return 0 };
        // SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
