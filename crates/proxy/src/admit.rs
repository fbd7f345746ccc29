//! Who may answer a request, and the right to ask them. A model whose own budget is spent gives way to
//! the cheaper ones that the key, or else its team, names for that: `budget_fallbacks`. One that is not
//! where the end user's requests must stay gives way to that end user's `default_model`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use dunlin_admission::{Bounds, Counted, Demand, Permit, Refusal};
use dunlin_llm::{BadRequest, Bound, ChatRequest, ClientCredential, Extras, Unseen};
use dunlin_router::{Candidates, NoRoute, candidates};
use dunlin_state::Rank;
use dunlin_types::{Line, Served, Tokens};

use crate::attempts::hold;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::kept::OpenedBody;
use crate::response::error::Refused;
use crate::tool_models::served_with;
use crate::{Proxy, Serving};

/// The field of a key or team that says what is asked instead of a model.
const FALLBACKS: &str = "budget_fallbacks";

/// Who asks to be let in.
#[derive(Clone, Copy)]
pub(crate) struct Applicant<'a> {
    pub(crate) proxy: &'a Proxy,
    pub(crate) serving: &'a Serving,
    pub(crate) call: &'a Call,
    pub(crate) caller: &'a Caller,
    pub(crate) opened: &'a OpenedBody,
    /// What it brings.
    pub(crate) own: Option<&'a ClientCredential>,
}

/// A request that is let in.
pub(crate) struct Admitted<'a> {
    pub(crate) candidates: Candidates<'a>,
    pub(crate) demand: Demand,
    pub(crate) permit: Permit,
    /// The model that was asked for gave way to another.
    pub(crate) gave_way: bool,
}

impl<'a> Applicant<'a> {
    /// Lets the request in for the model it asks for, or for one that is asked instead: `instead` is
    /// filled with those, if it comes to that.
    pub(crate) async fn admit(
        self,
        (chat, extras): (&'a ChatRequest, &'a Extras),
        instead: &'a OnceLock<Vec<String>>,
    ) -> Result<Admitted<'a>, Refused> {
        let refusal = match self.one((chat, extras), chat.model()).await? {
            Ok(admitted) => return Ok(admitted),
            Err(refusal) => refusal,
        };
        for model in instead.get_or_init(|| instead_of(self.caller, &refusal)) {
            // One that nobody serves, or not to this caller, is none.
            if let Ok(Ok(admitted)) = self.one((chat, extras), model).await {
                return Ok(Admitted { gave_way: true, ..admitted });
            }
        }
        let refused = Refused::admission(refusal, self.caller, self.call.started);
        let bound = Bound::field_of(chat.endpoint());
        Err(refused.bounded_by(hold::bounded_by(Unseen::of(chat.text_as_bytes()), bound)))
    }

    async fn one(
        self,
        (chat, extras): (&'a ChatRequest, &'a Extras),
        model: &'a str,
    ) -> Result<Result<Admitted<'a>, Refusal>, Refused> {
        let Self { proxy, serving, call, caller, opened, own } = self;
        let find = |model| candidates(&serving.catalog, caller.access(), model, extras);
        let (found, gave_way) = match (find(model), caller.default_model()) {
            (Err(NoRoute::OutOfRegion { .. }), Some(default)) => (find(default), true),
            (found, _) => (found, false),
        };
        let mut candidates =
            found.map_err(|refused| Refused::no_route(refused, chat.endpoint(), caller))?;
        opened.pin(&serving.catalog, &mut candidates)?;
        if let Some(own) = own {
            let taken = candidates.of_client(own);
            taken.map_err(|name| {
                Refused::BadRequest(BadRequest::credential(chat.endpoint(), name))
            })?;
        }
        let key = caller.key();
        let cost = hold::bounds(proxy, key.map(|of| &*of.key), chat, candidates.first());
        let group = candidates.first();
        let strained = caller.has_dynamic_limits() && proxy.0.upstream.is_failing(group);
        let served = served_with(&serving.catalog, caller.access(), group, chat)
            .map_err(|refused| Refused::no_route(refused, chat.endpoint(), caller))?;
        let demand = demand(call, chat, served, serving.settings.counted, cost);
        let demand = Demand { strained, ..demand };
        let admitted = proxy.0.admission.admit(key, demand.clone()).await;
        Ok(admitted.map(|permit| Admitted { candidates, demand, permit, gave_way }))
    }
}

/// The models that are asked instead of one whose own budget refused the request.
fn instead_of(caller: &Caller, refusal: &Refusal) -> Vec<String> {
    let Refusal::OverBudget(over) = refusal else { return Vec::new() };
    let (Line::Model(model), Some(caller)) = (&over.pot.line, caller.key()) else {
        return Vec::new();
    };
    let team = caller.payers.iter().find(|payer| payer.rank == Rank::Team);
    let team = team.and_then(|payer| payer.entity()).map(|team| &team.terms);
    let terms = [Some(&caller.key.terms), team].into_iter().flatten();
    let named = terms.filter_map(|terms| {
        let text = terms.other.get(FALLBACKS)?;
        let mut named: BTreeMap<String, Vec<String>> = serde_json::from_str(text).ok()?;
        named.remove(model)
    });
    named.into_iter().next().unwrap_or_default()
}

/// What a request takes of limits and budgets, as far as can be known before it is sent.
fn demand(
    call: &Call,
    chat: &ChatRequest,
    served: Served,
    counted: Counted,
    cost: Bounds,
) -> Demand {
    let most = chat.max_output().map(|most| Tokens(most.0.saturating_mul(chat.answers())));
    Demand {
        request: call.id,
        served,
        prompt: chat.prompt_estimate(),
        output: if chat.endpoint().is_chat() { most } else { Some(Tokens(0)) },
        counted,
        cost,
        takes_rest: false,
        strained: true,
    }
}
