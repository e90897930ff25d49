//! Repeatable chance: one seed gives the same values in the same order.

/// A small generator (SplitMix64; Steele, Lea, Flood, OOPSLA 2014). Its values look random and never repeat within a run;
/// they are no secrets, which is why a seed can be printed.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// A generator that begins at this seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// A generator for one purpose: the same seed and purpose give the same values, whatever else was drawn.
    pub fn of(seed: u64, purpose: &[u64]) -> Chance {
        let mut mixed = Chance(seed);
        for part in purpose {
            let drawn = mixed.next();
            mixed = Chance(drawn ^ part.wrapping_mul(0xd134_2543_de82_ef95));
        }
        Chance(mixed.next())
    }

    /// The next 64 bits.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends, so that an Option would only be in the way"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to one less than `bound`; 0 where the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        let drawn = self.next().checked_rem(bound).unwrap_or(0);
        usize::try_from(drawn).unwrap_or(0)
    }

    /// True in this many of a hundred draws.
    pub fn percent(&mut self, of_hundred: usize) -> bool {
        self.below(100) < of_hundred
    }

    /// The next 128 bits.
    pub fn bytes(&mut self) -> [u8; 16] {
        let drawn = (u128::from(self.next()) << 64) | u128::from(self.next());
        drawn.to_be_bytes()
    }

    /// One of these; none where there are none.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    /// Brings these into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, order: &mut [T]) {
        for last in (1..order.len()).rev() {
            order.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_purpose_give_the_same_values_and_no_others() {
        let drawn = |seed, purpose: &[u64]| Chance::of(seed, purpose).bytes();
        assert_eq!(drawn(7, &[2, 0]), drawn(7, &[2, 0]));
        for (seed, purpose) in [(8, [2, 0]), (7, [3, 0]), (7, [2, 1]), (7, [0, 2])] {
            assert_ne!(
                drawn(7, &[2, 0]),
                drawn(seed, &purpose),
                "{seed} {purpose:?}"
            );
        }
        assert_ne!(drawn(7, &[]), drawn(7, &[0]));
    }

    #[test]
    fn draws_stay_in_bounds_and_shuffling_keeps_everything() {
        let mut chance = Chance::new(1);
        assert_eq!(chance.below(0), 0);
        assert!((0..1000).all(|_| chance.below(3) < 3));
        assert!((0..1000).all(|_| !chance.percent(0) && chance.percent(100)));
        let mut order: Vec<u32> = (0..50).collect();
        chance.shuffle(&mut order);
        assert_ne!(order, (0..50).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
