//! What refuses a call before any counter is touched.

use crate::{Price, Refusal, RefusalCode, Right, Rights};

/// The most choices (`n`, `best_of`) of one call: more multiplies money and the means to extract a model.
pub const MAX_CHOICES: u32 = 16;

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Text in, text out: chat and completions.
    Text,
    /// Text in, vectors out; there are no output tokens.
    Embedding,
}

/// What is known of a model's price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pricing {
    /// Its route is declared free.
    Free,
    /// It costs this.
    Priced(Price),
    /// Nothing is known: its calls are refused.
    Unpriced,
}

/// A model that the deployment offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// What it is for.
    pub task: Task,
    /// What it costs.
    pub pricing: Pricing,
    /// The most output tokens of each choice. A caller that asks for more, or says nothing, gets this bound.
    pub max_output: u32,
}

/// May this credential make this call?
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What the credential may do.
    pub rights: Rights,
    /// The lists of models that bind the credential, such as its key's and its session's: each must name the model.
    pub allow_lists: &'a [&'a [String]],
    /// The model that the caller names.
    pub model: &'a str,
    /// That model, if the deployment offers it.
    pub offered: Option<Bounds>,
    /// What the route does.
    pub task: Task,
    /// How many choices the caller wants.
    pub choices: u32,
    /// The most output tokens of each choice, if the caller says so.
    pub wanted_output: Option<u32>,
}

/// A call that nothing but a limit can refuse now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// What it costs; `None` where it is declared free.
    pub price: Option<Price>,
    /// The most output tokens of each choice; zero where the task has no output tokens.
    pub wanted_output: u32,
}

impl Question<'_> {
    /// Decides, in this order: right, model, task, price, choices, output. An earlier answer hides a later one, so
    /// that who may not call a model learns nothing about it.
    ///
    /// # Errors
    /// A [`Refusal`] that names the first rule in the way.
    pub fn decide(&self) -> Result<Decided, Refusal> {
        if !self.rights.allow(Right::Infer) {
            return Err(refuse(
                RefusalCode::InsufficientPermissions,
                "this credential may not call models; the call was not made; use a key with the scope \"infer\"".into(),
            ));
        }
        let offered = self
            .offered
            .filter(|_| self.may_use_model())
            .ok_or_else(|| self.unknown_model())?;
        if offered.task != self.task {
            return Err(self.refuse_model(
                RefusalCode::ModelNotForRoute,
                "is not for this route",
                "use the route it is for",
            ));
        }
        let price = match offered.pricing {
            Pricing::Free => None,
            Pricing::Priced(price) => Some(price),
            Pricing::Unpriced => {
                let remedy = "ask the operator to give it a price or to declare it free";
                return Err(self.refuse_model(RefusalCode::ModelNotPriced, "has no price", remedy));
            }
        };
        if self.choices == 0 || self.choices > MAX_CHOICES {
            let message = format!(
                "the number of choices must be 1 to {MAX_CHOICES}; the call was not made; ask for that many"
            );
            return Err(refuse(RefusalCode::ChoicesOutOfBounds, message));
        }
        let wanted_output = match (self.task, self.wanted_output) {
            (Task::Embedding, _) => 0,
            // some upstreams read zero as "no limit"
            (Task::Text, Some(0)) => {
                let message =
                    "the output limit is zero; the call was not made; ask for at least one token";
                return Err(refuse(RefusalCode::NoOutput, message.into()));
            }
            (Task::Text, wanted) => wanted.unwrap_or(offered.max_output).min(offered.max_output),
        };
        Ok(Decided {
            price,
            wanted_output,
        })
    }

    fn may_use_model(&self) -> bool {
        self.allow_lists
            .iter()
            .all(|list| list.iter().any(|name| name == self.model))
    }

    /// One answer for a model that does not exist and one that this credential may not use.
    fn unknown_model(&self) -> Refusal {
        self.refuse_model(
            RefusalCode::ModelNotFound,
            "does not exist or is not for this credential",
            "use a model that GET /v1/models lists",
        )
    }

    fn refuse_model(&self, code: RefusalCode, what: &str, remedy: &str) -> Refusal {
        let shown: String = self.model.chars().take(100).collect();
        refuse(
            code,
            format!("the model {shown:?} {what}; the call was not made; {remedy}"),
        )
    }
}

fn refuse(code: RefusalCode, message: String) -> Refusal {
    Refusal {
        code,
        scope: None,
        retry_after: None,
        message,
    }
}
