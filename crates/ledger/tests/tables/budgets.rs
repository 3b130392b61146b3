//! Budgets: thresholds, the order of refusal, rooms, periods.

use crate::play::check;

#[test]
fn each_threshold_is_told_once_a_period() {
    check(
        "thresholds",
        "100 | grant 1 prepaid 1000 | granted | 1000 0 0 | 1:1000/0/0 | grant 1 to 1:1000
         100 | budget 1 organization daily cost 100 at 50,80,100 | set | 1000 0 0 | 1:1000/0/0 |  |
         100 | hold 1 60 | held 60 | 1000 60 0 | 1:1000/0/0 |  | 1@0:0/60/0/0/1/0
         100 | settle 1 49 | paid 1:49 | 951 0 0 | 1:951/49/0 | settle 1 1:49 | 1@0:49/0/0/0/1/0
         100 | hold 2 1 | held 1 | 951 1 0 | 1:951/49/0 |  | 1@0:49/1/0/0/2/0
         100 | settle 2 1 | paid 1:1 | 950 0 0 | 1:950/50/0 | settle 2 1:1; told 1@0 50%: 50 of 100 | 1@0:50/0/0/0/2/50
         100 | hold 3 1 | held 1 | 950 1 0 | 1:950/50/0 |  | 1@0:50/1/0/0/3/50
         100 | settle 3 1 | paid 1:1 | 949 0 0 | 1:949/51/0 | settle 3 1:1 | 1@0:51/0/0/0/3/50
         100 | hold 4 49 | held 49 | 949 49 0 | 1:949/51/0 |  | 1@0:51/49/0/0/4/50
         100 | settle 4 29 | paid 1:29 | 920 0 0 | 1:920/80/0 | settle 4 1:29; told 1@0 80%: 80 of 100 | 1@0:80/0/0/0/4/80
         100 | hold 5 20 | held 20 | 920 20 0 | 1:920/80/0 |  | 1@0:80/20/0/0/5/80
         100 | settle 5 20 | paid 1:20 | 900 0 0 | 1:900/100/0 | settle 5 1:20; told 1@0 100%: 100 of 100 | 1@0:100/0/0/0/5/100
         100 | hold 6 1 | budget 1 cost 100+1>100 until 1d
         1d | hold 6 60 | held 60 | 900 60 0 | 1:900/100/0 |  | 1@0:100/0/0/0/5/100 1@1d:0/60/0/0/1/0
         1d | settle 6 95 | paid 1:95 | 805 0 0 | 1:805/195/0 | settle 6 1:95; told 1@1d 80%: 95 of 100 | 1@0:100/0/0/0/5/100 1@1d:95/0/0/0/1/80
         1d | budget 1 organization daily cost 100 soft at 10,96 | set
         1d | hold 7 90 | held 90 | 805 90 0 | 1:805/195/0 |  | 1@0:100/0/0/0/5/100 1@1d:95/90/0/0/2/80
         1d | settle 7 1 | paid 1:1 | 804 0 0 | 1:804/196/0 | settle 7 1:1; told 1@1d 96%: 96 of 100 | 1@0:100/0/0/0/5/100 1@1d:96/0/0/0/2/96
         1d | budget 1 organization daily cost 1000 soft at 10,20 | set
         1d | hold 8 200 | held 200 | 804 200 0 | 1:804/196/0 |  | 1@0:100/0/0/0/5/100 1@1d:96/200/0/0/3/96
         1d | settle 8 200 | paid 1:200 | 604 0 0 | 1:604/396/0 | settle 8 1:200 | 1@0:100/0/0/0/5/100 1@1d:296/0/0/0/3/96",
    );
}

