//! Orders of samples. Whole numbers throughout: nanoseconds in, nanoseconds out.

/// The sample below which `per_mille` of them lie; 0 without samples.
pub(crate) fn percentile(sorted: &[u64], per_mille: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last * per_mille).div_ceil(1_000)).copied().unwrap_or(0)
}

/// The middle sample, the upper of two.
pub(crate) fn median(samples: impl IntoIterator<Item = u64>) -> u64 {
    let mut samples: Vec<u64> = samples.into_iter().collect();
    samples.sort_unstable();
    percentile(&samples, 500)
}
