//! A circuit breaker: closed, open, half-open with one probe. Pure: it is told the time, and how calls ended.

use super::BreakerRules;

/// What a target's calls tell about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breaker {
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Calls pass; their ends are counted in a window that began then.
    Closed { since_us: u64, failures: u32, ends: u32 },
    /// No call passes until then; the first one after it is the probe.
    Open { until_us: u64 },
    /// The probe is out. One that has told nothing by then is given up, and another one may pass.
    Probing { until_us: u64 },
}

impl Default for Phase {
    fn default() -> Self {
        Self::Closed { since_us: 0, failures: 0, ends: 0 }
    }
}

/// How a breaker looks from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Circuit {
    Closed,
    Open,
    HalfOpen,
}

impl Circuit {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl Breaker {
    pub(crate) const fn circuit(&self, now_us: u64) -> Circuit {
        match self.phase {
            Phase::Closed { .. } => Circuit::Closed,
            Phase::Open { until_us } if now_us < until_us => Circuit::Open,
            Phase::Open { .. } | Phase::Probing { .. } => Circuit::HalfOpen,
        }
    }

    /// Whether a call may pass now.
    pub(crate) const fn admits(&self, now_us: u64) -> bool {
        match self.phase {
            Phase::Closed { .. } => true,
            Phase::Open { until_us } | Phase::Probing { until_us } => now_us >= until_us,
        }
    }

    /// A call that was admitted is sent; whether it is a probe.
    pub(crate) fn begin(&mut self, rules: &BreakerRules, now_us: u64) -> bool {
        let is_probe = !matches!(self.phase, Phase::Closed { .. });
        if is_probe {
            self.phase = Phase::Probing { until_us: later(now_us, rules.open) };
        }
        is_probe
    }

    /// A probe was given up before it told anything: the next call may be one.
    pub(crate) const fn give_back(&mut self) {
        if let Phase::Probing { .. } = self.phase {
            self.phase = Phase::Probing { until_us: 0 };
        }
    }

    /// A call ended, well or not.
    pub(crate) fn end(&mut self, rules: &BreakerRules, now_us: u64, well: bool) {
        self.phase = match self.phase {
            Phase::Closed { since_us, failures, ends } => {
                let fresh = now_us >= later(since_us, rules.window);
                let (since_us, failures, ends) =
                    if fresh { (now_us, 0, 0) } else { (since_us, failures, ends) };
                let failures = failures.saturating_add(u32::from(!well));
                let ends = ends.saturating_add(1);
                if !well && failures >= rules.failures && failures.saturating_mul(2) >= ends {
                    Phase::Open { until_us: later(now_us, rules.open) }
                } else {
                    Phase::Closed { since_us, failures, ends }
                }
            }
            Phase::Probing { .. } if well => Phase::Closed { since_us: now_us, failures: 0, ends: 0 },
            Phase::Probing { .. } => Phase::Open { until_us: later(now_us, rules.open) },
            // Calls that were sent before it opened tell nothing new.
            open @ Phase::Open { .. } => open,
        };
    }
}

fn later(at_us: u64, time: std::time::Duration) -> u64 {
    at_us.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const RULES: BreakerRules =
        BreakerRules { failures: 3, window: Duration::from_micros(50), open: Duration::from_micros(30) };

    /// The same in the slowest way: everything that happened is kept, and looked through anew.
    #[derive(Default)]
    struct Naive {
        /// Ends since the window began.
        ends: Vec<(u64, bool)>,
        window_began: u64,
        opened: Option<u64>,
        probe: Option<u64>,
        /// Whether nobody waits for the probe any more.
        given_back: bool,
    }

    impl Naive {
        fn admits(&self, now: u64) -> bool {
            match (self.opened, self.probe) {
                (None, _) => true,
                (Some(opened), None) => now >= opened + 30,
                (Some(_), Some(probe)) => self.given_back || now >= probe + 30,
            }
        }

        fn begin(&mut self, now: u64) {
            if self.opened.is_some() {
                (self.probe, self.given_back) = (Some(now), false);
            }
        }

        fn give_back(&mut self) {
            self.given_back |= self.probe.is_some();
        }

        fn end(&mut self, now: u64, well: bool) {
            if self.opened.is_some() {
                if self.probe.take().is_some() {
                    self.opened = (!well).then_some(now);
                    (self.ends, self.window_began) = (Vec::new(), now);
                }
                return;
            }
            if now >= self.window_began + 50 {
                (self.ends, self.window_began) = (Vec::new(), now);
            }
            self.ends.push((now, well));
            let failed = self.ends.iter().filter(|(_, well)| !well).count();
            if !well && failed >= 3 && failed * 2 >= self.ends.len() {
                self.opened = Some(now);
            }
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Pass(u64),
        Begin,
        End(bool),
        GiveBack,
    }

    proptest! {
        #[test]
        fn it_is_the_naive_one(steps in prop::collection::vec(
            prop_oneof![
                (0_u64..40).prop_map(Step::Pass),
                Just(Step::Begin),
                (0_u8..3).prop_map(|word| Step::End(word == 0)),
                Just(Step::GiveBack),
            ],
            0..200,
        )) {
            let (mut breaker, mut naive, mut now) = (Breaker::default(), Naive::default(), 0);
            for step in steps {
                match step {
                    Step::Pass(time) => now += time,
                    Step::Begin if breaker.admits(now) => {
                        breaker.begin(&RULES, now);
                        naive.begin(now);
                        // While the probe is out, and for as long as it is waited for, no other call passes.
                        prop_assert!(breaker.circuit(now) == Circuit::Closed || !breaker.admits(now));
                    }
                    Step::Begin => {}
                    Step::End(well) => {
                        breaker.end(&RULES, now, well);
                        naive.end(now, well);
                    }
                    Step::GiveBack => {
                        breaker.give_back();
                        naive.give_back();
                    }
                }
                prop_assert_eq!(breaker.admits(now), naive.admits(now));
                prop_assert_eq!(breaker.circuit(now) == Circuit::Closed, naive.opened.is_none());
            }
        }
    }
}