#[test]
fn tokens_and_steps_reach_thresholds_too() {
    check(
        "thresholds of counts",
        "100 | budget 1 user total tokens 100 steps 4 soft at 25,50,100 | set | 0 0 0 |  |  |
         100 | hold 1 0 user a tokens 500 | held 0 | 0 0 0 |  | told 1[a] 25%: 0 | 1[a]:0/0/0/500/1/25
         100 | hold 2 0 user b | held 0 | 0 0 0 |  | told 1[b] 25%: 0 | 1[a]:0/0/0/500/1/25 1[b]:0/0/0/0/1/25
         100 | hold 3 0 | held 0
         100 | settle 1 0t49 | paid | 0 0 0 |  | settle 1 | 1[a]:0/0/49/0/1/25 1[b]:0/0/0/0/1/25
         100 | hold 4 0 user a | held 0 | 0 0 0 |  | told 1[a] 50%: 0 | 1[a]:0/0/49/0/2/50 1[b]:0/0/0/0/1/25
         100 | settle 4 0t49 | paid | 0 0 0 |  | settle 4 | 1[a]:0/0/98/0/2/50 1[b]:0/0/0/0/1/25
         100 | settle 2 0t100 | paid | 0 0 0 |  | settle 2; told 1[b] 100%: 0 | 1[a]:0/0/98/0/2/50 1[b]:0/0/100/0/1/100
         100 | budget 2 organization total cost 0 soft at 1,99 | set | 0 0 0 |  | told 2 99%: 0 of 0 | 1[a]:0/0/98/0/2/50 1[b]:0/0/100/0/1/100 2:0/0/198/0/4/99
         100 | hold 5 0 | held 0 | 0 0 0 |  |  | 1[a]:0/0/98/0/2/50 1[b]:0/0/100/0/1/100 2:0/0/198/0/5/99
         100 | hold 6 0 | held 0 | 0 0 0 |  |  | 1[a]:0/0/98/0/2/50 1[b]:0/0/100/0/1/100 2:0/0/198/0/6/99",
    );
}

#[test]
fn the_first_budget_in_order_refuses_whenever_it_was_made() {
    check(
        "budget order",
        "100 | grant 1 prepaid 1000 | granted | 1000 0 0 | 1:1000/0/0 | grant 1 to 1:1000
         100 | budget 5 user total cost 10 | set | 1000 0 0 | 1:1000/0/0 |  |
         100 | hold 1 10 user a | held 10 | 1000 10 0 | 1:1000/0/0 |  | 5[a]:0/10/0/0/1/0
         100 | budget 6 organization total cost 10 | set | 1000 10 0 | 1:1000/0/0 |  | 5[a]:0/10/0/0/1/0 6:0/10/0/0/1/0
         100 | extend 1 11 | budget 6 cost 10+1>10
         100 | budget 4 user=a total cost 10 | set | 1000 10 0 | 1:1000/0/0 |  | 4[a]:0/10/0/0/1/0 5[a]:0/10/0/0/1/0 6:0/10/0/0/1/0
         100 | budget 3 user total cost 10 | set | 1000 10 0 | 1:1000/0/0 |  | 3[a]:0/10/0/0/1/0 4[a]:0/10/0/0/1/0 5[a]:0/10/0/0/1/0 6:0/10/0/0/1/0
         100 | extend 1 11 | budget 6 cost 10+1>10
         100 | unbudget 6 | removed | 1000 10 0 | 1:1000/0/0 |  | 3[a]:0/10/0/0/1/0 4[a]:0/10/0/0/1/0 5[a]:0/10/0/0/1/0
         100 | extend 1 11 | budget 3[a] cost 10+1>10
         100 | unbudget 3 | removed | 1000 10 0 | 1:1000/0/0 |  | 4[a]:0/10/0/0/1/0 5[a]:0/10/0/0/1/0
         100 | extend 1 11 | budget 5[a] cost 10+1>10
         100 | unbudget 5 | removed | 1000 10 0 | 1:1000/0/0 |  | 4[a]:0/10/0/0/1/0
         100 | extend 1 11 | budget 4[a] cost 10+1>10
         100 | unbudget 4 | removed | 1000 10 0 | 1:1000/0/0 |
         100 | extend 1 11 | extended 11 | 1000 11 0 | 1:1000/0/0 |",
    );
}

