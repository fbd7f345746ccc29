//! Names of models in the terms that a request sets. One that there is not is no fault: the model may
//! come later. But a misspelt one would bound nothing, or let nothing through, so the answer warns.

use std::collections::BTreeMap;

use dunlin_admin_api::{Row, warnings_of};
use dunlin_router::{Access, Catalog, group, is_served_as, listed};
use dunlin_state::{
    Change, Command, Entity, EntityChanges, Key, KeyChanges, Kind, State, Terms, TermsChanges,
};

use crate::Admin;
use crate::error::Error;
use crate::request::fault::meant;
use crate::rights::caller::Caller;
use crate::rows::row::put;

/// Names in lists of models that stand for no single one.
const SPECIAL: [&str; 3] = ["all-proxy-models", "all-team-models", "no-default-models"];

/// Whose terms they are.
#[derive(Clone, Copy, Default)]
pub(crate) struct Whose<'a> {
    /// Its own names for models, and those of its team.
    aliases: [Option<&'a BTreeMap<String, String>>; 2],
    /// The team whose own models it may call.
    team: Option<&'a str>,
}

impl<'a> Whose<'a> {
    pub(crate) fn key(state: &'a State, key: &'a Key) -> Self {
        let team = key.team.as_ref().and_then(|team| state.entity(Kind::Team, team));
        let aliases = [Some(&key.aliases), team.map(|team| &team.aliases)];
        Self { aliases, team: key.team.as_deref() }
    }

    /// The same for what one of its fields names: what stands behind an alias is not looked up among
    /// them again.
    fn behind(self, field: &str) -> Self {
        match field {
            "aliases" | "model_aliases" => Self { aliases: [None; 2], ..self },
            _ => self,
        }
    }

    pub(crate) fn entity(entity: &'a Entity) -> Self {
        let team = Some(entity.name.as_str()).filter(|_| entity.kind == Kind::Team);
        Self { aliases: [Some(&entity.aliases), None], team }
    }
}

/// Terms with nothing but what changes set.
pub(crate) fn set_by(changes: &TermsChanges) -> Terms {
    let changes = EntityChanges { terms: changes.clone(), ..EntityChanges::default() };
    Entity::default().changed(changes).terms
}

