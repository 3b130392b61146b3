//! A map that shares its unchanged parts with the one it was before, made for look-ups among a million of values.
//!
//! A value is found by a tag of 64 bits that is as good as random: the beginning of a keyed hash, or a mixed id. So
//! nothing is hashed to find it, and the tag says where it stands: each level takes five bits. A leaf holds many values
//! side by side, so that a look-up waits for memory once for the last levels, and not once for each; and a change
//! copies a few short arrays.

use std::sync::Arc;

/// Bits of a tag that a level takes.
const BITS: u32 = 5;
/// Branches of a level.
const WIDTH: usize = 1 << BITS;
/// Levels at most: the bits of a tag. Values whose whole tags are the same share a leaf, however many they are.
const LEVELS: u32 = u64::BITS.div_ceil(BITS);
/// Values of a leaf at most, before it becomes a branch.
const LEAF_MAX: usize = 2 * WIDTH;

/// Values with their tags, in the order of the tags.
type Leaf<V> = Arc<[(u64, V)]>;

/// A persistent map. Cloning it costs one count.
#[derive(Clone, Debug)]
pub(crate) struct Trie<V> {
    root: Node<V>,
}

#[derive(Clone, Debug)]
enum Node<V> {
    Leaf(Leaf<V>),
    Branch(Arc<[Node<V>; WIDTH]>),
}

impl<V: Clone> Default for Trie<V> {
    fn default() -> Self {
        Self { root: Node::empty() }
    }
}

impl<V: Clone> Trie<V> {
    /// The value with this tag of which `is` holds.
    pub(crate) fn get(&self, tag: u64, is: impl Fn(&V) -> bool) -> Option<&V> {
        let (mut node, mut rest) = (&self.root, tag);
        loop {
            match node {
                Node::Leaf(values) => return position(values, tag, &is).map(|at| &values[at].1),
                Node::Branch(branches) => (node, rest) = (&branches[digit(rest)], rest >> BITS),
            }
        }
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, tag: u64, is: impl Fn(&V) -> bool) -> Option<&mut V> {
        let (mut node, mut rest) = (&mut self.root, tag);
        loop {
            match node {
                Node::Leaf(values) => {
                    let at = position(values, tag, &is)?;
                    return Arc::make_mut(values).get_mut(at).map(|(_, value)| value);
                }
                Node::Branch(branches) => {
                    (node, rest) = (&mut Arc::make_mut(branches)[digit(rest)], rest >> BITS);
                }
            }
        }
    }

    /// Puts a value in the place of the one with its tag of which `is` holds, or beside the others.
    pub(crate) fn insert(&mut self, tag: u64, value: V, is: impl Fn(&V) -> bool) {
        self.root.insert(tag, value, &is, 0);
    }

    /// Takes the value with this tag out of which `is` holds.
    pub(crate) fn remove(&mut self, tag: u64, is: impl Fn(&V) -> bool) {
        let (mut node, mut rest) = (&mut self.root, tag);
        loop {
            match node {
                Node::Leaf(values) => {
                    let others = values.iter().filter(|(other, value)| !(*other == tag && is(value)));
                    *values = others.cloned().collect();
                    return;
                }
                Node::Branch(branches) => {
                    (node, rest) = (&mut Arc::make_mut(branches)[digit(rest)], rest >> BITS);
                }
            }
        }
    }

    /// All values, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        let mut waiting = vec![&self.root];
        let leaves = std::iter::from_fn(move || {
            loop {
                match waiting.pop()? {
                    Node::Leaf(values) => return Some(values.iter()),
                    Node::Branch(branches) => waiting.extend(branches.iter()),
                }
            }
        });
        leaves.flatten().map(|(_, value)| value)
    }
}

impl<V: Clone> Node<V> {
    fn empty() -> Self {
        Self::Leaf(Arc::new([]))
    }

    /// `level` levels up this node's tags are the same.
    fn insert(&mut self, tag: u64, value: V, is: &impl Fn(&V) -> bool, level: u32) {
        match self {
            Self::Branch(branches) => {
                let branch = &mut Arc::make_mut(branches)[digit_at(tag, level)];
                branch.insert(tag, value, is, level + 1);
            }
            Self::Leaf(values) => {
                if let Some(at) = position(values, tag, is) {
                    Arc::make_mut(values)[at].1 = value;
                    return;
                }
                let (lower, higher) = values.split_at(values.partition_point(|(other, _)| *other < tag));
                let new = std::iter::once((tag, value));
                let all = lower.iter().cloned().chain(new).chain(higher.iter().cloned());
                *self = match values.len() >= LEAF_MAX && level < LEVELS {
                    true => Self::split(all, level),
                    false => Self::Leaf(all.collect()),
                };
            }
        }
    }

    /// The branch that takes the place of a leaf.
    fn split(values: impl Iterator<Item = (u64, V)>, level: u32) -> Self {
        let mut leaves: [Vec<(u64, V)>; WIDTH] = std::array::from_fn(|_| Vec::new());
        for (tag, value) in values {
            leaves[digit_at(tag, level)].push((tag, value));
        }
        Self::Branch(Arc::new(leaves.map(|values| Self::Leaf(values.into()))))
    }
}

/// Where in a leaf the value stands with this tag of which `is` holds. Tags are evenly spread, so the search begins where
/// the tag should be, and seldom leaves that piece of memory.
fn position<V>(values: &[(u64, V)], tag: u64, is: &impl Fn(&V) -> bool) -> Option<usize> {
    let guess = (u128::from(tag) * values.len() as u128) >> u64::BITS;
    let mut at = usize::try_from(guess).unwrap_or(0);
    while at > 0 && values[at - 1].0 >= tag {
        at -= 1;
    }
    while at < values.len() && values[at].0 <= tag {
        if values[at].0 == tag && is(&values[at].1) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Which branch a tag takes next, of what is left of it.
const fn digit(rest: u64) -> usize {
    (rest % WIDTH as u64) as usize
}

/// Which branch a tag takes at a level.
const fn digit_at(tag: u64, level: u32) -> usize {
    digit(tag >> (BITS * level))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Does the same to a trie and to a map of the library, and compares them.
    fn check(steps: u64, tag_of: impl Fn(u64) -> u64) {
        let (mut trie, mut model) = (Trie::default(), BTreeMap::new());
        let mut kept = Vec::new();
        let mut random = 1_u64;
        for step in 0..steps {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (random >> 33) % (steps / 2);
            let is = |entry: &(u64, u64)| entry.0 == key;
            if random.is_multiple_of(3) {
                trie.remove(tag_of(key), is);
                model.remove(&key);
            } else {
                trie.insert(tag_of(key), (key, step), is);
                model.insert(key, step);
            }
            if step % (steps / 8) == 0 {
                kept.push((trie.clone(), model.clone()));
            }
        }
        kept.push((trie, model));
        // What was kept is as it was, whatever came later.
        for (trie, model) in kept {
            let mut values: Vec<(u64, u64)> = trie.values().copied().collect();
            values.sort_unstable();
            assert_eq!(values, model.clone().into_iter().collect::<Vec<_>>());
            for key in 0..steps / 2 {
                let found = trie.get(tag_of(key), |entry| entry.0 == key).map(|entry| entry.1);
                assert_eq!(found, model.get(&key).copied(), "{key}");
            }
        }
    }

    #[test]
    fn it_holds_what_a_map_holds() {
        check(20_000, |key| key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        check(20_000, |key| key);
        // Tags that differ in their last bits only, and tags that do not differ at all.
        check(2_000, |key| key << 52);
        check(400, |_| 7);
    }
}