#[test]
fn a_hold_fits_into_the_least_room_of_its_budgets() {
    check(
        "budget room",
        "100 | grant 1 prepaid 100 | granted | 100 0 0 | 1:100/0/0 | grant 1 to 1:100
         100 | budget 1 organization total cost 50 | set | 100 0 0 | 1:100/0/0 |  |
         100 | budget 2 user total cost 30 tokens 10 steps 2 | set
         100 | hold 1 60 least 20 user a tokens 10 | held 30 | 100 30 0 | 1:100/0/0 |  | 1:0/30/0/10/1/0 2[a]:0/30/0/10/1/0
         100 | hold 2 30 least 21 user b | budget 1 cost 30+21>50
         100 | hold 2 30 least 20 user b | held 20 | 100 50 0 | 1:100/0/0 |  | 1:0/50/0/10/2/0 2[a]:0/30/0/10/1/0 2[b]:0/20/0/0/1/0
         100 | hold 3 1 user c | budget 1 cost 50+1>50
         100 | hold 3 1 least 0 user c | held 0 | 100 50 0 | 1:100/0/0 |  | 1:0/50/0/10/3/0 2[a]:0/30/0/10/1/0 2[b]:0/20/0/0/1/0 2[c]:0/0/0/0/1/0
         100 | hold 4 0 user a tokens 1 | budget 2[a] tokens 10+1>10
         100 | extend 2 21 | budget 1 cost 50+1>50
         100 | settle 1 5t8 | paid 1:5 | 95 20 0 | 1:95/5/0 | settle 1 1:5 | 1:5/20/8/0/3/0 2[a]:5/0/8/0/1/0 2[b]:0/20/0/0/1/0 2[c]:0/0/0/0/1/0
         100 | hold 5 0 user a tokens 3 | budget 2[a] tokens 8+3>10
         100 | hold 5 10 user a tokens 2 | held 10 | 95 30 0 | 1:95/5/0 |  | 1:5/30/8/2/4/0 2[a]:5/10/8/2/2/0 2[b]:0/20/0/0/1/0 2[c]:0/0/0/0/1/0
         100 | hold 6 0 user a | budget 2[a] steps 2+1>2
         100 | extend 5 25 tokens 0 | extended 25 | 95 45 0 | 1:95/5/0 |  | 1:5/45/8/2/4/0 2[a]:5/25/8/2/2/0 2[b]:0/20/0/0/1/0 2[c]:0/0/0/0/1/0
         100 | extend 5 41 tokens 3 | budget 1 cost 50+16>50
         100 | extend 5 0 tokens 3 | budget 2[a] tokens 10+1>10
         100 | budget 2 user total cost 30 tokens 11 steps 2 | set
         100 | extend 5 0 tokens 3 | extended 25 | 95 45 0 | 1:95/5/0 |  | 1:5/45/8/3/4/0 2[a]:5/25/8/3/2/0 2[b]:0/20/0/0/1/0 2[c]:0/0/0/0/1/0
         100 | extend 5 25 tokens 3 | extended 25
         100 | extend 5 60 least 25 tokens 1 | extended 25
         100 | settle 5 40t1 | paid 1:40 | 55 20 0 | 1:55/45/0 | settle 5 1:40 | 1:45/20/9/0/4/0 2[a]:45/0/9/0/2/0 2[b]:0/20/0/0/1/0 2[c]:0/0/0/0/1/0
         100 | hold 7 1 user b | budget 1 cost 65+1>50
         100 | unbudget 1 | removed | 55 20 0 | 1:55/45/0 |  | 2[a]:45/0/9/0/2/0 2[b]:0/20/0/0/1/0 2[c]:0/0/0/0/1/0
         100 | hold 7 31 user c | budget 2[c] cost 0+31>30
         100 | hold 7 30 user c | held 30 | 55 50 0 | 1:55/45/0 |  | 2[a]:45/0/9/0/2/0 2[b]:0/20/0/0/1/0 2[c]:0/30/0/0/2/0
         100 | settle 7 0 | paid | 55 20 0 | 1:55/45/0 | settle 7 | 2[a]:45/0/9/0/2/0 2[b]:0/20/0/0/1/0 2[c]:0/0/0/0/2/0",
    );
}

