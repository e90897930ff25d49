//! What a call costs in the end, whatever happens to it.

use crate::support::{Site, Tenant, ask, completed, money, now, outcome, sent, verified};
use compartment::{CallEnd, Compartment, Ended, Outcome, Permit, Principal};

struct Calls {
    site: Site,
    tenant: Tenant,
    home: Compartment,
    who: Principal,
}

impl Calls {
    async fn new() -> Self {
        let site = Site::new();
        let tenant = site.tenant("one").await;
        let (home, who) = site.admit(&tenant.token).await.unwrap();
        Self {
            site,
            tenant,
            home,
            who,
        }
    }

    /// A call that reserved 10 tokens in and 20 out, at a thousandth each.
    async fn permit(&self) -> Permit {
        let mut permit = self
            .home
            .permit(&self.who, ask(10, 20), now())
            .await
            .unwrap();
        permit.durable().await.unwrap();
        assert_eq!(permit.max_output(), 20);
        permit
    }

    async fn end(&self, permit: impl FnOnce(Permit), call: Permit) -> CallEnd {
        let id = *call.call_id();
        permit(call);
        self.site.house.settled().await;
        self.home
            .calls()
            .get(&id)
            .await
            .unwrap()
            .unwrap()
            .end
            .unwrap()
    }
}

#[tokio::test]
async fn a_call_is_billed_by_what_was_reported_observed_or_reserved() {
    let calls = Calls::new().await;
    // how it ended, what was reported, what was observed (tokens, bytes); what is billed: in, out, cost, basis
    #[rustfmt::skip]
    let cases = [
        (Ended::Completed, Some((7, 5)), (5, 20), (7, 5, "0.012", "measured")),
        (Ended::Completed, None, (5, 20), (10, 20, "0.030", "bound")),
        (Ended::Completed, Some((0, 0)), (5, 20), (10, 20, "0.030", "bound")),
        (Ended::Completed, Some((10_000, 10_000)), (5, 20), (10, 20, "0.030", "measured")),
        (Ended::ClientGone, None, (5, 8), (10, 5, "0.015", "observed")),
        (Ended::ClientGone, None, (1, 29), (10, 8, "0.018", "observed")),
        (Ended::ClientGone, None, (900, 9_000), (10, 20, "0.030", "observed")),
        (Ended::ClientGone, None, (0, 0), (10, 0, "0.010", "observed")),
        (Ended::ClientGone, Some((7, 3)), (3, 0), (7, 3, "0.010", "measured")),
        (Ended::CutAtReservation, None, (22, 60), (10, 20, "0.030", "observed")),
        (Ended::NotSent, None, (0, 0), (0, 0, "0", "measured")),
        (Ended::UpstreamRefused, None, (0, 0), (0, 0, "0", "measured")),
        (Ended::UpstreamFailed, None, (3, 10), (10, 20, "0.030", "bound")),
        (Ended::UpstreamFailed, Some((7, 3)), (3, 10), (7, 3, "0.010", "measured")),
        (Ended::Abandoned, None, (3, 10), (10, 3, "0.013", "observed")),
    ];
    for (ended, reported, (tokens, bytes), (input, output, cost, basis)) in cases {
        let mut permit = calls.permit().await;
        sent(&mut permit);
        permit.observe_output(tokens, bytes);
        let settle = |permit: Permit| {
            let settled = permit.settle(outcome(ended, reported));
            assert_eq!(settled.cost, money(cost));
        };
        let end = calls.end(settle, permit).await;
        let found = (end.input_tokens, end.output_tokens, end.cost, end.basis);
        assert_eq!(
            found,
            (input, output, money(cost), basis),
            "{ended:?} {reported:?}"
        );
    }
    let report = verified(&calls.tenant.admin).await;
    assert_eq!((report.over_reservation, report.open_calls), (0, 0));
}

#[tokio::test]
async fn a_dropped_permit_is_billed_for_what_was_observed_and_for_nothing_before_it_was_sent() {
    let calls = Calls::new().await;
    let end = calls.end(drop, calls.permit().await).await;
    assert_eq!((end.outcome, end.cost), ("abandoned", money("0")));

    let mut permit = calls.permit().await;
    sent(&mut permit);
    permit.observe_output(4, 9);
    let end = calls.end(drop, permit).await;
    assert_eq!(
        (end.outcome, end.cost, end.basis),
        ("abandoned", money("0.014"), "observed")
    );
}

