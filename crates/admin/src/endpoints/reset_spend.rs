//! `POST /global/spend/reset`: all keys and teams have spent nothing in their present periods. What is
//! on record of their spend stays.

use axum::response::Response;
use dunlin_state::Command;
use serde_json::json;
use tracing::info;

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::rights::caller::Caller;
use crate::rights::forbidden;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/global/spend/reset", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    may(&asked.caller)?;
    admin.carry_out(&asked, Command::ResetSpend {}).await?;
    info!("the spend of all keys and teams was reset to 0");
    Ok(ok(&json!({
        "message": "Spend for all API Keys and Teams reset successfully",
        "status": "success",
    })))
}

/// As in LiteLLM, to hold the master key is asked for, and to be an admin is not enough.
fn may(caller: &Caller) -> Result<(), Error> {
    match caller {
        Caller::Master => Ok(()),
        Caller::Key(_) => Err(forbidden("only the master key may reset all spend".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::tests::{bearer, world};

    #[test]
    fn only_the_master_key_resets_all_spend() {
        assert!(may(&Caller::Master).is_ok());
        let told = may(&bearer(&world(), "sk-root")).expect_err("an admin's key");
        assert!(matches!(told, Error::Forbidden { .. }));
    }
}
