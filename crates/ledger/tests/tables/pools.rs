//! Pools: what they pay for before money does, what is counted on, what strict ones give out.

use crate::play::check;

#[test]
fn a_pool_pays_first_and_whoever_ends_first() {
    check(
        "first units, then money",
        "100 | grant 1 prepaid 100 | granted | 100 0 0 | 1:100/0/0 | grant 1 to 1:100
         100 | hold 1 10 cover t/7 ceiling 10*1000 | held 17 | 100 10 0 | 1:100/0/0 |  | t:0/7
         100 | hold 2 10 cover t/7 ceiling 10*1000 | held 10 | 100 20 0 | 1:100/0/0 |  | t:0/7
         100 | hold 3 10 cover t/9 ceiling 1*4000+10*1000 | held 15 | 100 30 0 | 1:100/0/0 |  | t:0/9
         100 | settle 2 6&t/7:6*1000 | paid t:6 | 100 20 0 | 1:100/0/0 | settle 2 | t:6/9
         100 | settle 1 10501p=11&t/7:10*1000 | paid 1:10 t:1 | 90 10 0 | 1:90/10/0 | settle 1 1:10 | t:7/2
         100 | settle 3 9&t/9:1*4000+2*1500+4*500 | paid 1:4 t:2 | 86 0 0 | 1:86/14/0 | settle 3 1:4 | t:9/0
         100 | hold 4 3 cover t@1d/2 ceiling 2*999 | held 5 | 86 3 0 | 1:86/14/0 |  | t:9/0 t@1d:0/2
         100 | settle 4 3&t@1d/2:1*0+1*1+5*400 0&t/5:1*0 | paid 1:3 t:2 t:0 | 83 0 0 | 1:83/17/0 | settle 4 1:3 | t:9/0 t@1d:2/0",
    );
}

#[test]
fn what_a_pool_will_pay_for_is_not_needed_in_money() {
    check(
        "need",
        "100 | hold 1 1 cover t/3 ceiling 3*333 | held 1 | 0 0 0 |  |  | t:0/3
         100 | hold 2 1 cover t/5 ceiling 3*333 | short 0 of 1
         100 | hold 2 1 cover t/5 ceiling 2*500 | held 1 | 0 0 0 |  |  | t:0/5
         100 | hold 3 1 | short 0 of 1
         100 | settle 1 2 | paid owes 2 | 0 0 2 |  | settle 1 owes 2; told 1 owes 2 | t:0/2
         100 | hold 3 1 cover t/2 ceiling 1*1000 | in debt 2
         100 | hold 3 1 cover t/3 ceiling 1*1000 | held 1 | 0 0 2 |  |  | t:0/3
         100 | extend 3 2 ceiling 2*1000 | in debt 2
         100 | extend 3 0 pico 1000 consumed 1*1001 | invalid cover
         100 | extend 3 0 pico 1000 consumed 1*1000 ceiling 1*-1 | invalid ceiling
         100 | extend 3 0 pico 1000 consumed 1*1000 ceiling 1*1 | extended 1
         100 | sweep 0 never | swept 2 | 0 0 2 |  | settle 2; settle 3; told 2 timed out 0; told 3 timed out 0 | t:1/0
         100 | hold 4 max cover t/max ceiling 1*max+max*max | held 9223372036854775807 | 0 0 2 |  |  | t:1/18446744073709551614
         100 | settle 4 0 | paid | 0 0 2 |  | settle 4 | t:1/0",
    );
}

#[test]
fn a_budget_has_room_for_what_is_needed_in_money() {
    check(
        "a budget beside a pool",
        "100 | grant 1 prepaid 100 | granted | 100 0 0 | 1:100/0/0 | grant 1 to 1:100
         100 | budget 1 organization total cost 9 | set | 100 0 0 | 1:100/0/0 |  |
         100 | hold 1 20 cover t/10 ceiling 20*1000 | budget 1 cost 0+10>9
         100 | hold 1 20 cover t/12 ceiling 20*1000 | held 21 | 100 9 0 | 1:100/0/0 |  | 1:0/9/0/0/1/0 | t:0/12
         100 | extend 1 10 | budget 1 cost 9+1>9
         100 | extend 1 22 ceiling 22*1000 | budget 1 cost 9+1>9
         100 | extend 1 22 least 21 ceiling 22*1000 | extended 21 | 100 9 0 | 1:100/0/0 |  | 1:0/9/0/0/1/0 | t:0/12
         100 | settle 1 20&t/12:20*1000 | paid 1:8 t:12 | 92 0 0 | 1:92/8/0 | settle 1 1:8 | 1:8/0/0/0/1/0 | t:12/0
         100 | hold 2 3 cover t/14 ceiling 2*1000 | held 3 | 92 1 0 | 1:92/8/0 |  | 1:8/1/0/0/2/0 | t:12/2
         100 | settle 2 0 | paid | 92 0 0 | 1:92/8/0 | settle 2 | 1:8/0/0/0/2/0 | t:12/0",
    );
}

