//! Doubly linked lists whose links live in the records of a slab: every operation is O(1).

use std::fmt::Debug;

use super::slab::{Id, Slab};

/// A record's place in one list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link<I> {
    prev: Option<I>,
    next: Option<I>,
}

impl<I> Default for Link<I> {
    fn default() -> Self {
        Self { prev: None, next: None }
    }
}

/// Which of its links a record uses for a list.
pub(crate) type Via<I, T> = fn(&mut T) -> &mut Link<I>;

#[derive(Clone, Copy, Debug)]
pub(crate) struct List<I> {
    head: Option<I>,
    tail: Option<I>,
    len: u32,
}

impl<I> Default for List<I> {
    fn default() -> Self {
        Self { head: None, tail: None, len: 0 }
    }
}

impl<I: Id + Debug> List<I> {
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    pub(crate) const fn head(&self) -> Option<I> {
        self.head
    }

    pub(crate) fn push_back<T>(&mut self, slab: &mut Slab<I, T>, id: I, via: Via<I, T>) {
        *via(&mut slab[id]) = Link { prev: self.tail, next: None };
        match self.tail {
            Some(tail) => via(&mut slab[tail]).next = Some(id),
            None => self.head = Some(id),
        }
        self.tail = Some(id);
        self.len += 1;
    }

    pub(crate) fn push_front<T>(&mut self, slab: &mut Slab<I, T>, id: I, via: Via<I, T>) {
        *via(&mut slab[id]) = Link { prev: None, next: self.head };
        match self.head {
            Some(head) => via(&mut slab[head]).prev = Some(id),
            None => self.tail = Some(id),
        }
        self.head = Some(id);
        self.len += 1;
    }

    pub(crate) fn remove<T>(&mut self, slab: &mut Slab<I, T>, id: I, via: Via<I, T>) {
        let Link { prev, next } = std::mem::take(via(&mut slab[id]));
        match prev {
            Some(prev) => via(&mut slab[prev]).next = next,
            None => self.head = next,
        }
        match next {
            Some(next) => via(&mut slab[next]).prev = prev,
            None => self.tail = prev,
        }
        self.len -= 1;
    }

    /// The ids from head to tail.
    pub(crate) fn ids<T>(self, slab: &Slab<I, T>, link: fn(&T) -> &Link<I>) -> impl Iterator<Item = I> {
        std::iter::successors(self.head, move |id| link(&slab[*id]).next)
    }
}
