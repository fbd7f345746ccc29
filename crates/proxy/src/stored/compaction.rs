//! A conversation made shorter where the provider has only chats: its model writes the summary.

use axum::body::Body;
use axum::http::Response;
use dunlin_llm::responses::{compacted, to_compact};
use dunlin_llm::{ChatRequest, Endpoint, Extras, parse};
use dunlin_router::Candidates;
use dunlin_upstream::{Answer, Whole};

use super::Asking;
use crate::attempts::hold;
use crate::attempts::{self, AttemptInput};
use crate::response::error::{Failed, Refused};
use crate::response::headers;

/// The longest summary that is read.
const MAX_SUMMARY_BYTES: usize = 8 << 20;

/// Asks for the summary of the conversation in `chat`, as any chat is asked for.
pub(super) async fn serve(
    asking: Asking<'_>,
    chat: &ChatRequest,
    candidates: &mut Candidates<'_>,
) -> Result<Response<Body>, Failed> {
    let Asking { proxy, call, serving, caller, .. } = asking;
    let whole = chat.encode_for(chat.model(), &[]);
    let wish = to_compact(&whole).map_err(Refused::BadRequest)?;
    let wish = parse(Endpoint::Responses, wish, None).map_err(Refused::BadRequest)?;
    let key = caller.key().map(|caller| &*caller.key);
    let (tokens, cost) =
        (wish.prompt_estimate(), hold::bounds(proxy, key, &wish, candidates.first()));
    let (mut bill, told) = asking.admit(&candidates.first().name.clone(), tokens, cost).await?;
    let (extras, catalog) = (Extras::default(), &serving.catalog);
    let demand = &asking.demand(&candidates.first().name.clone(), tokens, cost);
    let revision = serving.settings.revision;
    let asked = AttemptInput { proxy, catalog, chat: &wish, extras: &extras, demand, revision };
    let answered = match attempts::run(asked, candidates, &mut bill).await {
        Ok(answered) => answered,
        Err(failed) => return Err(bill.fail(failed)),
    };
    let told = told.attempts(&answered);
    let Answer::Whole(Whole { reply, headers: provider, deployment: by }) = answered.answer else {
        return Err(bill.fail(Refused::LongAnswer { most: MAX_SUMMARY_BYTES }));
    };
    let stamp = call.stamp(chat.model(), chat);
    let summary = reply.write(Endpoint::Responses, stamp);
    let Some(short) = compacted(&whole, &summary, reply.usage().as_ref(), stamp) else {
        let reason = format!("the model '{}' wrote no summary: try again", chat.model());
        let charged = bill.delivered(&by, &wish, &reply).key_spend;
        return Err(Failed::from(Refused::CannotKnow { reason }).spent(charged));
    };
    bill.answered_as(Some(stamp.answer_id(Endpoint::Responses, None)));
    let settled = bill.delivered(&by, &wish, &reply);
    Ok(headers::json(told.answered(proxy, call, &by, &provider).cost(settled), short))
}
