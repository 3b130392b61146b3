//! The `sim` command.
use tollkeeper_sim::{run::Depth, seed::{self, Plan}};
fn main() {
    let a: Vec<u64> = std::env::args().skip(1).map(|x| x.parse().unwrap()).collect();
    let t = std::time::Instant::now();
    let mut tally = tollkeeper_sim::tally::Tally::default();
    let mut bad = 0;
    for s in a[0]..a[1] {
        match seed::run(Plan { seed: s, steps: a[2] as usize, depth: Depth { every: a[3] }, twist: None }) {
            Ok(t) => tally.merge(&t),
            Err(v) => { bad += 1; println!("seed {s} step {}: {}", v.step, v.what.chars().take(3000).collect::<String>()); if bad >= a[4] { break } }
        }
    }
    if bad == 0 { println!("{tally}") } println!("missing {} bad {bad} {:?}", tally.missing().len(), t.elapsed());
}