/// A name of a model that was sent, and in which field.
pub(crate) type Named = (&'static str, String);

/// The names in terms.
pub(crate) fn in_terms(sent: &Terms) -> Vec<Named> {
    let models = sent.models.iter().map(|name| ("models", name));
    let named = models.chain(limited(sent)).map(|(field, name)| (field, name.clone()));
    let text = |field| serde_json::from_str::<String>(sent.other.get(field)?).ok();
    let default = text("default_model").filter(|name| !name.is_empty());
    let instead = sent
        .other
        .get("budget_fallbacks")
        .and_then(|kept| serde_json::from_str::<BTreeMap<String, Vec<String>>>(kept).ok());
    let instead = instead.into_iter().flatten().flat_map(|(of, to)| [of].into_iter().chain(to));
    named
        .chain(default.map(|name| ("default_model", name)))
        .chain(instead.map(|name| ("budget_fallbacks", name)))
        .collect()
}

/// The names in what changes set on a team, a user, ...
pub(crate) fn in_changes(changes: &EntityChanges) -> Vec<Named> {
    let mut named = in_terms(&set_by(&changes.terms));
    named.extend(behind("model_aliases", &changes.aliases));
    named.extend(in_list("default_team_member_models", &changes.member.models));
    named
}

/// The models behind aliases.
pub(crate) fn behind(
    field: &'static str,
    aliases: &Change<BTreeMap<String, String>>,
) -> Vec<Named> {
    match aliases {
        Change::Set(aliases) => aliases.values().map(|name| (field, name.clone())).collect(),
        Change::Keep | Change::Clear => Vec::new(),
    }
}

/// The models in a list.
pub(crate) fn in_list(field: &'static str, list: &Change<Vec<String>>) -> Vec<Named> {
    match list {
        Change::Set(names) => names.iter().map(|name| (field, name.clone())).collect(),
        Change::Keep | Change::Clear => Vec::new(),
    }
}

impl Admin {
    /// What is to be said of the names that were sent.
    pub(crate) fn warnings(
        &self,
        caller: &Caller,
        sent: &[Named],
        whose: Whose<'_>,
    ) -> Vec<String> {
        let published = self.0.published.load_full();
        published.map_or_else(Vec::new, |all| warnings(&all.catalog, caller, sent, whose))
    }

    /// Puts it into a row, and what is to be said of the row's fields.
    pub(crate) fn put_warnings(
        &self,
        row: &mut Row,
        caller: &Caller,
        sent: &[Named],
        whose: Whose<'_>,
    ) {
        let mut warnings = self.warnings(caller, sent, whose);
        warnings.extend(warnings_of(|name| row.get(name).map(|raw| raw.get())));
        if !warnings.is_empty() {
            put(row, "warnings", &warnings);
        }
    }
}

/// Adds one to those of a row.
pub(crate) fn put_warning(row: &mut Row, warning: &str) {
    let known = row.get("warnings").and_then(|known| serde_json::from_str(known.get()).ok());
    let mut all: Vec<String> = known.unwrap_or_default();
    all.push(warning.to_owned());
    put(row, "warnings", &all);
}

/// Refuses a budget or a limit by a name that stands for other models than one of the catalog's own: it
/// would bind nothing. One that stands for nothing is only told: the model may come later.
pub(crate) fn check(catalog: &Catalog, state: &State, command: &Command) -> Result<(), Error> {
    if let Command::All { commands } = command {
        return commands.iter().try_for_each(|command| check(catalog, state, command));
    }
    if let Command::IfUnchanged { command, .. } = command {
        return check(catalog, state, command);
    }
    if let Command::CreateKey { key } | Command::PutKey { key, .. } = command {
        return all_bind(catalog, &key.terms, Whose::key(state, key));
    }
    if let Command::UpdateKey { token, changes } | Command::RegenerateKey { token, changes, .. } =
        command
        && let Some(key) = state.key(token)
    {
        let key = Key::clone(key).changed(KeyChanges::clone(changes));
        return all_bind(catalog, &set_by(&changes.terms), Whose::key(state, &key));
    }
    if let Command::CreateEntity { entity, .. } | Command::PutEntity { entity, .. } = command {
        return all_bind(catalog, &entity.terms, Whose::entity(entity));
    }
    if let Command::UpdateEntity { kind, name, changes } = command
        && let Some(entity) = state.entity(*kind, name)
    {
        let entity = Entity::clone(entity).changed(EntityChanges::clone(changes));
        return all_bind(catalog, &set_by(&changes.terms), Whose::entity(&entity));
    }
    Ok(())
}

fn all_bind(catalog: &Catalog, sent: &Terms, whose: Whose<'_>) -> Result<(), Error> {
    let is_own = |name: &String| {
        let of_team = whose.team.and_then(|team| catalog.of_team(team, name));
        catalog.groups.contains_key(name.as_str()) || of_team.is_some()
    };
    let is_bound = |name: &String| is_own(name) || is_behind(catalog, name, whose);
    let stands_for_others = |name: &String| !is_bound(name) && is_known(catalog, None, name, whose);
    match limited(sent).find(|(_, name)| stands_for_others(name)) {
        Some((field, name)) => {
            let reason = format!(
                "{field}: `{name}` is no model's own name (model_name in model_list) but an alias, \
                 a pattern, an access group, or one of several names by which a pattern serves the \
                 same, so the entry would bind nothing and look as if it did: name the model itself, \
                 which may be the pattern that serves it"
            );
            Err(Error::BadField { name: field, reason })
        }
        None => Ok(()),
    }
}

/// The names in budgets and limits of single models, and in which field each is.
fn limited(sent: &Terms) -> impl Iterator<Item = (&'static str, &String)> {
    let budgets = sent.model_budgets.keys().map(|name| ("model_max_budget", name));
    let requests = sent.model_rpm.keys().map(|name| ("model_rpm_limit", name));
    let tokens = sent.model_tpm.keys().map(|name| ("model_tpm_limit", name));
    budgets.chain(requests).chain(tokens)
}

/// What is to be said of them, as far as the caller may know of models.
fn warnings(catalog: &Catalog, caller: &Caller, sent: &[Named], whose: Whose<'_>) -> Vec<String> {
    let bearer = caller.bearer().filter(|_| !caller.sees_all());
    let access = bearer.map(|bearer| bearer.caller.access());
    let is_unknown = |(field, name): &&Named| !is_known(catalog, access, name, whose.behind(field));
    let unknown = sent.iter().filter(is_unknown);
    unknown.map(|(field, name)| told(catalog, access, field, name)).collect()
}

/// Whether a pattern serves the model of that name, by which alone it is known there.
fn is_behind(catalog: &Catalog, name: &str, whose: Whose<'_>) -> bool {
    let is_so = || group(catalog, None, name).is_ok_and(|of| is_served_as(catalog, &of, name));
    !stands_for_several(catalog, name, whose) && is_so()
}

fn is_known(catalog: &Catalog, access: Option<Access<'_>>, name: &str, whose: Whose<'_>) -> bool {
    stands_for_several(catalog, name, whose)
        || whose.team.is_some_and(|team| catalog.of_team(team, name).is_some())
        || group(catalog, access, name).is_ok()
}

fn stands_for_several(catalog: &Catalog, name: &str, whose: Whose<'_>) -> bool {
    SPECIAL.contains(&name)
        || name.contains('*')
        || whose.aliases.into_iter().flatten().any(|own| own.contains_key(name))
        || catalog.access_groups.values().any(|groups| groups.contains(name))
}

fn told(catalog: &Catalog, access: Option<Access<'_>>, field: &str, name: &str) -> String {
    let names = listed(catalog, access);
    let groups = catalog.access_groups.values().flatten();
    let known = names.iter().chain(groups.filter(|_| access.is_none())).map(AsRef::as_ref);
    let hint = meant(name, known).map(|meant| format!("; did you mean `{meant}`?"));
    format!("{field}: there is no model `{name}`{}", hint.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dunlin_router::{Alias, Group};
    use dunlin_state::ModelBudget;

    use super::*;

    fn catalog() -> Catalog {
        let group = |name: &str| {
            let name: Arc<str> = name.into();
            (Arc::clone(&name), Group { name, deployments: Vec::new() })
        };
        let alias = Alias { group: "gpt-4o".into(), hidden: false };
        Catalog {
            groups: ["gpt-4o", "claude/*"].map(group).into(),
            aliases: [("fast".into(), alias)].into(),
            access_groups: [("gpt-4o".into(), ["beta".into()].into())].into(),
            team_groups: [("t".into(), [group("private")].into())].into(),
            ..Catalog::default()
        }
    }

    fn names(sent: &TermsChanges, whose: Whose<'_>) -> Vec<String> {
        warnings(&catalog(), &Caller::Master, &in_terms(&set_by(sent)), whose)
    }

    #[test]
    fn a_budget_or_a_limit_by_a_name_that_binds_nothing_is_refused() {
        let made = |terms: Terms| {
            let aliases = BTreeMap::from([("mine".to_owned(), "gpt-4o".to_owned())]);
            let key = Key { terms, aliases, team: Some("t".to_owned()), ..Key::default() };
            let make = Command::CreateKey { key: Box::new(key) };
            let command = Command::All { commands: vec![make] };
            check(&catalog(), &State::new(), &command)
        };
        let rpm =
            |name: &str| Terms { model_rpm: [(name.to_owned(), 5)].into(), ..Terms::default() };
        for name in ["*", "x/*", "fast", "mine", "beta", "all-proxy-models"] {
            let Err(Error::BadField { name: field, reason }) = made(rpm(name)) else {
                panic!("{name} binds nothing")
            };
            assert_eq!(field, "model_rpm_limit");
            assert!(reason.contains(&format!("`{name}`")), "{reason}");
        }
        for name in ["gpt-4o", "claude/*", "claude/opus", "private", "later"] {
            assert!(made(rpm(name)).is_ok(), "{name}");
        }
        let budgets = [("beta".to_owned(), ModelBudget::default())].into();
        let budgets = Terms { model_budgets: budgets, ..Terms::default() };
        assert!(matches!(made(budgets), Err(Error::BadField { name: "model_max_budget", .. })));
        assert!(made(Terms { models: vec!["beta".to_owned()], ..Terms::default() }).is_ok());
    }

    #[test]
    fn a_name_that_no_model_has_is_told_with_what_was_meant() {
        let texts =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let budget = [("gpt4o".to_owned(), ModelBudget::default())];
        let sent = TermsChanges {
            models: Change::Set(texts(&["gpt-4p", "gpt-4o", "fast", "beta", "claude/x", "x/*"])),
            model_budgets: Change::Set(budget.into()),
            model_rpm: Change::Set([("elsewhere".to_owned(), 5)].into()),
            model_tpm: Change::Clear,
            ..TermsChanges::default()
        };
        let expected = [
            "models: there is no model `gpt-4p`; did you mean `gpt-4o`?",
            "model_max_budget: there is no model `gpt4o`; did you mean `gpt-4o`?",
            "model_rpm_limit: there is no model `elsewhere`",
        ];
        assert_eq!(names(&sent, Whose::default()), expected);
        let sent = TermsChanges {
            models: Change::Set(texts(&["mine", "private", "all-team-models"])),
            ..TermsChanges::default()
        };
        let aliases = BTreeMap::from([("mine".to_owned(), "gpt-4o".to_owned())]);
        let whose = Whose { aliases: [Some(&aliases), None], team: Some("t") };
        assert_eq!(names(&sent, whose), Vec::<String>::new());
        assert_eq!(names(&sent, Whose::default()).len(), 2, "another's names");
        let circle = [("a", "b"), ("b", "a"), ("self", "self"), ("gpt-4o", "gpt-4o")];
        let circle = circle.map(|(from, to)| (from.to_owned(), to.to_owned())).into();
        let whose = Whose { aliases: [Some(&circle), None], team: None };
        let sent = behind("aliases", &Change::Set(circle.clone()));
        let told = warnings(&catalog(), &Caller::Master, &sent, whose);
        let expected = ["b", "a", "self"].map(|of| format!("aliases: there is no model `{of}`"));
        assert_eq!(told, expected);
    }

    #[test]
    fn names_are_told_wherever_they_are_sent() {
        let other = [
            ("default_model".to_owned(), Change::Set(r#""gpt-4p""#.to_owned())),
            ("budget_fallbacks".to_owned(), Change::Set(r#"{"gpt-4o": ["fsat"]}"#.to_owned())),
        ];
        let terms = TermsChanges { other: other.into(), ..TermsChanges::default() };
        let models = Change::Set(vec!["gpt-4o".to_owned(), "elsewhere".to_owned()]);
        let member = TermsChanges { models, ..TermsChanges::default() };
        let aliases = Change::Set([("mine".to_owned(), "gpt4o".to_owned())].into());
        let changes = EntityChanges { terms, member, aliases, ..EntityChanges::default() };
        let told = warnings(&catalog(), &Caller::Master, &in_changes(&changes), Whose::default());
        let expected = [
            "default_model: there is no model `gpt-4p`; did you mean `gpt-4o`?",
            "budget_fallbacks: there is no model `fsat`; did you mean `fast`?",
            "model_aliases: there is no model `gpt4o`; did you mean `gpt-4o`?",
            "default_team_member_models: there is no model `elsewhere`",
        ];
        assert_eq!(told, expected);
        let cleared = EntityChanges { aliases: Change::Clear, ..EntityChanges::default() };
        assert!(in_changes(&cleared).is_empty());
    }

    #[test]
    fn rows_from_elsewhere_are_held_to_names_that_bind() {
        let terms = || Terms { model_rpm: [("fast".to_owned(), 5)].into(), ..Terms::default() };
        let key = Box::new(Key { terms: terms(), ..Key::default() });
        let entity = Box::new(Entity { terms: terms(), ..Entity::default() });
        for command in
            [Command::PutKey { key, over: None }, Command::PutEntity { entity, over: None }]
        {
            let refused = check(&catalog(), &State::new(), &command);
            assert!(matches!(refused, Err(Error::BadField { name: "model_rpm_limit", .. })));
        }
    }
}
