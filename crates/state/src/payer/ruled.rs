//! Which of somebody's limits and budgets of single models hold for a request.

use std::sync::Arc;

use dunlin_router::matches;
use dunlin_types::Served;

use super::Payer;
use crate::command::Terms;

impl Payer {
    /// The names for which it has limits or budgets of single models that hold for what is so served.
    /// What is behind a pattern may be written in any case, as its provider may read it.
    #[must_use]
    pub fn ruled(&self, served: &Served) -> Vec<&str> {
        if served.names.is_empty() && !served.unclear {
            return self.terms().find_map(|terms| rule(terms, &served.row)).into_iter().collect();
        }
        let may_be = |name: &Arc<str>, rule: &str| {
            name.eq_ignore_ascii_case(rule) || served.unclear && matches(name, rule)
        };
        let holds = |rule: &&String| served.all().any(|name| may_be(name, rule));
        let mut names: Vec<&str> =
            self.terms().flat_map(rules).filter(holds).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn rule<'t>(terms: &'t Terms, name: &str) -> Option<&'t str> {
    let Terms { model_budgets, model_rpm, model_tpm, .. } = terms;
    let limited = model_rpm.get_key_value(name).or_else(|| model_tpm.get_key_value(name));
    let limited = limited.map(|(rule, _)| rule);
    let budget = || model_budgets.get_key_value(name).map(|(rule, _)| rule);
    limited.or_else(budget).map(String::as_str)
}

fn rules(terms: &Terms) -> impl Iterator<Item = &String> {
    let Terms { model_budgets, model_rpm, model_tpm, .. } = terms;
    model_budgets.keys().chain(model_rpm.keys()).chain(model_tpm.keys())
}