#[test]
fn a_hold_counts_on_the_pool_of_its_present_attempt() {
    check(
        "from pool to pool",
        "100 | grant 1 prepaid 50 | granted | 50 0 0 | 1:50/0/0 | grant 1 to 1:50
         100 | hold 1 5 cover a/9 ceiling 5*1000 | held 10 | 50 5 0 | 1:50/0/0 |  | a:0/5
         100 | extend 1 14 ceiling 10*1000 | extended 23 | 50 14 0 | 1:50/0/0 |  | a:0/9
         100 | extend 1 14 ceiling 10*1000 | extended 23 | 50 14 0 | 1:50/0/0 |  | a:0/9
         100 | extend 1 0 ceiling 3*1000 | extended 17 | 50 14 0 | 1:50/0/0 |  | a:0/3
         100 | extend 1 15 next 2 cover a/10 ceiling 12*1000 | extended 25 | 50 15 0 | 1:50/0/0 |  | a:0/10
         100 | extend 1 0 next 3 cover b/4 ceiling 6*1000 | extended 19 | 50 15 0 | 1:50/0/0 |  | a:0/0 b:0/4
         100 | extend 1 0 next 3 cover a@1d/4 ceiling 3*1000 | extended 18 | 50 15 0 | 1:50/0/0 |  | a:0/0 a@1d:0/3 b:0/0
         100 | extend 1 0 next 3 ceiling 3*1000 | extended 15 | 50 15 0 | 1:50/0/0 |  | a:0/0 a@1d:0/0 b:0/0
         100 | extend 1 0 next 4 cover a/10:1*0 ceiling 4*1000 | extended 19 | 50 15 0 | 1:50/0/0 |  | a:0/4 a@1d:0/0 b:0/0
         100 | settle 1 3&a/9:3*1000 4&b/2:4*1000 0 1&a/4:4*250 | paid 1:3 a:3 b:2 a:1 | 47 0 0 | 1:47/3/0 | settle 1 1:3 | a:4/0 a@1d:0/0 b:2/0",
    );
}

#[test]
fn who_leaves_a_pool_needs_no_more_than_it_lacks() {
    check(
        "from a pool to money",
        "100 | grant 1 prepaid 10 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | hold 1 10 cover t/50 ceiling 10*1000 | held 20 | 10 10 0 | 1:10/0/0 |  | t:0/10
         100 | extend 1 11 next 2 | short 0 of 1
         100 | extend 1 10 next 2 | extended 10 | 10 10 0 | 1:10/0/0 |  | t:0/0
         100 | extend 1 10 next 2 cover t/8 ceiling 10*1000 | extended 18 | 10 10 0 | 1:10/0/0 |  | t:0/8
         100 | settle 1 0 | paid | 10 0 0 | 1:10/0/0 | settle 1 | t:0/0
         100 | hold 2 9 least 4 cover u/0 ceiling 9*1000 | held 9 | 10 9 0 | 1:10/0/0 |  | t:0/0
         100 | extend 2 20 least 11 | short 1 of 2
         100 | extend 2 20 least 10 next 1 cover u/0 ceiling 10*1000 | extended 10 | 10 10 0 | 1:10/0/0 |  | t:0/0
         100 | settle 2 0 | paid | 10 0 0 | 1:10/0/0 | settle 2 | t:0/0",
    );
    check(
        "to other wallets",
        "100 | grant 1 prepaid 10 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | wallet 2 models big | opened
         100 | grant 2 prepaid 7 in 2 | granted | 10 0 0, 2: 7 0 0 | 1:10/0/0 2@2:7/0/0 | grant 2@2 to 2:7
         100 | budget 1 organization total cost 16 | set | 10 0 0, 2: 7 0 0 | 1:10/0/0 2@2:7/0/0 |  |
         100 | hold 1 5 cover t/50 ceiling 5*1000 | held 10 | 10 5 0, 2: 7 0 0 | 1:10/0/0 2@2:7/0/0 |  | 1:0/5/0/0/1/0 | t:0/5
         100 | extend 1 17 next 2 model big | budget 1 cost 5+12>16
         100 | extend 1 17 least 4 next 2 model big | extended 16 | 10 9 0, 2: 7 7 0 | 1:10/0/0 2@2:7/0/0 |  | 1:0/16/0/0/1/0 | t:0/0
         100 | unbudget 1 | removed | 10 9 0, 2: 7 7 0 | 1:10/0/0 2@2:7/0/0 |  | t:0/0
         100 | extend 1 18 next 2 model big | short 1 of 2
         100 | extend 1 18 next 3 | short 10 of 18
         100 | grant 3 prepaid 6 | granted | 16 9 0, 2: 7 7 0 | 1:10/0/0 2@2:7/0/0 3:6/0/0 | grant 3 to 3:6 | t:0/0
         100 | extend 1 20 least 3 next 3 | extended 16 | 16 16 0, 2: 7 0 0 | 1:10/0/0 2@2:7/0/0 3:6/0/0 |  | t:0/0",
    );
}

