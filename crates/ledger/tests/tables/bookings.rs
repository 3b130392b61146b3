//! What people, payments and promo codes book.

use crate::play::check;

#[test]
fn a_payment_is_booked_once() {
    check(
        "top-ups",
        "100 | topup 1 50 bank:1 | granted | 50 0 0 | 1:50/0/0 | top up 1 to 1:50
         100 | topup 1 50 bank:1 | granted before
         100 | topup 2 60 bank:1 | granted before
         100 | topup 1 50 bank:2 | this id exists already
         100 | hold 1 50 | held 50 | 50 50 0 | 1:50/0/0 |
         100 | settle 1 55 | paid 1:50 owes 5 | 0 0 5 | 1:0/50/0 | settle 1 1:50 owes 5; told 1 owes 5
         100 | topup 2 20 bank:2 until 200 | granted | 15 0 0 | 1:0/50/0 2:15/5/0 | top up 2 to 2:20; pay 2:5
         300 | topup 3 20 bank:2 | granted before | 0 0 0 | 1:0/50/0 2:0/5/15 | expire 2:15
         300 | wallet 2 project 1 | opened
         300 | topup 3 20 bank:3 in 2 | granted | 0 0 0, 2: 20 0 0 | 1:0/50/0 2:0/5/15 3@2:20/0/0 | top up 3@2 to 3:20",
    );
}

#[test]
fn a_promo_code_is_redeemed_once_into_the_wallet_for_its_models() {
    check(
        "redeem",
        "100 | redeem NONE 1 2 | no such code
         100 | issue ALL-1 30 uses 5 | issued, used 0
         100 | issue ALL-1 30 uses 5 | issued, used 0
         100 | issue ALL-1 31 uses 5 | this id exists already
         100 | redeem ALL-1 1 2 | granted | 30 0 0 | 1:30/0/0 | redeem 1 to 1:30
         100 | redeem ALL-1 2 2 | the promo code is redeemed already
         100 | issue ALL-1 30 uses 5 | issued, used 1
         100 | issue SMALL-1 20 uses 1 seconds 1 models small | issued, used 0
         100 | redeem SMALL-1 2 1 | this id exists already
         100 | redeem SMALL-1 1 2 | this id exists already
         100 | redeem SMALL-1 2 2 | granted | 30 0 0, 2: 20 0 0 | 1:30/0/0 2@2:20/0/0 | redeem 2@2 to 2:20
         100 | issue SMALL-2 20 uses 1 until 200 models small | issued, used 0
         199 | redeem SMALL-2 3 2 | this id exists already
         199 | redeem SMALL-2 3 3 | granted | 30 0 0, 2: 40 0 0 | 1:30/0/0 2@2:20/0/0 3@2:20/0/0 | redeem 3@2 to 3:20
         199 | issue OLD-1 20 uses 1 until 200 | issued, used 0
         200 | redeem OLD-1 4 4 | the promo code is past its expiry
         200 | issue PAIR-1 20 uses 1 models small,big | issued, used 0
         200 | wallet 4 project 1 models small,big | opened
         200 | redeem PAIR-1 4 5 | granted | 30 0 0, 2: 40 0 0, 5: 20 0 0 | 1:30/0/0 2@2:20/0/0 3@2:20/0/0 4@5:20/0/0 | redeem 4@5 to 4:20
         200 | issue OWE-1 20 uses 1 | issued, used 0
         200 | hold 1 80 | held 80 | 30 20 0, 2: 40 40 0, 5: 20 20 0 | 1:30/0/0 2@2:20/0/0 3@2:20/0/0 4@5:20/0/0 |
         200 | hold 2 10 | held 10 | 30 30 0, 2: 40 40 0, 5: 20 20 0 | 1:30/0/0 2@2:20/0/0 3@2:20/0/0 4@5:20/0/0 |
         200 | settle 2 25 | paid 1:10 owes 15 | 20 20 15, 2: 40 40 0, 5: 20 20 0 | 1:20/10/0 2@2:20/0/0 3@2:20/0/0 4@5:20/0/0 | settle 2 1:10 owes 15; told 2 owes 15
         200 | redeem OWE-1 5 6 | granted | 25 20 0, 2: 40 40 0, 5: 20 20 0 | 1:5/25/0 2@2:20/0/0 3@2:20/0/0 4@5:20/0/0 5:20/0/0 | redeem 5 to 5:20; pay 1:15
         1000100 | hold 3 max | short 5 of 9223372036854775807",
    );
}

