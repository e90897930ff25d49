//! What is recorded of a call before it leaves.

use super::Held;
use crate::{
    error::Refused,
    id::CallId,
    permit::Ask,
    principal::{BlindName, Principal},
    store::{Begun, Note, Noted},
    tenant::Tenant,
};
use evidence::{Blinded, CallIntent, Id, REQUEST_LABEL, RecordKind, commit};
use jiff::Timestamp;

/// The policy that [`crate::Permit::clean`] applies today, as the journal names it.
const NO_RULES: &str = "no-rules/1";

/// The intent of a call, complete but for what is held.
pub(crate) struct Intent {
    record: CallIntent,
    begun: Begun,
}

impl Intent {
    /// # Errors
    ///
    /// [`Refused::Internal`] where the deployment gave a model or an upstream a name that is no [`Id`].
    pub(crate) fn new(
        home: &Tenant,
        call: CallId,
        who: &Principal,
        ask: &Ask<'_>,
        now: Timestamp,
    ) -> Result<Self, Refused> {
        let id = |text: &str| Id::new(text).map_err(|_| Refused::Internal);
        let salt = home.keys.commitment_salt(&call);
        let journalled =
            |name: Option<BlindName>| name.map(|name| Blinded::from_bytes(name.journalled));
        let record = CallIntent {
            call: id(&call.to_string())?,
            credential: id(&who.credential())?,
            subject: journalled(who.subject),
            session: journalled(who.session),
            route: id(ask.route.as_str())?,
            model: id(ask.facts.model)?,
            upstream: id(ask.upstream)?,
            policy: id(NO_RULES)?,
            bound_input_tokens: 0,
            bound_output_tokens: 0,
            reserved_nanos: 0,
            request_commitment: commit(&salt, REQUEST_LABEL, ask.request_bytes),
        };
        let begun = Begun {
            subject: who.subject.map(|name| name.stored),
            session: who.session.map(|name| name.stored),
            started: now,
        };
        Ok(Self { record, begun })
    }

    /// Notes the intent, with what is held. It is not recorded yet.
    pub(crate) fn note(mut self, home: &Tenant, held: &Held) -> Result<Noted, Refused> {
        let bound = held.bound();
        self.record.bound_input_tokens = bound.input;
        self.record.bound_output_tokens = bound.output;
        self.record.reserved_nanos = held.cost().get();
        let note = Note {
            record: RecordKind::CallIntent(self.record),
            begun: Some(self.begun),
        };
        home.note_first(note, self.begun.started)
    }
}