#[test]
fn a_strict_pool_takes_when_an_attempt_begins() {
    check(
        "strict",
        "100 | hold 1 0 cover s/3!:1*0 ceiling 1*5 | held 0 | 0 0 0 |  |  | s:1/0
         100 | hold 2 0 cover s/3!:3*0 | s used up: 1 of 3
         100 | hold 2 0 cover s/3!:2*0 | held 0 | 0 0 0 |  |  | s:3/0
         100 | extend 1 0 next 2 cover s/3!:1*0 | s used up: 3 of 3
         100 | extend 1 0 next 1 cover s/3!:2*0 | s used up: 3 of 3
         100 | extend 1 0 next 1 cover r/1!:1*0 | extended 0 | 0 0 0 |  |  | r:1/0 s:2/0
         100 | extend 1 0 next 2 cover s/3!:1*0 | extended 0 | 0 0 0 |  |  | r:1/0 s:3/0
         100 | extend 1 0 pico 7000 consumed 9*0 | extended 0
         100 | settle 2 2&s/3!:1*1500 | paid owes 1 s:1 | 0 0 1 |  | settle 2 owes 1; told 2 owes 1 | r:1/0 s:2/0
         100 | sweep 0 never | swept 1 | 0 0 8 |  | settle 1 owes 7; told 1 owes 7; told 1 timed out 7 | r:1/0 s:2/0
         100 | hold 3 0 cover s/2!:0*0 | held 0 | 0 0 8 |  |  | r:1/0 s:2/0
         100 | settle 3 0&s/9!:max*0+1*0 0&s/9!:max*0 | paid s:18446744073709551615 s:18446744073709551615 | 0 0 8 |  | settle 3 | r:1/0 s:18446744073709551615/0",
    );
}

#[test]
fn a_pool_may_change_its_terms_while_a_call_runs() {
    check(
        "strict first, and then not; and the other way round",
        "100 | grant 1 prepaid 50 | granted | 50 0 0 | 1:50/0/0 | grant 1 to 1:50
         100 | hold 1 5 cover s/2!:2*0 | held 5 | 50 5 0 | 1:50/0/0 |  | s:2/0
         100 | settle 1 3&s/2:3*1000 | paid 1:1 s:2 | 49 0 0 | 1:49/1/0 | settle 1 1:1 | s:2/0
         100 | hold 2 5 cover s/5 ceiling 5*1000 | held 8 | 49 5 0 | 1:49/1/0 |  | s:2/3
         100 | settle 2 1&s/5!:2*500 4&s/5:4*1000 0&s/5!:1*0 | paid 1:3 s:2 s:1 s:1 | 46 0 0 | 1:46/4/0 | settle 2 1:3 | s:6/0",
    );
}

#[test]
fn grants_alone_are_there_where_that_is_said() {
    check(
        "grants only",
        "100 | grant 1 prepaid 50 | granted | 50 0 0 | 1:50/0/0 | grant 1 to 1:50
         100 | hold 1 1 grants | short 0 of 1
         100 | hold 1 4 least 0 grants | held 0 | 50 0 0 | 1:50/0/0 |
         100 | grant 2 promo 20 | granted | 70 0 0 | 1:50/0/0 2:20/0/0 | grant 2 to 2:20
         100 | hold 2 6 | held 6 | 70 6 0 | 1:50/0/0 2:20/0/0 |
         100 | extend 1 15 grants | short 14 of 15
         100 | extend 1 15 ceiling 1*1000 grants | short 14 of 15
         100 | extend 1 14 grants | extended 14 | 70 20 0 | 1:50/0/0 2:20/0/0 |
         100 | hold 3 30 least 1 grants | short 0 of 1
         100 | hold 3 30 least 1 | held 30 | 70 50 0 | 1:50/0/0 2:20/0/0 |
         100 | hold 4 5 least 5 cover t/9 ceiling 5*1000 grants | held 5 | 70 50 0 | 1:50/0/0 2:20/0/0 |  | t:0/5
         200 | settle 2 1 | paid 2:1 | 69 44 0 | 1:50/0/0 2:19/1/0 | settle 2 2:1 | t:0/5
         200 | wallet 2 models big | opened
         200 | extend 1 0 next 2 model big grants | short 0 of 14 | 69 44 0 | 1:50/0/0 2:19/1/0 |  | t:0/5
         200 | settle 3 0 | paid | 69 14 0 | 1:50/0/0 2:19/1/0 | settle 3 | t:0/5
         200 | extend 1 0 next 2 model big grants | extended 14
         200 | settle 1 0 14 | paid 2:14 | 55 0 0 | 1:50/0/0 2:5/15/0 | settle 1 2:14 | t:0/5",
    );
}

#[test]
fn a_hold_that_moves_takes_its_grace_along() {
    check(
        "grace that moves",
        "100 | grant 1 prepaid 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | wallet 2 models big | opened
         100 | hold 1 7 | held 7 | 10 7 0 | 1:10/0/0 |
         200 | extend 1 0 next 2 model big | extended 7 | 7 7 0 | 1:7/0/3 | expire 1:3
         200 | settle 1 0 5 | paid 1:5 | 0 0 0 | 1:0/5/5 | settle 1 1:5; expire 1:2",
    );
}
