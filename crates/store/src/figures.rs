//! Figures about one caller: what of each budget it falls under is used, what its keys have cost, what was bought for it.
//!
//! Sums of booked rows and nothing else. Who falls under a budget the asker says.

use std::collections::HashMap;

use domain::{KeyId, Money, OrganizationId, Timestamp};
use ledger::{Budget, Use, UseKey};
use rusqlite::{Connection, params};

use crate::reader::Reader;
use crate::{StoreError, books};

/// What a key's calls have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyCost {
    /// What was charged for them.
    pub charged: Spent,
    /// What those cost that providers billed to an account that is not the gateway's, the caller's or an end user's: each
    /// attempt at list price, rounded up. One whose list price nobody knows adds nothing.
    pub elsewhere: Spent,
}

/// What was spent: in all, and since each of three moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// In all.
    pub total: Money,
    /// Since the moments that were asked for, in their order.
    pub since: [Money; 3],
}

/// What the keys of an organization have cost. The class `user_pays` is also that of a call by our key at the expense of
/// an end user's wallet here: only what goes by a key of somebody's own draws on the pool of calls without a fee.
const KEY_COSTS: &str = "
SELECT key, sum(cost), sum(iif(at >= ?3, cost, 0)), sum(iif(at >= ?4, cost, 0)), sum(iif(at >= ?5, cost, 0)),
       sum(listed), sum(iif(at >= ?3, listed, 0)), sum(iif(at >= ?4, listed, 0)), sum(iif(at >= ?5, listed, 0))
FROM (SELECT key, at, cost, iif(class IN ('byok', 'user_pays') AND pool IS NOT NULL AND list_pico IS NOT NULL,
                                list_pico / 1000 + (list_pico % 1000 <> 0), 0) AS listed
      FROM cost_row WHERE organization = ?1 AND (?2 IS NULL OR key = ?2))
GROUP BY key";

/// An organization's credit over all its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreditTotals {
    /// What it was given or has bought, less what was paid back, taken back or has expired.
    pub credited: Money,
    /// What it was charged, less refunds. `credited` less this is what remains less what is owed.
    pub charged: Money,
    /// What it has bought, less what was paid back.
    pub purchased: Money,
}

impl Reader {
    /// The budgets for which `value_of` names whom they count, each with what that one consumed in the period around
    /// `now`, in the order in which they refuse.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn budgets_of(
        &self,
        organization: OrganizationId,
        now: Timestamp,
        value_of: impl Fn(&Budget) -> Option<Box<str>>,
    ) -> Result<Vec<(Budget, Use)>, StoreError> {
        self.read(|connection| {
            let mut found = Vec::new();
            for budget in books::load_budgets(connection, organization)? {
                let Some(value) = value_of(&budget) else { continue };
                let key = UseKey { budget: budget.id, value, start: budget.span(now).start };
                let used = books::load_use(connection, organization, &key)?.unwrap_or_default();
                found.push((budget, used));
            }
            Ok(found)
        })
    }

    /// What the keys of an organization have cost, or one of them: in all, and since three moments. A key without calls
    /// is left out. Reads every cost row of the organization once.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn key_costs(
        &self,
        organization: OrganizationId,
        key: Option<KeyId>,
        since: [Timestamp; 3],
    ) -> Result<HashMap<KeyId, KeyCost>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(KEY_COSTS)?;
            let key = key.map(|key| *key.as_bytes());
            let [first, second, third] = since.map(Timestamp::micros);
            let mut rows = statement.query(params![organization.as_bytes(), key, first, second, third])?;
            let mut costs = HashMap::new();
            while let Some(row) = rows.next()? {
                let money = |index: usize| Ok::<_, StoreError>(Money::from_nano(row.get(index)?));
                let spent = |first: usize| {
                    let since = [money(first + 1)?, money(first + 2)?, money(first + 3)?];
                    Ok::<_, StoreError>(Spent { total: money(first)?, since })
                };
                costs.insert(
                    KeyId::from_bytes(row.get(0)?),
                    KeyCost { charged: spent(1)?, elsewhere: spent(5)? },
                );
            }
            Ok(costs)
        })
    }

    /// An organization's credit over all its time.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn credit_totals(&self, organization: OrganizationId) -> Result<CreditTotals, StoreError> {
        self.read(|connection| read_totals(connection, organization))
    }
}

fn read_totals(connection: &Connection, organization: OrganizationId) -> Result<CreditTotals, StoreError> {
    // What a transfer moves is withdrawn from one lot and granted as another, so it cancels out.
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum(remaining + used), 0), coalesce(sum(used), 0),
                coalesce(sum(iif(kind = 'refund', granted - withdrawn, 0)), 0),
                coalesce(sum(iif(kind = 'prepaid', granted - withdrawn, 0)), 0),
                (SELECT coalesce(sum(debt), 0) FROM wallet WHERE organization = ?1)
         FROM lot WHERE organization = ?1",
    )?;
    let sums = statement.query_row([organization.as_bytes()], |row| {
        Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?])
    })?;
    let [ever, used, refunded, purchased, debt] = sums.map(Money::from_nano);
    let less = |amount: Money, part: Money| amount.checked_sub(part).unwrap_or_default();
    let charged = used.checked_add(debt).unwrap_or(Money::MAX);
    Ok(CreditTotals { credited: less(ever, refunded), charged: less(charged, refunded), purchased })
}

#[cfg(test)]
mod tests {
    use domain::{AccessClass, Payer};

    use super::*;

    #[test]
    fn the_classes_that_are_billed_elsewhere_are_all_there() {
        for class in AccessClass::ALL {
            let elsewhere = matches!(class.payer(), Payer::Caller | Payer::EndUser);
            assert_eq!(KEY_COSTS.contains(&format!("'{class}'")), elsewhere, "{class}");
        }
    }
}