#[test]
fn a_call_counts_in_the_period_in_which_it_was_held() {
    check(
        "budget periods",
        "100 | grant 1 prepaid 1000 | granted | 1000 0 0 | 1:1000/0/0 | grant 1 to 1:1000
         100 | budget 1 organization daily cost 100 | set | 1000 0 0 | 1:1000/0/0 |  |
         100 | hold 1 50 | held 50 | 1000 50 0 | 1:1000/0/0 |  | 1@0:0/50/0/0/1/0
         1d | hold 2 100 | held 100 | 1000 150 0 | 1:1000/0/0 |  | 1@0:0/50/0/0/1/0 1@1d:0/100/0/0/1/0
         1d | settle 2 90 | paid 1:90 | 910 50 0 | 1:910/90/0 | settle 2 1:90 | 1@0:0/50/0/0/1/0 1@1d:90/0/0/0/1/0
         1d | extend 1 101 | budget 1 cost 50+51>100 until 1d
         1d | extend 1 80 | extended 80 | 910 80 0 | 1:910/90/0 |  | 1@0:0/80/0/0/1/0 1@1d:90/0/0/0/1/0
         1d | settle 1 70 | paid 1:70 | 840 0 0 | 1:840/160/0 | settle 1 1:70 | 1@0:70/0/0/0/1/0 1@1d:90/0/0/0/1/0
         1d | hold 3 11 | budget 1 cost 90+11>100 until 2d
         200 | hold 3 31 | budget 1 cost 70+31>100 until 1d
         200 | hold 3 30 | held 30 | 840 30 0 | 1:840/160/0 |  | 1@0:70/30/0/0/2/0 1@1d:90/0/0/0/1/0
         2d | budget 2 organization weekly cost 100 | set | 840 30 0 | 1:840/160/0 |  | 1@0:70/30/0/0/2/0 1@1d:90/0/0/0/1/0 2@-3d:160/30/0/0/3/0
         2d | hold 4 100 | budget 2 cost 190+100>100 until 4d
         4d | hold 5 1 | held 1 | 840 31 0 | 1:840/160/0 |  | 1@0:70/30/0/0/2/0 1@1d:90/0/0/0/1/0 1@4d:0/1/0/0/1/0 2@-3d:160/30/0/0/3/0 2@4d:0/1/0/0/1/0",
    );
}

