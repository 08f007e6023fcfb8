//! A queue of fixed capacity that forgets its oldest element.

use std::collections::VecDeque;

/// The newest elements, at most as many as its capacity; oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Ring<T> {
    elements: VecDeque<T>,
    capacity: usize,
}

impl<T> Ring<T> {
    /// Makes an empty ring; a capacity of 0 counts as 1. Memory is taken as elements come.
    pub fn new(capacity: usize) -> Self {
        Self {
            elements: VecDeque::new(),
            capacity: capacity.max(1),
        }
    }

    /// Adds an element and returns the one that had to go.
    pub fn push(&mut self, element: T) -> Option<T> {
        let gone = (self.elements.len() >= self.capacity)
            .then(|| self.elements.pop_front())
            .flatten();
        self.elements.push_back(element);
        gone
    }

    /// Iterates from the oldest to the newest.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.elements.iter()
    }

    /// Returns the newest element.
    pub fn newest(&self) -> Option<&T> {
        self.elements.back()
    }

    /// Returns how many elements there are.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Returns how many elements there can be.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets the elements that are not wanted any more.
    pub fn retain(&mut self, is_wanted: impl FnMut(&T) -> bool) {
        self.elements.retain(is_wanted);
    }

    /// Forgets all elements.
    pub fn clear(&mut self) {
        self.elements.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_of_three_pushes_the_first_out() {
        let mut ring = Ring::new(3);
        assert_eq!([1, 2, 3].map(|n| ring.push(n)), [None; 3]);
        assert_eq!(ring.push(4), Some(1));
        assert!(ring.iter().eq(&[2, 3, 4]));
        assert_eq!((ring.len(), ring.newest()), (3, Some(&4)));
        ring.retain(|n| n % 2 == 0);
        assert!(ring.iter().eq(&[2, 4]));
    }
}