#[test]
fn refunds_go_to_the_debtor_and_never_exceed_the_charge() {
    check(
        "refunds",
        "100 | grant 1 prepaid 50 | granted | 50 0 0 | 1:50/0/0 | grant 1 to 1:50
         100 | wallet 2 project 1 | opened
         100 | grant 2 prepaid 10 in 2 | granted | 50 0 0, 2: 10 0 0 | 1:50/0/0 2@2:10/0/0 | grant 2@2 to 2:10
         100 | hold 1 10 | held 10 | 50 0 0, 2: 10 10 0 | 1:50/0/0 2@2:10/0/0 |
         100 | refund 1 1 10 | no such request
         100 | settle 1 10 | paid 2:10 | 50 0 0 | 1:50/0/0 2@2:0/10/0 | settle 1@2 2:10
         100 | hold 2 10 project 2 | held 10 | 50 10 0 | 1:50/0/0 2@2:0/10/0 |
         100 | settle 2 8 4 | paid 1:12 | 38 0 0 | 1:38/12/0 2@2:0/10/0 | settle 2 1:12
         100 | refund 2 5 10 until 900 | granted | 43 0 0 | 1:38/12/0 2@2:0/10/0 10:5/0/0 | refund 2 to 10:5
         100 | refund 2 8 11 | too large: 5 of 12 refunded
         100 | refund 2 7 11 | granted | 50 0 0 | 1:38/12/0 2@2:0/10/0 10:5/0/0 11:7/0/0 | refund 2 to 11:7
         100 | refund 2 1 12 | too large: 12 of 12 refunded
         100 | refund 1 10 12 | granted | 50 0 0, 2: 10 0 0 | 1:38/12/0 2@2:0/10/0 10:5/0/0 11:7/0/0 12@2:10/0/0 | refund 1@2 to 12:10
         100 | hold 3 10 | held 10 | 50 0 0, 2: 10 10 0 | 1:38/12/0 2@2:0/10/0 10:5/0/0 11:7/0/0 12@2:10/0/0 |
         100 | settle 3 14 | paid 12:10 owes 4 | 50 0 0, 2: 0 0 4 | 1:38/12/0 2@2:0/10/0 10:5/0/0 11:7/0/0 12@2:0/10/0 | settle 3@2 12:10 owes 4; told 3@2 owes 4
         100 | refund 3 14 13 | granted | 50 0 0, 2: 10 0 0 | 1:38/12/0 2@2:0/10/0 10:5/0/0 11:7/0/0 12@2:0/10/0 13@2:10/4/0 | refund 3@2 to 13:14; pay@2 13:4
         100 | refund 3 1 14 | too large: 14 of 14 refunded",
    );
}

#[test]
fn only_prepaid_credit_is_paid_out() {
    check(
        "payouts",
        "100 | grant 1 prepaid 10 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | grant 2 promo 10 | granted | 20 0 0 | 1:10/0/0 2:10/0/0 | grant 2 to 2:10
         100 | grant 3 prepaid 10 until 900 | granted | 30 0 0 | 1:10/0/0 2:10/0/0 3:10/0/0 | grant 3 to 3:10
         100 | adjust 1 10 4 | granted | 40 0 0 | 1:10/0/0 2:10/0/0 3:10/0/0 4:10/0/0 | adjust 4 to 4:10
         100 | payout 1 21 10 | short 20 of 21
         100 | payout 1 12 10 | took 3:10 1:2 | 28 0 0 | 1:8/0/0/2 2:10/0/0 3:0/0/0/10 4:10/0/0 | pay out 10 3:10 1:2
         100 | payout 1 1 10 | this id exists already
         100 | hold 1 25 | held 25 | 28 25 0 | 1:8/0/0/2 2:10/0/0 3:0/0/0/10 4:10/0/0 |
         100 | payout 1 4 11 | short 3 of 4
         100 | payout 1 3 11 | took 1:3 | 25 25 0 | 1:5/0/0/5 2:10/0/0 3:0/0/0/10 4:10/0/0 | pay out 11 1:3
         100 | settle 1 25 | paid 2:10 1:5 4:10 | 0 0 0 | 1:0/5/0/5 2:0/10/0 3:0/0/0/10 4:0/10/0 | settle 1 2:10 1:5 4:10",
    );
}

#[test]
fn adjustments_add_and_take() {
    check(
        "adjustments",
        "100 | grant 1 prepaid 10 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | grant 2 promo 10 | granted | 20 0 0 | 1:10/0/0 2:10/0/0 | grant 2 to 2:10
         100 | adjust 1 5 3 until 900 | granted | 25 0 0 | 1:10/0/0 2:10/0/0 3:5/0/0 | adjust 3 to 3:5
         100 | adjust 1 -17 4 | took 2:10 3:5 1:2 | 8 0 0 | 1:8/0/0/2 2:0/0/0/10 3:0/0/0/5 | adjust 4 2:10 3:5 1:2
         100 | adjust 1 -9 5 | short 8 of 9
         100 | adjust 1 -8 5 | took 1:8 | 0 0 0 | 1:0/0/0/10 2:0/0/0/10 3:0/0/0/5 | adjust 5 1:8
         100 | adjust 1 5 5 | this id exists already
         100 | hold 1 0 | held 0
         100 | settle 1 6 | paid owes 6 | 0 0 6 | 1:0/0/0/10 2:0/0/0/10 3:0/0/0/5 | settle 1 owes 6; told 1 owes 6
         100 | adjust 1 10 6 | granted | 4 0 0 | 1:0/0/0/10 2:0/0/0/10 3:0/0/0/5 6:4/6/0 | adjust 6 to 6:10; pay 6:6",
    );
}