#[test]
fn a_new_budget_counts_what_the_period_has_seen() {
    check(
        "a budget in mid-period",
        "100 | grant 1 prepaid 1000 | granted | 1000 0 0 | 1:1000/0/0 | grant 1 to 1:1000
         100 | hold 1 10 user a | held 10 | 1000 10 0 | 1:1000/0/0 |
         100 | settle 1 10t5 7t3 | paid 1:17 | 983 0 0 | 1:983/17/0 | settle 1 1:17
         1d | hold 2 10 user a tokens 6 | held 10 | 983 10 0 | 1:983/17/0 |
         1d | hold 3 10 user b | held 10 | 983 20 0 | 1:983/17/0 |
         1d | hold 4 20 user a tokens 4 | held 20 | 983 40 0 | 1:983/17/0 |
         1d | settle 4 5t2 3t9 | paid 1:8 | 975 20 0 | 1:975/25/0 | settle 4 1:8
         1d | extend 2 15 tokens 8 | extended 15 | 975 25 0 | 1:975/25/0 |
         2d | hold 5 40 user a | held 40 | 975 65 0 | 1:975/25/0 |
         2d | settle 5 30t7 | paid 1:30 | 945 25 0 | 1:945/55/0 | settle 5 1:30
         2d | hold 6 4 user a | held 4 | 945 29 0 | 1:945/55/0 |
         2d | budget 1 user daily cost 100 at 10,30 | set | 945 29 0 | 1:945/55/0 | told 1[a]@2d 30%: 30 of 100 | 1[a]@1d:0/15/0/8/1/0 1[a]@2d:30/4/7/0/2/30 1[b]@1d:0/10/0/0/1/0
         2d | budget 2 user daily tokens 20 steps 4 at 25,30,50,90 | set | 945 29 0 | 1:945/55/0 | told 2[a]@1d 25%: 0; told 2[a]@2d 50%: 30; told 2[b]@1d 25%: 0 | 1[a]@1d:0/15/0/8/1/0 1[a]@2d:30/4/7/0/2/30 1[b]@1d:0/10/0/0/1/0 2[a]@1d:0/15/0/8/1/25 2[a]@2d:30/4/7/0/2/50 2[b]@1d:0/10/0/0/1/25
         2d | budget 3 user=a total cost 74 | set | 945 29 0 | 1:945/55/0 |  | 1[a]@1d:0/15/0/8/1/0 1[a]@2d:30/4/7/0/2/30 1[b]@1d:0/10/0/0/1/0 2[a]@1d:0/15/0/8/1/25 2[a]@2d:30/4/7/0/2/50 2[b]@1d:0/10/0/0/1/25 3[a]:55/19/26/8/5/0
         2d | hold 7 1 user a | budget 3[a] cost 74+1>74
         2d | settle 2 1 | paid 1:1 | 944 14 0 | 1:944/56/0 | settle 2 1:1 | 1[a]@1d:1/0/0/0/1/0 1[a]@2d:30/4/7/0/2/30 1[b]@1d:0/10/0/0/1/0 2[a]@1d:1/0/0/0/1/25 2[a]@2d:30/4/7/0/2/50 2[b]@1d:0/10/0/0/1/25 3[a]:56/4/26/0/5/0
         2d | extend 7 60 | the hold has ended or never was
         2d | extend 7 10 | the hold has ended or never was
         2d | settle 3 9 | paid 1:9 | 935 4 0 | 1:935/65/0 | settle 3 1:9 | 1[a]@1d:1/0/0/0/1/0 1[a]@2d:30/4/7/0/2/30 1[b]@1d:9/0/0/0/1/0 2[a]@1d:1/0/0/0/1/25 2[a]@2d:30/4/7/0/2/50 2[b]@1d:9/0/0/0/1/25 3[a]:56/4/26/0/5/0
         2d | budget 3 user=a total cost 200 at 20,30 | set
         2d | budget 3 user=b total cost 200 | invalid budget
         2d | unbudget 3 | removed | 935 4 0 | 1:935/65/0 |  | 1[a]@1d:1/0/0/0/1/0 1[a]@2d:30/4/7/0/2/30 1[b]@1d:9/0/0/0/1/0 2[a]@1d:1/0/0/0/1/25 2[a]@2d:30/4/7/0/2/50 2[b]@1d:9/0/0/0/1/25
         2d | budget 3 user=a total cost 200 | this id exists already
         2d | settle 7 14 | the hold has ended or never was",
    );
}

#[test]
fn tokens_that_do_not_fit_are_not_reserved() {
    check(
        "tokens",
        "100 | budget 1 organization total cost 100 | set | 0 0 0 |  |  |
         100 | hold 1 0 tokens max | held 0 | 0 0 0 |  |  | 1:0/0/0/18446744073709551615/1/0
         100 | hold 2 0 tokens 1 | amount out of range
         100 | hold 2 0 | held 0 | 0 0 0 |  |  | 1:0/0/0/18446744073709551615/2/0
         100 | extend 2 0 tokens 1 | amount out of range
         100 | unbudget 1 | removed | 0 0 0 |  |
         100 | hold 3 0 tokens 1 | held 0
         100 | extend 3 0 tokens max | extended 0
         100 | budget 2 organization total cost 100 | amount out of range
         100 | settle 1 0tmax | paid | 0 0 0 |  | settle 1
         100 | settle 2 0t5 | paid | 0 0 0 |  | settle 2
         100 | budget 2 organization total cost 100 | set | 0 0 0 |  |  | 2:0/0/18446744073709551615/18446744073709551615/3/0
         100 | settle 3 0t9 | paid | 0 0 0 |  | settle 3 | 2:0/0/18446744073709551615/0/3/0
         100 | budget 3 organization total cost 100 | set | 0 0 0 |  |  | 2:0/0/18446744073709551615/0/3/0 3:0/0/18446744073709551615/0/3/0",
    );
}

