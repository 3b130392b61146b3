//! Pools: what they pay for before money does, what is counted on, what strict ones give out.

use crate::play::check;

#[test]
fn a_hold_that_moves_takes_its_grace_along() {
    check(
        "grace that moves",
        "100 | grant 1 prepaid 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | wallet 2 models big | opened
         100 | hold 1 7 | held 7 | 10 7 0 | 1:10/0/0 |
         200 | extend 1 0 next 2 model big | extended | 7 7 0 | 1:7/0/3 | expire 1:3
         200 | settle 1 0 5 | paid 1:5 | 0 0 0 | 1:0/5/5 | settle 1 1:5; expire 1:2",
    );
}
