//! What a request must have, whoever asks, and what it must not.

use crate::report::Report;
use crate::tree::Map;

/// What is demanded of every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// `enforce_user_param`: it says who its user is.
    pub user: bool,
    /// `enforced_params`: its body has these. A dot leads into an object: `metadata.run`.
    pub params: Vec<String>,
    /// `reject_clientside_metadata_tags`: its client gives it no tags.
    pub no_tags: bool,
}

/// Reads `general_settings`.
pub(crate) fn read(general: &Map, report: &mut Report) -> Demands {
    let mut flag = |key: &str| {
        let what = format!("general_settings.{key}");
        report.flag(&what, general.get(key)).unwrap_or_default()
    };
    let user = flag("enforce_user_param");
    let no_tags = flag("reject_clientside_metadata_tags");
    let what = "general_settings.enforced_params";
    let params = report.list(what, general.get("enforced_params")).iter();
    let params = params.filter_map(|name| report.text(what, Some(name)).map(str::to_owned));
    Demands { user, params: params.collect(), no_tags }
}