#[tokio::test]
async fn a_permit_may_be_dropped_outside_any_runtime() {
    let calls = Calls::new().await;
    let permit = calls.permit().await;
    let id = *permit.call_id();
    std::thread::spawn(move || drop(permit)).join().unwrap();
    calls.site.house.settled().await;
    assert!(
        calls
            .home
            .calls()
            .get(&id)
            .await
            .unwrap()
            .unwrap()
            .end
            .is_some()
    );
    assert_eq!(calls.site.house.stats().permits_in_flight, 0);
}

#[tokio::test]
async fn one_permit_sends_one_request() {
    let calls = Calls::new().await;
    let mut permit = calls.permit().await;
    let clean = permit.clean("hello".to_owned()).unwrap();
    assert_eq!(
        (clean.request().as_str(), clean.max_output()),
        ("hello", 20)
    );
    assert!(permit.clean("again".to_owned()).is_err());
    let _ = permit.settle(completed(1, 1));
}

#[tokio::test]
async fn a_stream_is_cut_only_when_it_certainly_exceeds_its_reservation() {
    let calls = Calls::new().await;
    let mut permit = calls.permit().await;
    // 20 tokens that are all long words, and one last empty-handed piece.
    permit.observe_output(21, 20 * 12);
    assert!(!permit.exceeded());
    permit.observe_output(1, 0);
    assert!(permit.exceeded());
    let mut silent = calls.permit().await;
    silent.observe_output(1, 4_000);
    assert!(silent.exceeded());
}

#[tokio::test]
async fn derived_fields_are_the_tenants_own_and_fold_the_callers_in() {
    let site = Site::new();
    let mut seen = std::collections::BTreeSet::new();
    for name in ["a", "b"] {
        let tenant = site.tenant(name).await;
        let (home, who) = site.admit(&tenant.token).await.unwrap();
        for (upstream, key, user) in [
            ("up", None, None),
            ("up", Some("k"), None),
            ("down", Some("k"), None),
            ("up", None, Some("u")),
        ] {
            let mut wanted = ask(1, 1);
            (
                wanted.upstream,
                wanted.caller_cache_key,
                wanted.facts.caller_identity,
            ) = (upstream, key, user);
            let mut fields = Vec::new();
            for _ in 0..2 {
                let mut permit = home.permit(&who, wanted.clone(), now()).await.unwrap();
                let clean = permit.clean(String::new()).unwrap();
                let derived = clean.derived();
                fields.push(
                    [
                        derived.cache_salt(),
                        derived.prompt_cache_key(),
                        derived.safety_identifier(),
                    ]
                    .map(str::to_owned),
                );
            }
            assert_eq!(fields[0], fields[1]);
            assert!(fields[0].iter().all(|field| field.len() == 43));
            assert_eq!(
                fields[0]
                    .iter()
                    .collect::<std::collections::BTreeSet<_>>()
                    .len(),
                3
            );
            seen.extend(fields.swap_remove(0));
        }
    }
    // Two tenants; salt and cache key differ by upstream and caller's key (3 of each), the identifier by upstream and end user (3).
    assert_eq!(seen.len(), 2 * (3 + 3 + 3));
}

#[tokio::test]
async fn the_journal_says_what_was_asked_and_answered_only_to_whoever_kept_it() {
    let calls = Calls::new().await;
    let mut permit = calls.permit().await;
    sent(&mut permit);
    permit.commit_answer(b"to be ");
    permit.commit_answer(b"or not");
    let _ = permit.settle(Outcome {
        ended: Ended::Completed,
        status: 200,
        usage: None,
    });
    calls.site.house.settled().await;
    let records = calls.tenant.admin.journal().records(0, 100).await.unwrap();
    let texts: Vec<_> = records
        .iter()
        .map(|record| String::from_utf8(record.body.clone()).unwrap())
        .collect();
    let settled = texts
        .iter()
        .find(|text| text.contains("call_settled"))
        .unwrap();
    assert!(!settled.contains("\"answer_commitment\":null") && !settled.contains("to be"));
    assert!(
        texts
            .iter()
            .any(|text| text.contains("\"policy\":\"no-rules/1\""))
    );
}
