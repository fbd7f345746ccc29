//! `dunlin models`: the models that the key may call, one per line.

use serde::Deserialize;

use crate::failure::Result;
use crate::session::Session;
use crate::table::plain;

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

pub(crate) async fn run(session: &Session) -> Result {
    let answer = session.get("/v1/models", &[]).await?;
    let models: Models = answer.read()?;
    if models.data.is_empty() {
        session.say("note: this key may not call any model");
    }
    let lines: String = models.data.iter().map(|model| plain(&model.id) + "\n").collect();
    session.show("dunlin.models/1", answer.read()?, &lines)
}
