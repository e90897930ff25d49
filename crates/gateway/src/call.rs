//! One admitted call on its way through the gateway: its permit, and the one log line it leaves.

use std::{sync::Arc, time::Instant};

use compartment::{Clean, Ended, Outcome, Permit, Refused, Route};
use policy::TokenUse;
use wire::openai::{Texts, usage::Usage};

use crate::{
    metrics::{CallEnded, Metrics},
    refusal::Refusal,
    upstream::Fault,
};

/// A permit that is settled whatever happens: where the flow is dropped, its client has gone.
pub(crate) struct Call {
    /// INVARIANT: there until `settle` takes it.
    permit: Option<Permit>,
    id: String,
    route: Route,
    upstream: String,
    began: Instant,
    unseen: bool,
    metrics: Arc<Metrics>,
}

impl Call {
    pub(crate) fn new(
        metrics: &Arc<Metrics>,
        permit: Permit,
        route: Route,
        upstream: &str,
    ) -> Call {
        Call {
            id: permit.call_id().to_string(),
            permit: Some(permit),
            route,
            upstream: upstream.to_owned(),
            began: Instant::now(),
            unseen: false,
            metrics: Arc::clone(metrics),
        }
    }

    /// Our id of it, which the client, the upstream and the journal see.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// See [`Permit::clean`].
    pub(crate) fn clean<R: Texts>(&mut self, request: R) -> Result<Clean<R>, Refusal> {
        let cleaned = match &mut self.permit {
            Some(permit) => permit.clean(request),
            None => Err(Refused::Internal),
        };
        cleaned.map_err(|refused| self.refused(refused))
    }

    /// See [`Permit::durable`].
    pub(crate) async fn durable(&mut self) -> Result<(), Refused> {
        match &mut self.permit {
            Some(permit) => permit.durable().await,
            None => Err(Refused::Internal),
        }
    }

    /// Counts a piece of the answer. Whether it goes on: a piece past the reservation must not go out.
    pub(crate) fn observe(&mut self, tokens_at_least: u32, bytes: usize) -> bool {
        self.permit.as_mut().is_some_and(|permit| {
            permit.observe_output(tokens_at_least, bytes);
            !permit.exceeded()
        })
    }

    /// Adds bytes that go to the client to the journal's commitment.
    pub(crate) fn commit(&mut self, bytes: &[u8]) {
        if let Some(permit) = &mut self.permit {
            permit.commit_answer(bytes);
        }
    }

    /// From here on an answer may be in the making that nobody will have seen if the client goes: it is then billed at
    /// the bound.
    pub(crate) fn unseen(&mut self) {
        self.unseen = true;
    }

    /// Ends it with an answer, whole or cut.
    pub(crate) fn answered(&mut self, ended: Ended, usage: Option<&Usage>) {
        self.settle(ended, 200, usage);
    }

    /// Ends it with what the upstream did instead of answering.
    pub(crate) fn failed(&mut self, fault: Fault, usage: Option<&Usage>) -> Refusal {
        let ended = fault.ended();
        self.end(ended, fault, usage)
    }

    /// Ends it before anything was sent.
    pub(crate) fn refused(&mut self, refusal: impl Into<Refusal>) -> Refusal {
        self.end(Ended::NotSent, refusal, None)
    }

    /// Ends it because the gateway cannot go on with it.
    pub(crate) fn given_up(&mut self, refusal: impl Into<Refusal>) -> Refusal {
        self.end(Ended::Abandoned, refusal, None)
    }

    fn end(&mut self, ended: Ended, refusal: impl Into<Refusal>, usage: Option<&Usage>) -> Refusal {
        let refusal = refusal.into().for_call(self.id.clone());
        self.settle(ended, refusal.status(), usage);
        refusal
    }

    fn settle(&mut self, ended: Ended, status: u16, usage: Option<&Usage>) {
        let Some(mut permit) = self.permit.take() else {
            return;
        };
        if self.unseen && matches!(ended, Ended::ClientGone | Ended::Abandoned) {
            permit.observe_output(u32::MAX, 0);
        }
        let settled = permit.settle(Outcome {
            ended,
            status,
            usage: usage.map(tokens),
        });
        let took = self.began.elapsed();
        self.metrics.call_ended(&CallEnded {
            route: self.route.as_str(),
            upstream: &self.upstream,
            outcome: word(ended),
            status,
            took,
            input_tokens: settled.tokens.input,
            output_tokens: settled.tokens.output,
        });
        // an allow-list: nothing that a caller or a tenant chose
        tracing::info!(
            call = %self.id,
            route = self.route.as_str(),
            status,
            ended = word(ended),
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            input_tokens = settled.tokens.input,
            output_tokens = settled.tokens.output,
            "call"
        );
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.settle(Ended::ClientGone, 499, None);
    }
}

/// How a call ended, in the fixed words of logs and metrics.
fn word(ended: Ended) -> &'static str {
    match ended {
        Ended::Completed => "completed",
        Ended::ClientGone => "client_gone",
        Ended::CutAtReservation => "cut_at_reservation",
        Ended::NotSent => "not_sent",
        Ended::UpstreamRefused => "upstream_refused",
        Ended::UpstreamFailed => "upstream_failed",
        Ended::Abandoned => "abandoned",
    }
}

fn tokens(usage: &Usage) -> TokenUse {
    TokenUse {
        input: usage.prompt_tokens,
        cached_input: usage
            .prompt_tokens_details
            .and_then(|details| details.cached_tokens)
            .unwrap_or_default(),
        // this protocol does not report it: the dear side
        cache_written: usage.prompt_tokens,
        output: usage.completion_tokens.unwrap_or_default(),
    }
}
