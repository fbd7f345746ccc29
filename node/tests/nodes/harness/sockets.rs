//! A client of WebSockets.

use anyhow::Context;
use futures::StreamExt;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{SOON, Setup};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Connects to `path` with these headers.
pub(crate) async fn connect(
    setup: &Setup,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<Socket, Error> {
    connect_to(setup, 0, path, headers).await
}

/// The same on another node.
pub(crate) async fn connect_to(
    setup: &Setup,
    node: usize,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<Socket, Error> {
    let url = setup.cluster.url(node, path).replace("http://", "ws://");
    let mut request = url.into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("a header"));
    }
    connect_async(request).await.map(|(socket, _)| socket)
}

/// The next event, or the code of the end.
pub(crate) async fn next(socket: &mut Socket) -> anyhow::Result<Result<Value, u16>> {
    loop {
        let message = tokio::time::timeout(SOON, socket.next()).await.context("silence")?;
        match message.context("it ended without a word")?? {
            Message::Text(text) => return Ok(Ok(serde_json::from_str(&text)?)),
            Message::Close(frame) => return Ok(Err(frame.map_or(1005, |frame| frame.code.into()))),
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}
