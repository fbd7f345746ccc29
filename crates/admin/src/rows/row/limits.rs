//! What limits something beside its own terms and the shared budget in `litellm_budget_table`: the
//! limits in force of those it belongs to, in fields that LiteLLM names after them, such as
//! `team_rpm_limit`. A limit that is not set has no field.

use std::sync::Arc;

use dunlin_admin_api::Row;
use dunlin_state::{Entity, Key, Kind, Payer, Rank};
use dunlin_types::{Line, NanoUsd, PotId};

use super::{View, put};

impl View {
    /// Whose terms bind a key beside its own: all that its requests are checked by.
    pub(crate) fn bounds(&self, key: &Key) -> Vec<Payer> {
        let mut payers = self.state.payers(&Arc::new(key.clone()));
        if self.binds_users_of_teams {
            payers.iter_mut().for_each(Payer::bind_budgets);
        }
        payers.retain(|payer| payer.rank != Rank::Key && payer.binds());
        payers
    }

    /// The row of a key, with the limits of those to whom it belongs.
    pub(crate) fn key_in_force(&self, key: &Key) -> Row {
        let mut row = self.key(key);
        for payer in self.bounds(key) {
            let whose = match payer.rank {
                Rank::Team => "team",
                Rank::Organization => "organization",
                Rank::User => "user",
                Rank::Member => "team_member",
                Rank::OrganizationMember => "organization_member",
                Rank::Tag | Rank::AccessGroup | Rank::EndUser | Rank::Key => continue,
            };
            self.put_limits(&mut row, whose, &payer);
        }
        row
    }

    /// The row of a team, with the limits of its organization.
    pub(crate) fn team_in_force(&self, team: &Entity) -> Row {
        let mut row = self.team(team);
        let above = team.organization.as_ref();
        let above = above.and_then(|name| self.state.entity(Kind::Organization, name));
        let pot = above.map(|above| PotId { of: above.id, line: Line::Main });
        if let Some(payer) = pot.and_then(|pot| self.state.payer_of(&pot)) {
            self.put_limits(&mut row, "organization", &payer);
        }
        row
    }

    fn put_limits(&self, row: &mut Row, whose: &str, payer: &Payer) {
        if let Some(budget) = payer.limit(&Line::Main, self.now) {
            put(row, &format!("{whose}_max_budget"), &NanoUsd::as_usd(budget));
        }
        let limits = [
            ("rpm_limit", payer.rpm()),
            ("tpm_limit", payer.tpm()),
            ("max_parallel_requests", payer.parallel()),
        ];
        for (name, limit) in limits {
            if let Some(limit) = limit {
                put(row, &format!("{whose}_{name}"), &limit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dunlin_state::{Command, Member, Terms};
    use serde_json::{Value, json};

    use super::*;
    use crate::rows::row::tests::{bare, state_after, view_of};

    #[test]
    fn a_key_is_shown_with_what_limits_it_through_others() {
        let entity = |kind, name: &str, terms| Entity {
            kind,
            name: name.to_owned(),
            terms,
            ..Entity::default()
        };
        let make = |entity, members| Command::CreateEntity { entity: Box::new(entity), members };
        let shared =
            Terms { rpm: Some(7), max_budget: Some(NanoUsd(2_000_000_000)), ..Terms::default() };
        let of_shared = Terms { budget_id: Some("b".to_owned()), tpm: Some(9), ..Terms::default() };
        let mut team = entity(Kind::Team, "t", of_shared);
        team.organization = Some("o".to_owned());
        team.member.rpm = Some(3);
        let ann = Member { user: "ann".to_owned(), role: "user".to_owned(), ..Member::default() };
        let parallel = Terms { parallel: Some(2), ..Terms::default() };
        let own = Terms { rpm: Some(5), ..Terms::default() };
        let mut key = bare("sk-abcd");
        (key.team, key.user) = (Some("t".to_owned()), Some("ann".to_owned()));
        let view = view_of(state_after([
            make(entity(Kind::Budget, "b", shared), Vec::new()),
            make(entity(Kind::Organization, "o", parallel), Vec::new()),
            make(entity(Kind::User, "ann", own), Vec::new()),
            make(team, vec![ann]),
        ]));
        let told = serde_json::to_value(view.key_in_force(&key)).expect("JSON");
        for (name, value) in [
            ("rpm_limit", Value::Null),
            ("team_rpm_limit", json!(7)),
            ("team_tpm_limit", json!(9)),
            ("team_max_budget", json!(2.0)),
            ("team_member_rpm_limit", json!(3)),
            ("organization_max_parallel_requests", json!(2)),
        ] {
            assert_eq!(told[name], value, "{name}");
        }
        assert!(told.get("user_rpm_limit").is_none(), "a user does not bind a team's key");
        key.team = None;
        let told = serde_json::to_value(view.key_in_force(&key)).expect("JSON");
        assert_eq!((&told["user_rpm_limit"], told.get("team_rpm_limit")), (&json!(5), None));
        let team = view.state.entity(Kind::Team, "t").expect("made").clone();
        let told = serde_json::to_value(view.team_in_force(&team)).expect("JSON");
        assert_eq!(told["organization_max_parallel_requests"], 2);
    }
}
