//! Lists that are read a page at a time.

/// A page of a keyset-ordered list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Whether further items follow the last one.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// Makes a page of at most `size` items from a list that was read one item further.
    #[must_use]
    pub fn of(mut items: Vec<T>, size: usize) -> Self {
        let has_more = items.len() > size;
        items.truncate(size);
        Self { items, has_more }
    }
}

/// A page of a list that is counted, read from an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// How many items the whole list has.
    pub total: u64,
}
