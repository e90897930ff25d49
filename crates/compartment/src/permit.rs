//! One admitted call, from the reservation to the settlement.
//!
//! The order is the promise: decided, paid for, recorded, and only then a [`Permit`]. From the moment money is held
//! there is a `Permit`, so whatever happens next (an error, a dropped future, a panic) ends in a settlement.

use crate::{
    clean::{Clean, Derived},
    compartment::Compartment,
    error::Refused,
    id::CallId,
    meter::{self, Bill, Held, Intent, NO_TOKENS, Observed, Settlement},
    principal::Principal,
    store::Noted,
    tenant::Tenant,
};
use evidence::{ANSWER_LABEL, Committer};
use jiff::Timestamp;
use std::{fmt, sync::Arc, time::Instant};
use wire::openai::{AskFacts, Texts};

/// The route of a call, as records name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// `/v1/chat/completions`
    ChatCompletions,
    /// `/v1/completions`
    Completions,
    /// `/v1/embeddings`
    Embeddings,
}

impl Route {
    /// The path, with `/v1`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
        }
    }

    pub(crate) fn task(self) -> policy::Task {
        match self {
            Self::ChatCompletions | Self::Completions => policy::Task::Text,
            Self::Embeddings => policy::Task::Embedding,
        }
    }
}

/// What a call wants, as far as admission needs to know. Who wants it comes from the principal alone.
#[derive(Clone)]
pub struct Ask<'a> {
    /// Where it came in.
    pub route: Route,
    /// What the parsed request says of itself.
    pub facts: AskFacts<'a>,
    /// The model that the caller names, if the deployment offers it. Such a name is an [`evidence::Id`].
    pub offered: Option<policy::Bounds>,
    /// The name of the upstream it will go to, an [`evidence::Id`]. Part of what the derived fields depend on.
    pub upstream: &'a str,
    /// The caller's own cache key or salt, if it sent one: folded in, never passed on.
    pub caller_cache_key: Option<&'a str>,
    /// The body as it came in, for the commitment in the journal. It is not kept.
    pub request_bytes: &'a [u8],
}

impl fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("route", &self.route)
            .field("request_bytes", &self.request_bytes.len())
            .finish_non_exhaustive()
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The answer was delivered whole. Without reported usage it is billed at the bound.
    Completed,
    /// The client went away. Billed for what was observed until then.
    ClientGone,
    /// Cut because the reservation was used up, see [`Permit::exceeded`].
    CutAtReservation,
    /// Nothing left: the upstream could not be reached. Costs nothing.
    NotSent,
    /// The upstream answered with an error instead of an answer. Costs nothing.
    UpstreamRefused,
    /// The upstream broke off or fell silent after it had taken the call. Without reported usage it is billed at the
    /// bound, because nobody knows what it produced.
    UpstreamFailed,
    /// The gateway itself gave up, such as on shutdown. Billed for what was observed until then.
    Abandoned,
}

/// The result of a call, for its settlement.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// The HTTP status that the client got, or would have got.
    pub status: u16,
    /// What the upstream reported, if it did.
    pub usage: Option<policy::TokenUse>,
}

/// The fields that go out in place of the caller's. A label names the field, so that one never equals another.
fn derive(home: &Tenant, who: &Principal, ask: &Ask<'_>) -> Derived {
    let subject = who.subject.map(|subject| hex::encode(subject.stored));
    let end_user = subject.as_deref().or(ask.facts.caller_identity);
    Derived {
        cache_salt: home
            .keys
            .upstream_field("cache-salt", ask.upstream, ask.caller_cache_key),
        prompt_cache_key: home.keys.upstream_field(
            "prompt-cache-key",
            ask.upstream,
            ask.caller_cache_key,
        ),
        safety_identifier: home
            .keys
            .upstream_field("safety-identifier", ask.upstream, end_user),
    }
}

/// What a call cost in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The tokens that were billed.
    pub tokens: policy::TokenUse,
    /// What was charged; never above what was reserved.
    pub cost: policy::Nanos,
}

impl Settled {
    const NOTHING: Self = Self {
        tokens: NO_TOKENS,
        cost: policy::Nanos::ZERO,
    };
}

/// The right to make one call, once. Dropping it settles the call as abandoned.
#[must_use = "a permit holds money; settle it"]
pub struct Permit {
    home: Arc<Tenant>,
    call: CallId,
    /// `None` once settled.
    held: Option<Held>,
    /// Once it is noted.
    intent: Option<Noted>,
    derived: Derived,
    /// Whether a [`Clean`] was made: before that, nothing can have left.
    cleaned: bool,
    observed: Observed,
    answer: Option<Committer>,
    began: Timestamp,
    clock: Instant,
}

