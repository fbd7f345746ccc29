//! The budgets of a spender beside its main one, those of windows and of single models: what is spent
//! of each in the period that runs, and what the config gives to those who have none of their own.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dunlin_admin_api::Row;
use dunlin_ledger::{Length, Period};
use dunlin_state::{Entity, Kind, ModelBudget, Renewal, Terms, is_rolling};
use dunlin_types::{EntityId, Line, NanoUsd, PotId};
use serde_json::{Value, json};

use crate::request::moment::iso;
use crate::rows::row::{View, put};

impl View {
    /// Puts those that bind into a row, if there are any: its own, else those that it shares.
    pub(crate) fn put_budgets(&self, row: &mut Row, of: EntityId, terms: &Terms) {
        let shared = self.shared(terms);
        let all = [Some(terms), shared.as_ref().map(|budget| &budget.terms)];
        let all = || all.iter().flatten();
        let windows = all().find(|terms| !terms.windows.is_empty());
        let windows = windows.into_iter().flat_map(|terms| terms.windows_by_length());
        let windows = windows.map(|(every, most)| {
            let pot = PotId { of, line: Line::Window(every.clone()) };
            let read = Renewal::of(every).read();
            let period = read.map(|every| self.calendar.period(every, self.now));
            let carried = self.carried(&pot, read, Some(most), period);
            self.told((&pot, carried), Some(every), most, period)
        });
        let mut models: BTreeMap<&String, &ModelBudget> = BTreeMap::new();
        all().rev().for_each(|terms| models.extend(&terms.model_budgets));
        let models = models.into_iter().filter_map(|(model, budget)| {
            let pot = PotId { of, line: Line::Model(model.clone()) };
            let begun = self.state.spend(&pot).1;
            let length = budget.duration.as_ref().and_then(|text| Length::of_period(text).ok());
            let period = length.and_then(|length| length.rolling(begun, self.now).ok());
            let mut told = self.told(
                (&pot, NanoUsd::ZERO),
                budget.duration.as_ref(),
                budget.max_budget?,
                period,
            );
            told["model"] = json!(model);
            Some(told)
        });
        let budgets: Vec<Value> = windows.chain(models).collect();
        if !budgets.is_empty() {
            put(row, "budgets", &budgets);
        }
    }

    /// How one of them stands, in a period that begins with what is `carried` into it. One that begins
    /// with a first use has no end before it.
    fn told(
        &self,
        (pot, carried): (&PotId, NanoUsd),
        every: Option<&String>,
        most: NanoUsd,
        period: Option<Period>,
    ) -> Value {
        let (spent, begun) = self.state.spend(pot);
        let runs = period.is_none_or(|period| begun >= period.start);
        let ends = period.filter(|_| runs || !is_rolling(pot)).map(|period| iso(period.end));
        json!({
            "budget_duration": every,
            "max_budget": most.as_usd(),
            "spend": if runs { spent } else { carried }.as_usd(),
            "budget_reset_at": ends,
        })
    }

