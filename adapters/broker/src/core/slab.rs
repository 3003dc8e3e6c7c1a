//! Records in a vector, found by an id that is never valid for a later record in the same place.

use std::{
    fmt,
    marker::PhantomData,
    num::NonZeroU32,
    ops::{Index, IndexMut},
};

/// An id of a [`Slab`].
pub(crate) trait Id: Copy + Eq {
    fn new(index: u32, generation: NonZeroU32) -> Self;
    fn index(self) -> usize;
    fn generation(self) -> NonZeroU32;
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name {
            index: u32,
            generation: NonZeroU32,
        }

        impl Id for $name {
            fn new(index: u32, generation: NonZeroU32) -> Self {
                Self { index, generation }
            }
            fn index(self) -> usize {
                self.index as usize
            }
            fn generation(self) -> NonZeroU32 {
                self.generation
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}:{}", self.index, self.generation)
            }
        }
    };
}

id! {
    /// One connection, from the decision to open it until its slot is free.
    ConnId
}
id! {
    /// One pending request.
    WaiterId
}
id! {
    /// What the core knows of one workspace, or of the system lane.
    SpaceId
}

#[derive(Clone, Debug)]
struct Entry<T> {
    generation: NonZeroU32,
    value: Option<T>,
}

#[derive(Clone, Debug)]
pub(crate) struct Slab<I, T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    ids: PhantomData<I>,
}

impl<I: Id, T> Slab<I, T> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), ids: PhantomData }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Bytes reserved.
    #[cfg(feature = "model")]
    pub(crate) const fn footprint(&self) -> usize {
        self.entries.capacity() * size_of::<Entry<T>>() + self.free.capacity() * size_of::<u32>()
    }

    pub(crate) fn insert(&mut self, value: T) -> I {
        if let Some(index) = self.free.pop() {
            let entry = &mut self.entries[index as usize];
            entry.value = Some(value);
            return I::new(index, entry.generation);
        }
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let generation = NonZeroU32::MIN;
        self.entries.push(Entry { generation, value: Some(value) });
        I::new(index, generation)
    }

    pub(crate) fn remove(&mut self, id: I) -> Option<T> {
        let entry = self.entries.get_mut(id.index())?;
        if entry.generation != id.generation() {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = entry.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        self.free.push(u32::try_from(id.index()).unwrap_or(u32::MAX));
        Some(value)
    }

    pub(crate) fn get(&self, id: I) -> Option<&T> {
        let entry = self.entries.get(id.index())?;
        if entry.generation == id.generation() { entry.value.as_ref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, id: I) -> Option<&mut T> {
        let entry = self.entries.get_mut(id.index())?;
        if entry.generation == id.generation() { entry.value.as_mut() } else { None }
    }

    #[cfg(test)]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().filter_map(|entry| entry.value.as_mut())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| {
            let index = u32::try_from(index).ok()?;
            Some((I::new(index, entry.generation), entry.value.as_ref()?))
        })
    }
}

/// Inside the core an id that is stored somewhere belongs to a live record; that is what
/// `check_invariants` proves. Ids from outside go through [`Slab::get`].
impl<I: Id + fmt::Debug, T> Index<I> for Slab<I, T> {
    type Output = T;

    fn index(&self, id: I) -> &T {
        match self.get(id) {
            Some(value) => value,
            None => unreachable!("no record {id:?}"),
        }
    }
}

impl<I: Id + fmt::Debug, T> IndexMut<I> for Slab<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        match self.get_mut(id) {
            Some(value) => value,
            None => unreachable!("no record {id:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_not_valid_for_the_next_record_in_its_place() {
        let mut slab = Slab::<ConnId, &str>::new();
        let first = slab.insert("first");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_eq!(first.index(), second.index());
        assert_eq!((slab.get(first), slab.get(second)), (None, Some(&"second")));
        assert_eq!((slab.remove(first), slab.len()), (None, 1));
    }
}
