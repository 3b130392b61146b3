//! How large answers were, in few bytes: counts on a logarithmic scale that follow change.

/// Sizes up to this one are not told apart.
const FIRST_EDGE: u64 = 64;
/// How many times the scale doubles: up to 2 to the 20th, and what is larger counts as that.
const OCTAVES: u64 = 14;
/// Steps to each doubling; their edges lie at 5, 6, 7 and 8 quarters of its beginning.
const STEPS: u64 = 4;
/// One for the smallest sizes, and the steps.
const PLACES: usize = 57;
/// What one sample weighs, so that halving an old count rounds off a sixteenth of a sample and not a whole one.
const WEIGHT: u16 = 16;
/// When all weighs this much it is halved: the latest 128 samples and more weigh as much as all before.
const WEIGHT_MAX: u16 = 256 * WEIGHT;

/// A sample of sizes.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    weights: [u16; PLACES],
    /// Their sum: at most [`WEIGHT_MAX`], so it always fits.
    total: u16,
    /// The place of the 95th percentile.
    high: u8,
    /// Samples so far, up to the most that a byte holds.
    samples: u8,
}

impl Histogram {
    pub(crate) const fn new() -> Self {
        Self { weights: [0; PLACES], total: 0, high: 0, samples: 0 }
    }

    pub(crate) const fn samples(&self) -> u8 {
        self.samples
    }

    pub(crate) fn learn(&mut self, size: u64) {
        if let Some(weight) = self.weights.get_mut(usize::from(place(size))) {
            *weight = weight.saturating_add(WEIGHT);
            self.total = self.total.saturating_add(WEIGHT);
        }
        if self.total >= WEIGHT_MAX {
            self.weights.iter_mut().for_each(|weight| *weight /= 2);
            self.total = self.weights.iter().copied().fold(0, u16::saturating_add);
        }
        self.samples = self.samples.saturating_add(1);
        self.high = self.find_high();
    }

    /// The 95th percentile, rounded up to the upper edge of its place.
    pub(crate) fn p95(&self) -> u64 {
        edge(self.high)
    }

    /// The first place up to which at least 95 percent lie.
    fn find_high(&self) -> u8 {
        let mut below = 0_u32;
        let enough = u32::from(self.total).saturating_mul(19);
        for (place, weight) in (0_u8..).zip(self.weights) {
            below = below.saturating_add(u32::from(weight));
            if below.saturating_mul(20) >= enough {
                return place;
            }
        }
        0
    }
}

/// Where a size counts.
fn place(size: u64) -> u8 {
    let places = 0..=u8::try_from(OCTAVES.saturating_mul(STEPS)).unwrap_or(u8::MAX);
    let last = *places.end();
    let (mut low, mut high) = (0_u8, last);
    // The first place whose edge is not below the size.
    while low < high {
        let middle = low.midpoint(high);
        if edge(middle) < size {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    low
}

/// The largest size of a place.
fn edge(place: u8) -> u64 {
    let Some(step) = u64::from(place).checked_sub(1) else { return FIRST_EDGE };
    let octave = FIRST_EDGE.checked_shl(u32::try_from(step / STEPS).unwrap_or(0)).unwrap_or(u64::MAX);
    let quarters = (step % STEPS).saturating_add(STEPS).saturating_add(1);
    (octave / STEPS).saturating_mul(quarters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_lies_below_its_edge_and_by_less_than_a_quarter() {
        assert_eq!((edge(0), edge(1), edge(4), edge(5), edge(56)), (64, 80, 128, 160, 1 << 20));
        let mut last = 0;
        for size in (0..5_000).chain((5_000..=1 << 20).step_by(97)) {
            let edge = edge(place(size));
            assert!(edge >= size && edge >= last);
            assert!(edge == 64 || (edge - size) * 4 < size, "{size} counts as {edge}");
            last = edge;
        }
        assert_eq!(usize::from(place(u64::MAX)) + 1, PLACES);
    }

    #[test]
    fn the_percentile_is_that_of_the_samples() {
        let mut histogram = Histogram::new();
        // Of 1 to 1,000, in an order that is not theirs; the 95th of each hundred, so 950 in all.
        for number in 0..1_000_u64 {
            histogram.learn(number * 389 % 1_000 + 1);
        }
        assert!((896..=1_024).contains(&histogram.p95()), "{}", histogram.p95());
    }
}
