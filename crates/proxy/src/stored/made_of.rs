//! What is made of files: they stand in its body by our ids, and it is made where they are.

use std::sync::Arc;

use bytes::Bytes;
use dunlin_llm::{BadRequest, Place, check_object, rename_ids};
use dunlin_router::{Deployment, served};
use dunlin_types::{Served, Tokens};

use super::{Asking, alone};
use crate::attempts::hold;
use crate::bill::Bill;
use crate::ids::{Kept, Kind, Owner};
use crate::request::kept::find;
use crate::response::error::{Failed, Refused};
use crate::response::told::AnswerHeaders;

/// The files of one body.
pub(super) struct Files<'a> {
    /// The deployment that keeps them all.
    pub(super) home: &'a Arc<Deployment>,
    pub(super) owner: Owner,
    /// The provider's id of the first of them.
    pub(super) first: String,
    /// The body with the ids that their provider knows them by.
    pub(super) body: Bytes,
}

impl<'a> Asking<'a> {
    /// Opens the ids at `places`, the first of which must be there.
    pub(super) fn files(
        &self,
        body: &Bytes,
        route: &'static str,
        places: &[&Place],
    ) -> Result<Files<'a>, Refused> {
        check_object(body).map_err(Refused::BadRequest)?;
        let (ids, owner) = (&self.proxy.0.ids, self.caller.owner());
        let mut file: Option<Kept> = None;
        let body = rename_ids(body, places, &mut |id: &str| {
            let opened = ids.open(Kind::File, id, owner);
            let kept = opened.map_err(|bad| Refused::no_such(Kind::File, id, bad))?;
            if file.as_ref().is_some_and(|first| first.home != kept.home) {
                return Err(Refused::apart(Kind::File, id));
            }
            let upstream = kept.upstream.clone();
            file.get_or_insert(kept);
            Ok(Some(upstream))
        })?;
        let missing = BadRequest::Missing { route, name: places[0][0] };
        let file = file.ok_or(Refused::BadRequest(missing))?;
        let home = file.deployment().and_then(|id| find(&self.serving.catalog, id));
        let home = home.ok_or(Refused::homeless("file"))?;
        Ok(Files { home, owner: file.owner, first: file.upstream, body })
    }

    /// Admits what costs nobody knows how much yet: that is charged when it is found finished.
    pub(super) async fn admit_open_ended(
        &self,
        by: &Arc<Deployment>,
    ) -> Result<(Bill, AnswerHeaders), Failed> {
        let cost = hold::unknown(&by.price);
        let served = served(&self.serving.catalog, &alone(by));
        let (mut bill, told) = self.admit(served, Tokens(0), cost).await?;
        self.afford(&mut bill, by, cost).await?;
        Ok((bill, told))
    }

    /// Has what was so admitted be held to all that it is `served` by, and to so many tokens, now that
    /// these are known.
    pub(super) async fn turn_to(
        &self,
        bill: &mut Bill,
        by: &Deployment,
        (served, tokens): (&Served, Tokens),
    ) -> Result<(), Failed> {
        let cost = hold::of_tokens(&by.price, tokens);
        let demand = self.demand(served.clone(), Tokens(0), cost);
        let turned = bill.turn_to(&demand).await;
        Ok(turned.map_err(|no| Refused::admission(no, self.caller, self.call.started))?)
    }
}