impl Compartment {
    /// Admits one call: rights and model, rates, money and a concurrency slot, and the intent in the journal. Resolves
    /// once the intent is recorded and survives the death of the process; see [`Permit::durable`] for the rest.
    ///
    /// Dropping the future at any point gives everything back.
    ///
    /// # Errors
    ///
    /// Whatever stands in the way first. Nothing was sent, and the refusal is in the journal.
    pub async fn permit(
        &self,
        who: &Principal,
        ask: Ask<'_>,
        now: Timestamp,
    ) -> Result<Permit, Refused> {
        let home = self.tenant_of(who, now)?;
        let call = CallId::mint(now)?;
        let intent = Intent::new(home, call, who, &ask, now);
        let held = match home.meter.hold(home, who, &ask, now).await {
            Ok(held) => held,
            Err(refused) => {
                home.refusals.note(home, call, who, &ask, &refused, now);
                return Err(refused);
            }
        };
        let mut permit = Permit::holding(home, call, held, derive(home, who, &ask), now);
        permit.record(intent?).await?;
        Ok(permit)
    }
}

impl Permit {
    fn holding(
        home: &Arc<Tenant>,
        call: CallId,
        held: Held,
        derived: Derived,
        now: Timestamp,
    ) -> Self {
        home.counters.permit_opened();
        Self {
            home: Arc::clone(home),
            call,
            held: Some(held),
            intent: None,
            derived,
            cleaned: false,
            observed: Observed::default(),
            answer: None,
            began: now,
            clock: Instant::now(),
        }
    }

    async fn record(&mut self, intent: Intent) -> Result<(), Refused> {
        let held = self.held.as_ref().ok_or(Refused::Internal)?;
        let noted = self.intent.insert(intent.note(&self.home, held)?);
        noted
            .recorded()
            .await
            .map_err(|error| self.home.fault(error))
    }

    /// The call's id, minted here: what the client gets to see and what records show.
    #[must_use]
    pub fn call_id(&self) -> &CallId {
        &self.call
    }

    /// The most output tokens of each choice: what the upstream must be told.
    #[must_use]
    pub fn max_output(&self) -> u32 {
        self.held.as_ref().map_or(0, Held::max_output)
    }

    /// Waits until the intent survives a loss of power too. To be awaited before the first byte goes to the client; the
    /// write overlaps the upstream's latency, so that it costs no time.
    ///
    /// # Errors
    ///
    /// [`Refused::StoreUnavailable`] where the disk refused: the answer must not go out.
    pub async fn durable(&mut self) -> Result<(), Refused> {
        match &mut self.intent {
            Some(noted) => noted
                .durable()
                .await
                .map_err(|error| self.home.fault(error)),
            None => Err(Refused::Internal),
        }
    }

    /// Applies the tenant's rules to every text of `request` and makes it fit to be sent, once.
    ///
    /// # Errors
    ///
    /// [`Refused::Internal`] the second time: one permit is one call.
    pub fn clean<R: Texts>(&mut self, request: R) -> Result<Clean<R>, Refused> {
        if std::mem::replace(&mut self.cleaned, true) {
            return Err(Refused::Internal);
        }
        Ok(Clean {
            request,
            derived: self.derived.clone(),
            max_output: self.max_output(),
        })
    }

    /// Counts a piece of the answer: the tokens it is at least (over all choices), and its bytes of text.
    pub fn observe_output(&mut self, tokens_at_least: u32, bytes: usize) {
        self.observed.add(tokens_at_least, bytes);
    }

    /// Adds bytes of the answer, as the client gets them, to the commitment that the journal keeps. Where the pieces
    /// are cut makes no difference. The bytes are not kept.
    pub fn commit_answer(&mut self, bytes: &[u8]) {
        self.answer
            .get_or_insert_with(|| {
                Committer::new(&self.home.keys.commitment_salt(&self.call), ANSWER_LABEL)
            })
            .update(bytes);
    }

    /// Whether the upstream has certainly produced more than was reserved, so that the stream must be cut.
    #[must_use]
    pub fn exceeded(&self) -> bool {
        self.held
            .as_ref()
            .is_some_and(|held| self.observed.exceeds(held))
    }

    /// Ends the call: bills it, gives the rest back, and records both. Returns at once; the record is on its way and
    /// survives a full disk as long as the process lives. A process that dies before it is written settles the call at
    /// the bound when it starts again.
    pub fn settle(mut self, outcome: Outcome) -> Settled {
        self.end(outcome)
    }

    /// INVARIANT: takes `held`, so that whoever comes second does nothing.
    fn end(&mut self, outcome: Outcome) -> Settled {
        let Some(held) = self.held.take() else {
            return Settled::NOTHING;
        };
        let bill = Bill::of(&held, &outcome, self.observed, self.cleaned);
        let settlement = Settlement {
            call: self.call,
            outcome,
            bill,
            answer: self.answer.take().map(Committer::finish),
            // The clock that was given, gone on.
            at: self
                .began
                .checked_add(self.clock.elapsed())
                .unwrap_or(self.began),
        };
        self.home.counters.permit_closed();
        meter::settle(&self.home, held, &settlement, self.intent.is_some())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(Outcome {
            ended: Ended::Abandoned,
            status: 499,
            usage: None,
        });
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("call", &self.call)
            .field("settled", &self.held.is_none())
            .finish_non_exhaustive()
    }
}
