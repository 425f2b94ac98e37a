//! Places among the streams that a connection can hold.

use std::cell::Cell;
use std::rc::Rc;

/// One taken place. It is free again when this goes.
#[derive(Debug)]
pub(in crate::relay) struct Place(Rc<Cell<usize>>);

impl Place {
    /// Takes one of the places that `taken` counts.
    pub fn take(taken: &Rc<Cell<usize>>) -> Self {
        taken.set(taken.get() + 1);
        Self(Rc::clone(taken))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_holder_goes() {
        let taken = Rc::default();
        let (first, second) = (Place::take(&taken), Place::take(&taken));
        assert_eq!(taken.get(), 2);
        drop(first);
        assert_eq!(taken.get(), 1);
        drop(second);
        assert_eq!(taken.get(), 0);
    }
}
