//! Refused calls for the journal: every one counted, no flood of records.
//!
//! The first refusal of a kind (credential, route, model, reason) in a second is recorded by itself. Those that follow
//! within that second are counted and become one record, which names the first of them, with the next second or round.
//! So a caller that is refused a thousand times a second costs two records, not a thousand.

use crate::{
    error::Refused, id::CallId, permit::Ask, principal::Principal, store::Note, tenant::Tenant,
};
use evidence::{CallRefused, Id, RecordKind};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::{collections::HashMap, num::NonZeroU32};

/// The most kinds kept in mind at once; above that, credential and model are left out, so that few are left.
const MAX_KINDS: usize = 1024;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    credential: Option<String>,
    route: &'static str,
    model: Option<String>,
    reason: &'static str,
}

struct Seen {
    second: i64,
    /// The first call that is not recorded yet, and how many there are.
    held: Option<(CallId, NonZeroU32)>,
}

/// The refusals of one tenant that are on their way to its journal.
#[derive(Default)]
pub(crate) struct RefusalLog(Mutex<HashMap<Kind, Seen>>);

impl RefusalLog {
    /// Takes note of a refusal. Never waits.
    pub(crate) fn note(
        &self,
        home: &Tenant,
        call: CallId,
        who: &Principal,
        ask: &Ask<'_>,
        refused: &Refused,
        now: Timestamp,
    ) {
        home.counters.refused(refused);
        let kind = Kind {
            credential: Some(who.credential()),
            route: ask.route.as_str(),
            // A name that is none of the deployment's is the client's free text.
            model: ask.offered.map(|_| ask.facts.model.to_owned()),
            reason: refused.code(),
        };
        for (kind, call, count) in self.count(kind, call, now) {
            record(home, kind, call, count, now);
        }
    }

    /// Records what was counted in seconds that are over.
    pub(crate) fn flush(&self, home: &Tenant, now: Timestamp) {
        let mut due = Vec::new();
        self.0.lock().retain(|kind, seen| {
            let over = seen.second != now.as_second();
            if over && let Some((call, count)) = seen.held.take() {
                due.push((kind.clone(), call, count));
            }
            !over
        });
        for (kind, call, count) in due {
            record(home, kind, call, count, now);
        }
    }

    /// Counts one; returns what is to be recorded now.
    fn count(
        &self,
        mut kind: Kind,
        call: CallId,
        now: Timestamp,
    ) -> Vec<(Kind, CallId, NonZeroU32)> {
        let second = now.as_second();
        let mut log = self.0.lock();
        if log.len() >= MAX_KINDS && !log.contains_key(&kind) {
            kind = Kind {
                credential: None,
                model: None,
                ..kind
            };
        }
        let mut due = Vec::new();
        match log.get_mut(&kind) {
            Some(seen) if seen.second == second => {
                let (first, count) = seen.held.unwrap_or((call, NonZeroU32::MIN));
                let more = if seen.held.is_some() {
                    count.saturating_add(1)
                } else {
                    count
                };
                seen.held = Some((first, more));
            }
            Some(seen) => {
                due.extend(
                    seen.held
                        .take()
                        .map(|(first, count)| (kind.clone(), first, count)),
                );
                seen.second = second;
                due.push((kind, call, NonZeroU32::MIN));
            }
            None => {
                log.insert(kind.clone(), Seen { second, held: None });
                due.push((kind, call, NonZeroU32::MIN));
            }
        }
        due
    }
}

fn record(home: &Tenant, kind: Kind, call: CallId, count: NonZeroU32, now: Timestamp) {
    let id = |text: &str| Id::new(text).ok();
    let (Some(call), Some(route), Some(reason)) =
        (id(&call.to_string()), id(kind.route), id(kind.reason))
    else {
        return;
    };
    let refused = CallRefused {
        call,
        credential: kind.credential.as_deref().and_then(id),
        route,
        model: kind.model.as_deref().and_then(id),
        reason,
        count,
    };
    // Nobody waits for it, and where the disk is full the refusal stands all the same.
    let note = Note {
        record: RecordKind::CallRefused(refused),
        begun: None,
    };
    let _ = home.note_first(note, now).map(|noted| noted.hand_over());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
    }

    fn kind(n: usize) -> Kind {
        Kind {
            credential: Some(n.to_string()),
            route: "/v1/chat/completions",
            model: None,
            reason: "rate_limit_exceeded",
        }
    }

    #[test]
    fn a_flood_of_refusals_is_two_records_a_second_and_none_is_lost() {
        let log = RefusalLog::default();
        let mut records = Vec::new();
        for millis in 0..5_000 {
            records.extend(log.count(kind(1), CallId::mint(at(millis)).unwrap(), at(millis)));
        }
        records.extend(log.count(kind(1), CallId::mint(at(9_000)).unwrap(), at(9_000)));
        let counted: u32 = records.iter().map(|(_, _, count)| count.get()).sum();
        assert_eq!(counted, 5_001);
        assert!(records.len() <= 11, "{}", records.len());
    }

    #[test]
    fn ever_new_kinds_take_no_more_memory() {
        let log = RefusalLog::default();
        let mut counted = 0;
        for n in 0..3 * MAX_KINDS {
            let due = log.count(kind(n), CallId::mint(at(0)).unwrap(), at(0));
            counted += due.iter().map(|(_, _, count)| count.get()).sum::<u32>();
        }
        assert!(log.0.lock().len() <= MAX_KINDS + 1);
        let held: u32 = log
            .0
            .lock()
            .values()
            .filter_map(|seen| seen.held)
            .map(|(_, count)| count.get())
            .sum();
        assert_eq!((counted + held) as usize, 3 * MAX_KINDS);
    }
}
