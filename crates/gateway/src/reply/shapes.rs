//! The whole answers of each route, as the reply sees them.

use wire::openai::{
    chat::ChatResponse, completions::CompletionResponse, embeddings::EmbeddingResponse,
    usage::Usage,
};

use super::Answer;

impl Answer for ChatResponse {
    fn stamp(&mut self, id: &str, model: &str) {
        self.set_id(id);
        self.set_model(model);
    }

    fn usage(&self) -> Option<&Usage> {
        self.usage()
    }

    fn write(&self) -> Vec<u8> {
        self.write()
    }
}

impl Answer for CompletionResponse {
    fn stamp(&mut self, id: &str, model: &str) {
        self.set_id(id);
        self.set_model(model);
    }

    fn usage(&self) -> Option<&Usage> {
        self.usage()
    }

    fn write(&self) -> Vec<u8> {
        self.write()
    }
}

/// The API gives this answer no id.
impl Answer for EmbeddingResponse {
    fn stamp(&mut self, _id: &str, model: &str) {
        self.set_model(model);
    }

    fn usage(&self) -> Option<&Usage> {
        self.usage()
    }

    fn write(&self) -> Vec<u8> {
        self.write()
    }
}