#[test]
fn reserved_money_must_fit() {
    check(
        "held",
        "100 | wallet 2 project 1 | opened
         100 | wallet 3 project 2 | opened
         100 | hold 1 0 project 2 | held 0
         100 | settle 1 10 | paid owes 10 | 0 0 0, 3: 0 0 10 |  | settle 1@3 owes 10; told 1@3 owes 10
         100 | grant 1 prepaid max | granted | 9223372036854775807 0 0, 3: 0 0 10 | 1:9223372036854775807/0/0 | grant 1 to 1:9223372036854775807
         100 | grant 2 prepaid 5 in 2 | granted | 9223372036854775807 0 0, 2: 5 0 0, 3: 0 0 10 | 1:9223372036854775807/0/0 2@2:5/0/0 | grant 2@2 to 2:5
         100 | budget 1 organization total tokens 100 | set | 9223372036854775807 0 0, 2: 5 0 0, 3: 0 0 10 | 1:9223372036854775807/0/0 2@2:5/0/0 |  | 1:10/0/0/0/1/0
         100 | hold 2 max project 3 | held 9223372036854775807 | 9223372036854775807 9223372036854775807 0, 2: 5 0 0, 3: 0 0 10 | 1:9223372036854775807/0/0 2@2:5/0/0 |  | 1:10/9223372036854775807/0/0/2/0
         100 | hold 3 5 | amount out of range
         100 | unbudget 1 | removed | 9223372036854775807 9223372036854775807 0, 2: 5 0 0, 3: 0 0 10 | 1:9223372036854775807/0/0 2@2:5/0/0 |
         100 | hold 3 5 | held 5 | 9223372036854775807 9223372036854775807 0, 2: 5 5 0, 3: 0 0 10 | 1:9223372036854775807/0/0 2@2:5/0/0 |
         100 | budget 2 organization total tokens 100 | amount out of range
         100 | settle 3 5 | paid 2:5 | 9223372036854775807 9223372036854775807 0, 3: 0 0 10 | 1:9223372036854775807/0/0 2@2:0/5/0 | settle 3@2 2:5
         100 | budget 2 organization total tokens 100 | set | 9223372036854775807 9223372036854775807 0, 3: 0 0 10 | 1:9223372036854775807/0/0 2@2:0/5/0 |  | 2:15/9223372036854775807/0/0/3/0",
    );
}

#[test]
fn a_cap_that_was_passed_refuses_only_what_asks_for_more() {
    check(
        "passed",
        "100 | grant 1 prepaid 100 | granted | 100 0 0 | 1:100/0/0 | grant 1 to 1:100
         100 | budget 1 organization total tokens 10 steps 3 | set | 100 0 0 | 1:100/0/0 |  |
         100 | hold 1 1 tokens 10 | held 1 | 100 1 0 | 1:100/0/0 |  | 1:0/1/0/10/1/0
         100 | settle 1 1t15 | paid 1:1 | 99 0 0 | 1:99/1/0 | settle 1 1:1 | 1:1/0/15/0/1/0
         100 | hold 2 1 | held 1 | 99 1 0 | 1:99/1/0 |  | 1:1/1/15/0/2/0
         100 | hold 3 1 tokens 1 | budget 1 tokens 15+1>10
         100 | extend 2 2 | extended 2 | 99 2 0 | 1:99/1/0 |  | 1:1/2/15/0/2/0
         100 | budget 1 organization total tokens 10 steps 1 | set
         100 | extend 2 3 | extended 3 | 99 3 0 | 1:99/1/0 |  | 1:1/3/15/0/2/0
         100 | extend 2 4 tokens 1 | budget 1 tokens 15+1>10
         100 | hold 3 0 | budget 1 steps 2+1>1",
    );
}
