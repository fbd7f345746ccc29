//! A call whose sound passes by the gateway is heard from beside: over a WebSocket the provider tells
//! what its model answers, so that each answer is admitted and charged as in any conversation. A call
//! that cannot be heard any more, or may not go on, is hung up.

use std::sync::Arc;

use axum::http::Method;
use dunlin_providers::sigv4::path_segment;
use dunlin_router::Deployment;
use dunlin_upstream::Conversation;
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tracing::{debug, warn};

use super::frames::MAX_FRAME_BYTES;
use super::talk::{End, FAREWELL, IDLE, LIFETIME, Talk};
use crate::Proxy;
use crate::ids::Kind;
use crate::server::Open;
use crate::stored::fetch;

/// What is read at a time, in bytes.
const PIECE_BYTES: usize = 16 << 10;

type Beside = WebSocketStream<TokioIo<Upgraded>>;

impl Talk {
    /// Hears the call that its provider knows as `id`, until it is over.
    pub(super) async fn attend(self, beside: Conversation, id: &str, open: &Open) {
        let Conversation { bytes, ending, .. } = beside;
        let most = usize::try_from(MAX_FRAME_BYTES).ok();
        let config = WebSocketConfig::default()
            .read_buffer_size(PIECE_BYTES)
            .max_message_size(most)
            .max_frame_size(most);
        let bytes = TokioIo::new(bytes);
        let mut beside = WebSocketStream::from_raw_socket(bytes, Role::Client, Some(config)).await;
        let end = tokio::select! {
            end = self.listen(&mut beside, open) => end,
            () = tokio::time::sleep(LIFETIME) => End::Lasted,
            () = open.cut.cancelled() => End::Cut,
        };
        let is_over = matches!(end, End::ClientGone);
        ending.over(matches!(end, End::UpstreamGone));
        let (proxy, by) = (self.turns.proxy().clone(), Arc::clone(self.turns.by()));
        debug!(model = %self.turns.model(), "a call is over: {}", end.words().1);
        // An answer that was begun and not counted is estimated; so is a transcript.
        drop((self.turns, self.transcripts));
        if !is_over && !hang_up(&proxy, &by, id).await {
            warn!(
                deployment.id = %by.id,
                "lost contact with a WebRTC call and could not hang it up: it continues"
            );
        }
        drop(tokio::time::timeout(FAREWELL, beside.close(None)).await);
    }

    /// A call that its provider has ended is one whose client is gone.
    async fn listen(&self, beside: &mut Beside, open: &Open) -> End {
        loop {
            let may_leave = self.is_idle();
            let heard = tokio::select! {
                heard = tokio::time::timeout(IDLE, beside.next()) => heard,
                () = open.leaving.cancelled(), if may_leave => return End::Leaving,
            };
            let text = match heard {
                Err(_) => return End::Silent,
                Ok(Some(Ok(Message::Text(text)))) => text,
                Ok(Some(Ok(Message::Close(_)))) => return End::ClientGone,
                Ok(Some(Ok(_))) => {
                    // Pings are answered when something is sent.
                    drop(beside.flush().await);
                    continue;
                }
                Ok(Some(Err(_)) | None) => return End::UpstreamGone,
            };
            if let Err(refused) = self.hear(text.as_bytes()).await {
                return End::Unasked(refused);
            }
        }
    }
}

/// Ends a call at its provider. Whether it is over.
pub(super) async fn hang_up(proxy: &Proxy, by: &Arc<Deployment>, id: &str) -> bool {
    let path = format!("/{}/{}/hangup", Kind::Call.collection(), path_segment(id));
    let serving = proxy.0.serving.load_full();
    let answered = fetch::ask_for(proxy, &serving, by, (Method::POST, path)).await;
    // One that is not there is over.
    answered.is_some_and(|answer| answer.status.is_success() || answer.status.as_u16() == 404)
}
