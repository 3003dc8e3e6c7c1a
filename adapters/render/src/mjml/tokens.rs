//! Takes Liquid out of a source and puts it back: in between there are only letters and digits.

use crate::{
    liquid::syntax::{Piece, pieces},
    nonce::nonce,
};
use std::borrow::Cow;

/// What was taken out. A token is the prefix, a number and a letter for its kind.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    prefix: String,
    kept: Vec<String>,
}

/// A source without Liquid.
#[derive(Debug)]
pub struct Protected {
    /// The source with tokens in it.
    pub text: String,
    /// What the tokens stand for.
    pub tokens: Tokens,
    /// Positions in the text and the ones in the source that they come from, ascending.
    pub origins: Origins,
}

/// Leads positions of a text back to those of the source that it was made from.
#[derive(Debug, Default)]
pub struct Origins(Vec<(usize, usize)>);

impl Origins {
    /// From `position` on, the text is a copy of the source from `origin` on.
    pub fn note(&mut self, position: usize, origin: usize) {
        self.0.push((position, origin));
    }

    /// Where a position comes from.
    pub fn of(&self, position: usize) -> usize {
        let at = self.0.partition_point(|(start, _)| *start <= position);
        match at.checked_sub(1).map(|at| self.0[at]) {
            Some((start, origin)) => origin + (position - start),
            None => position,
        }
    }
}

/// Replaces every tag by a token.
///
/// # Errors
/// The position of a tag that is not closed.
pub fn protect(source: &str) -> Result<Protected, usize> {
    let mut tokens = Tokens::for_source(source);
    let mut text = String::with_capacity(source.len());
    let mut origins = Origins::default();
    let mut at = 0;
    for piece in pieces(source)? {
        origins.note(text.len(), at);
        match piece {
            Piece::Text(copied) => {
                text.push_str(copied);
                at += copied.len();
            }
            Piece::Tag(tag, _) => {
                text.push_str(&tokens.keep(tag));
                at += tag.len();
            }
        }
    }
    Ok(Protected { text, tokens, origins })
}

/// A prefix that occurs nowhere in the source. One that nobody can know is free at the first try.
fn unused_prefix(source: &str) -> String {
    let mut prefix = format!("lq{}x", nonce());
    while source.contains(&prefix) {
        prefix.insert(2, '0');
    }
    prefix
}

impl Tokens {
    /// An empty set for things of this source.
    pub fn for_source(source: &str) -> Self {
        Self { prefix: unused_prefix(source), kept: Vec::new() }
    }

    /// Takes something out; its token is returned.
    pub fn keep(&mut self, text: &str) -> String {
        self.kept.push(text.to_owned());
        format!("{}{}z", self.prefix, self.kept.len() - 1)
    }

    /// Whether a text holds a token.
    pub fn any(&self, text: &str) -> bool {
        !self.prefix.is_empty() && text.contains(&self.prefix)
    }

    /// A text without its tokens.
    pub fn without<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.any(text) {
            return Cow::Borrowed(text);
        }
        self.split(text).into_iter().map(|(before, _)| before).collect()
    }

    /// Cuts a text at its tokens: the text before, and what the token stands for.
    pub fn split<'a>(&'a self, text: &'a str) -> Vec<(&'a str, Option<(&'a str, &'a str)>)> {
        let mut found = Vec::new();
        let (mut from, mut search) = (0, 0);
        while !self.prefix.is_empty()
            && let Some(start) = text[search..].find(&self.prefix).map(|at| search + at)
        {
            let digits = start + self.prefix.len();
            let end = text[digits..].find('z').map_or(text.len(), |at| digits + at);
            let kept = text[digits..end].parse().ok().and_then(|index: usize| self.kept.get(index));
            let Some(kept) = kept else {
                search = digits;
                continue;
            };
            found.push((&text[from..start], Some((&text[start..=end], kept.as_str()))));
            (from, search) = (end + 1, end + 1);
        }
        found.push((&text[from..], None));
        found
    }

    /// Puts everything back.
    pub fn restore(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() * 2);
        for (before, token) in self.split(text) {
            out.push_str(before);
            out.push_str(token.map_or("", |(_, kept)| kept));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tokens_collide_with_nothing() {
        let source = format!("lq{0}x0z {{{{ a }}}} lq0{0}x1z {{% b %}} lq00", nonce());
        let protected = protect(&source).unwrap();
        assert!(!protected.text.contains('{'));
        assert_eq!(protected.tokens.restore(&protected.text), source);
    }

    #[test]
    fn positions_lead_back_to_the_source() {
        let source = "ab{{ long value }}cd{% x %}ef";
        let protected = protect(source).unwrap();
        for wanted in ["ab", "cd", "ef"] {
            let position = protected.text.find(wanted).unwrap();
            assert_eq!(protected.origins.of(position), source.find(wanted).unwrap());
        }
    }

    proptest! {
        #[test]
        fn what_was_taken_out_comes_back(source in "([a-z0-9 <>\"']|\\{\\{|\\}\\}|\\{%|%\\}|lq0x0z|lq|[0-9]z|é|\\PC)*") {
            if let Ok(protected) = protect(&source) {
                prop_assert_eq!(protected.tokens.restore(&protected.text), source);
            }
        }
    }
}