    /// The terms that bind an entity: an end user without a budget has the config's, if there is one.
    pub(crate) fn binding<'e>(&self, entity: &'e Entity) -> Cow<'e, Terms> {
        let terms = &entity.terms;
        let default = self.end_users.terms(&self.state);
        let default =
            default.filter(|_| entity.kind == Kind::EndUser && self.shared(terms).is_none());
        match default {
            None => Cow::Borrowed(terms),
            Some(plain) if plain.name.is_empty() => {
                let max_budget = terms.max_budget.or(plain.terms.max_budget);
                Cow::Owned(Terms { max_budget, ..terms.clone() })
            }
            Some(shared) => {
                let budget_id = Some(shared.name.clone());
                Cow::Owned(Terms { budget_id, ..terms.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dunlin_admission::EndUsers;
    use dunlin_state::{Charge, Command, DaySums};
    use dunlin_types::{Epoch, NodeId, UnixMillis};

    use super::*;
    use crate::rows::entities;
    use crate::rows::row::tests::{bare, state_after, view_of};

    const USD: u64 = 1_000_000_000;

    fn charge(of: EntityId, line: Line, period: u64, usd: u64) -> Charge {
        let (pot, period) = (PotId { of, line }, UnixMillis(period));
        Charge { pot, period, cost: NanoUsd(usd * USD), requests: 1 }
    }

    #[test]
    fn each_budget_is_told_with_what_is_spent_of_it_in_the_period_that_runs() {
        let mut key = bare("sk-abcd");
        let windows =
            [("1d", 5), ("1s", 3)].map(|(every, usd)| (every.to_owned(), NanoUsd(usd * USD)));
        key.terms.windows = windows.into();
        let model = |usd, every: Option<&str>| ModelBudget {
            max_budget: Some(NanoUsd(usd * USD)),
            duration: every.map(str::to_owned),
            ..ModelBudget::default()
        };
        key.terms.model_budgets = [("for ever", model(7, None)), ("fresh", model(8, Some("1d")))]
            .map(|(name, budget)| (name.to_owned(), budget))
            .into();
        let token = key.token;
        let make = Command::CreateKey { key: Box::new(key) };
        let of = EntityId(1_000);
        let charges = vec![
            charge(of, Line::Window("1d".to_owned()), 0, 2),
            charge(of, Line::Window("1s".to_owned()), 1_000, 1),
            charge(of, Line::Model("for ever".to_owned()), 0, 4),
        ];
        let (node, epoch, days) = (NodeId(1), Epoch(1), DaySums::default());
        let settle =
            Command::Settle { node, epoch, from: 0, to: 1, charges, days, claimed: Vec::new() };
        let view = view_of(state_after([make, settle]));
        let key = view.state.key(&token).expect("the key");
        let row = serde_json::to_value(view.key(key)).expect("JSON");
        let told = |name: &str, value: &str| {
            let all = row["budgets"].as_array().expect("budgets");
            all.iter().find(|one| one[name] == value).expect("one of them").clone()
        };
        let day = told("budget_duration", "1d");
        assert_eq!((&day["spend"], &day["max_budget"]), (&json!(2.0), &json!(5.0)));
        assert_eq!(day["budget_reset_at"], "1970-01-02T00:00:00.000000Z");
        assert_eq!(told("budget_duration", "1s")["spend"], 0.0, "its second is over");
        let lasting = told("model", "for ever");
        assert_eq!((&lasting["spend"], &lasting["budget_reset_at"]), (&json!(4.0), &Value::Null));
        let fresh = told("model", "fresh");
        assert_eq!((&fresh["spend"], &fresh["budget_reset_at"]), (&json!(0.0), &Value::Null));
        assert!(!view.key(&bare("sk-none")).contains_key("budgets"));
    }

    #[test]
    fn an_end_user_shows_the_default_that_binds_it() {
        let shared = Entity {
            kind: Kind::Budget,
            name: "free".to_owned(),
            terms: Terms {
                max_budget: Some(NanoUsd(2 * USD)),
                budget_duration: Some("1d".to_owned()),
                ..Terms::default()
            },
            ..Entity::default()
        };
        let own = Terms { max_budget: Some(NanoUsd(9 * USD)), ..Terms::default() };
        let customer = |name: &str, terms| Entity {
            kind: Kind::EndUser,
            name: name.to_owned(),
            terms,
            ..Entity::default()
        };
        let made = [shared, customer("plain", Terms::default()), customer("rich", own)];
        let make = |entity| Command::CreateEntity { entity: Box::new(entity), members: Vec::new() };
        let state = state_after(made.map(make));
        let shown = |end_users: EndUsers, name: &str| {
            let view = View { end_users, ..view_of(state.clone()) };
            let entity = view.state.entity(Kind::EndUser, name).expect("a customer");
            serde_json::to_value(entities::row(&view, entity)).expect("JSON")
        };
        let none = shown(EndUsers::default(), "plain");
        assert_eq!(
            (&none["max_budget"], &none["litellm_budget_table"]),
            (&Value::Null, &Value::Null)
        );
        let most = || EndUsers::new(None, Some(NanoUsd(USD)));
        assert_eq!(shown(most(), "plain")["max_budget"], 1.0);
        assert_eq!(shown(most(), "rich")["max_budget"], 9.0, "its own comes first");
        let named = shown(EndUsers::new(Some("free".to_owned()), Some(NanoUsd(USD))), "plain");
        assert_eq!(named["litellm_budget_table"]["max_budget"], 2.0);
        assert_eq!(named["budget_reset_at"], "1970-01-02T00:00:00.000000Z");
    }
}
