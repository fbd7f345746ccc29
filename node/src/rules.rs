//! What a config says of money, as admission goes by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_admission::{ClusterBudget, EndUsers, Rules};
use dunlin_config::{Budgets, Settings};
use dunlin_ledger::Allowance;
use dunlin_router::Catalog;
use dunlin_state::{DEPLOYMENTS, PROVIDERS, TAGS};
use dunlin_types::{Line, PotId};

/// The rules of one revision.
pub(crate) fn rules(settings: &Settings, catalog: &Catalog) -> Rules {
    let budgets = settings.budgets.clone();
    let Budgets { calendar, most, duration, exceeded_status, .. } = budgets;
    let budget = most.map(|limit| ClusterBudget { limit, duration });
    let mut rules = Rules::new(calendar, budget, exceeded_status);
    rules.called = called(catalog);
    rules.access_groups = catalog.access_groups.clone();
    let limits = catalog.key_limits.iter();
    rules.key_limits = limits.map(|(model, of)| (Arc::clone(model), (of.rpm, of.tpm))).collect();
    rules.throttle = budgets.throttle;
    rules.binds_users_of_teams = budgets.binds_users_of_teams;
    rules.rollover = budgets.rollover;
    rules.key_parallel = settings.key_parallel;
    rules.on_loss = settings.on_loss;
    rules.node_parallel = settings.node_parallel;
    rules.end_users = EndUsers::new(budgets.end_user_budget_id, budgets.end_user_most);
    rules
}

/// The budgets of what is called, by their pots.
fn called(catalog: &Catalog) -> BTreeMap<PotId, Allowance> {
    let pot = |of, name: &str| PotId { of, line: Line::Model(name.to_owned()) };
    let named = [(PROVIDERS, &catalog.provider_budgets), (TAGS, &catalog.tag_budgets)];
    let named = named.into_iter().flat_map(|(of, all)| {
        all.iter().map(move |(name, allowance)| (pot(of, name), allowance.clone()))
    });
    let deployments = catalog.deployments();
    let deployments = deployments.filter_map(|deployment| {
        Some((pot(DEPLOYMENTS, &deployment.id.0), deployment.budget.clone()?))
    });
    named.chain(deployments).collect()
}
