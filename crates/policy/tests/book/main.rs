//! The promises of the book, under every interleaving that fits in a test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod any_order;
mod store;

use std::time::Duration;

use jiff::Timestamp;
use policy::{
    Book, LimitSet, Limits, Nanos, Price, Refusal, RefusalCode, Reservation, ReserveAsk, Reserved,
    Scope, Tally, Window,
};

use store::{NOON, Store, at, money};

/// One unit of money for one output token, input is free: costs are easy to read.
fn unit_per_output_token() -> Price {
    Price::new(Nanos::ZERO, money("1000000"))
}

/// A book with its store, used as the compartment uses them.
struct Bench {
    book: Book,
    store: Store,
    limits: LimitSet,
    now: Timestamp,
}

impl Bench {
    fn new(limits: &str) -> Bench {
        Bench {
            book: Book::new(100),
            store: Store::default(),
            limits: serde_json::from_str(limits).unwrap(),
            now: at(NOON),
        }
    }

    fn reserve_for(
        &mut self,
        key: &str,
        subject: Option<&str>,
        wanted_output: u32,
    ) -> Result<Reservation, Refusal> {
        let limits = self.limits.effective(Some(key), subject, "m");
        let ask = ReserveAsk {
            limits: &limits,
            price: Some(unit_per_output_token()),
            input_token_bound: 100,
            wanted_output,
            choices: 1,
        };
        for _ in 0..3 {
            match self.book.reserve(self.now, &ask)? {
                Reserved::Granted(reservation) => return Ok(reservation),
                Reserved::NotLoaded(missing) => {
                    let spends = self.store.read(&missing);
                    self.book.load(missing, &spends);
                }
            }
        }
        panic!("the book asks for the same spend for ever");
    }

    fn reserve(&mut self, wanted_output: u32) -> Result<Reservation, Refusal> {
        self.reserve_for("k", None, wanted_output)
    }

    fn settle(&mut self, reservation: Reservation, cost: &str) -> Vec<(String, u8)> {
        let charge = reservation.charge(money(cost));
        self.store.add(&charge);
        let crossed = self.book.settle(charge);
        crossed
            .into_iter()
            .map(|t| (format!("{} {}", t.scope, t.window.kind()), t.percent))
            .collect()
    }

    fn today(&self, scope: Scope) -> (String, String) {
        let Tally { spent, reserved } = self
            .book
            .tally(&scope, Window::all_at(self.now)[0])
            .unwrap();
        (spent.to_string(), reserved.to_string())
    }
}

#[test]
fn output_is_clamped_to_the_money_left_in_the_tightest_limit() {
    let mut bench = Bench::new(
        r#"{"tenant":{"money_per_month":"100"},"each_key":{"money_per_day":"30"},"models":{"m":{"money_total":"20"}}}"#,
    );
    let first = bench.reserve(15).unwrap();
    assert_eq!((first.output_tokens(), first.cost()), (15, money("15")));
    let second = bench.reserve(15).unwrap();
    assert_eq!(
        (second.output_tokens(), second.cost()),
        (5, money("5")),
        "the model has 20 in total"
    );
    let refusal = bench.reserve(15).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.scope),
        (
            RefusalCode::InsufficientQuota,
            Some(Scope::Model("m".into()))
        )
    );
    assert_eq!(
        refusal.retry_after,
        Some(Duration::from_secs(1)),
        "calls in flight may give it back"
    );
}

#[test]
fn what_a_call_did_not_use_is_free_again_and_never_more_than_reserved_is_charged() {
    let mut bench = Bench::new(r#"{"tenant":{"money_per_day":"10"}}"#);
    let call = bench.reserve(10).unwrap();
    assert_eq!(bench.today(Scope::Tenant), ("0".into(), "10".into()));
    bench.settle(call, "3");
    assert_eq!(bench.today(Scope::Tenant), ("3".into(), "0".into()));

    let call = bench.reserve(10).unwrap();
    assert_eq!(call.cost(), money("7"));
    let charge = call.charge(money("9.5"));
    assert_eq!(
        (charge.cost(), charge.overrun()),
        (money("7"), money("2.5"))
    );
    bench.store.add(&charge);
    let _ = bench.book.settle(charge);
    assert_eq!(bench.today(Scope::Tenant), ("10".into(), "0".into()));
    assert_eq!(
        bench.reserve(1).unwrap_err().code,
        RefusalCode::InsufficientQuota
    );
}

#[test]
fn a_cancelled_call_leaves_no_trace() {
    let mut bench = Bench::new(r#"{"tenant":{"money_per_day":"10","concurrent_calls":1}}"#);
    let call = bench.reserve(10).unwrap();
    bench.book.cancel(call);
    assert_eq!(bench.today(Scope::Tenant), ("0".into(), "0".into()));
    assert_eq!(bench.book.in_flight(&Scope::Tenant), 0);
    assert!(bench.store.0.is_empty());
}

#[test]
fn every_refusal_says_which_limit_and_when_to_come_back() {
    let check = |limits: &str, spent: &str, wanted, expected: (RefusalCode, &str, Option<u64>)| {
        let mut bench = Bench::new(limits);
        if spent != "0" {
            let call = bench.reserve(100).unwrap();
            bench.settle(call, spent);
        }
        let refusal = bench.reserve(wanted).unwrap_err();
        let scope = refusal
            .scope
            .map_or("-".to_owned(), |scope| scope.to_string());
        let shown = (
            refusal.code,
            scope.as_str(),
            refusal.retry_after.map(|wait| wait.as_secs()),
        );
        assert_eq!(shown, expected, "{limits} after {spent}");
        assert!(refusal.message.contains("not made"), "{}", refusal.message);
    };
    use RefusalCode::{InsufficientQuota, RequestTooExpensive};
    let (half_a_day, six_and_a_half_days) = (Some(43_200), Some(43_200 + 6 * 86_400));
    check(
        r#"{"tenant":{"money_per_day":"5"}}"#,
        "5",
        1,
        (InsufficientQuota, "tenant", half_a_day),
    );
    check(
        r#"{"each_key":{"money_per_month":"5"}}"#,
        "5",
        1,
        (InsufficientQuota, "key:k", six_and_a_half_days),
    );
    check(
        r#"{"models":{"m":{"money_total":"5"}}}"#,
        "5",
        1,
        (InsufficientQuota, "model:m", None),
    );
    // the longest wait is the one that counts
    check(
        r#"{"tenant":{"money_per_day":"5"},"each_key":{"money_per_month":"5"}}"#,
        "5",
        1,
        (InsufficientQuota, "key:k", six_and_a_half_days),
    );
    check(
        r#"{"tenant":{"money_per_day":"0"}}"#,
        "0",
        1,
        (RequestTooExpensive, "tenant", None),
    );
    check(
        r#"{"tenant":{"money_total":"0.9"}}"#,
        "0",
        4,
        (RequestTooExpensive, "tenant", None),
    );
}

#[test]
fn concurrency_is_refused_at_the_limit_and_free_after_the_end() {
    let mut bench =
        Bench::new(r#"{"each_key":{"concurrent_calls":2},"each_subject":{"concurrent_calls":1}}"#);
    let first = bench.reserve_for("k", Some("s1"), 1).unwrap();
    let refusal = bench.reserve_for("other", Some("s1"), 1).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.scope),
        (
            RefusalCode::ConcurrencyLimit,
            Some(Scope::Subject("s1".into()))
        )
    );
    let _second = bench.reserve_for("k", Some("s2"), 1).unwrap();
    let refusal = bench.reserve_for("k", None, 1).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.scope),
        (RefusalCode::ConcurrencyLimit, Some(Scope::Key("k".into())))
    );
    bench.settle(first, "0");
    assert!(bench.reserve_for("k", None, 1).is_ok());
}

#[test]
fn a_call_over_midnight_is_paid_by_the_day_it_began() {
    let mut bench = Bench::new(r#"{"tenant":{"money_per_day":"10","money_per_month":"15"}}"#);
    bench.now = at("2026-11-30T23:59:59Z");
    let late = bench.reserve(10).unwrap();
    let yesterday = Window::all_at(bench.now)[0];

    bench.now = at("2026-12-01T00:00:01Z");
    let early = bench.reserve(10).unwrap();
    assert_eq!(
        early.cost(),
        money("10"),
        "a new day and a new month start whole"
    );
    bench.settle(late, "8");
    assert_eq!(bench.today(Scope::Tenant), ("0".into(), "10".into()));
    assert_eq!(bench.store.0[&(Scope::Tenant, yesterday)], money("8"));
    bench.settle(early, "1");
    assert_eq!(bench.today(Scope::Tenant), ("1".into(), "0".into()));
    assert_eq!(
        bench.book.tally(&Scope::Tenant, yesterday),
        None,
        "nothing in flight: no longer held"
    );
}

#[test]
fn a_clock_that_steps_back_finds_yesterdays_spend_again() {
    let mut bench = Bench::new(r#"{"tenant":{"money_per_day":"10"}}"#);
    let call = bench.reserve(10).unwrap();
    bench.settle(call, "10");
    bench.now = at("2026-11-25T12:00:00Z");
    let call = bench.reserve(4).unwrap();
    bench.settle(call, "4");
    bench.now = at(NOON);
    assert_eq!(
        bench.reserve(1).unwrap_err().code,
        RefusalCode::InsufficientQuota
    );
}

#[test]
fn spend_is_counted_before_there_is_a_limit() {
    let mut bench = Bench::new("{}");
    let call = bench.reserve(8).unwrap();
    let running = bench.reserve(1).unwrap();
    bench.settle(call, "8");
    bench.limits.tenant.money_per_day = Some(money("10"));
    assert_eq!(
        bench.reserve(10).unwrap().cost(),
        money("1"),
        "8 spent and 1 held"
    );
    bench.settle(running, "1");
}

#[test]
fn a_limit_lowered_below_the_spend_refuses_and_does_not_wrap() {
    let mut bench = Bench::new(r#"{"tenant":{"money_total":"10"}}"#);
    let call = bench.reserve(10).unwrap();
    bench.settle(call, "9");
    bench.limits.tenant.money_total = Some(money("5"));
    let refusal = bench.reserve(1).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.retry_after),
        (RefusalCode::InsufficientQuota, None)
    );
}

#[test]
fn a_free_call_costs_nothing_and_still_takes_a_slot() {
    let mut book = Book::new(10);
    let limits = [(
        Scope::Tenant,
        Limits {
            money_total: Some(Nanos::ZERO),
            ..Limits::NONE
        },
    )];
    let ask = ReserveAsk {
        limits: &limits,
        price: None,
        input_token_bound: 7,
        wanted_output: 9,
        choices: 2,
    };
    let Reserved::NotLoaded(missing) = book.reserve(at(NOON), &ask).unwrap() else {
        panic!("nothing is loaded yet")
    };
    book.load(missing, &[]);
    let Reserved::Granted(call) = book.reserve(at(NOON), &ask).unwrap() else {
        panic!("all is loaded")
    };
    assert_eq!(
        (call.input_tokens(), call.output_tokens(), call.cost()),
        (7, 9, Nanos::ZERO)
    );
    assert_eq!(book.in_flight(&Scope::Tenant), 1);
    let charge = call.charge(money("1"));
    assert_eq!((charge.cost(), charge.overrun()), (Nanos::ZERO, money("1")));
    assert!(charge.spends().is_empty());
}

#[test]
fn choices_multiply_output_and_an_absurd_bound_is_refused() {
    let mut bench = Bench::new(r#"{"tenant":{"money_per_day":"10"}}"#);
    let _ = bench.reserve(0).unwrap(); // loads
    let limits = bench.limits.effective(Some("k"), None, "m");
    let price = Price::new(money("1"), money("1000000"));
    let mut ask = ReserveAsk {
        limits: &limits,
        price: Some(price),
        input_token_bound: 1,
        wanted_output: 9,
        choices: 3,
    };
    let Reserved::Granted(call) = bench.book.reserve(bench.now, &ask).unwrap() else {
        panic!("all is loaded")
    };
    assert_eq!((call.output_tokens(), call.cost()), (3, money("9.000001")));
    bench.book.cancel(call);
    (ask.input_token_bound, ask.choices) = (u64::MAX, u32::MAX);
    let refusal = bench.book.reserve(bench.now, &ask).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::RequestTooExpensive);
}

#[test]
fn each_soft_threshold_is_reported_once() {
    let mut bench =
        Bench::new(r#"{"tenant":{"money_per_day":"10"},"each_key":{"money_total":"100"}}"#);
    let spend = |bench: &mut Bench, cost: &str| {
        let call = bench.reserve(10).unwrap();
        bench.settle(call, cost)
    };
    assert_eq!(spend(&mut bench, "4.999999999"), []);
    assert_eq!(
        spend(&mut bench, "0.000000001"),
        [("tenant day".to_owned(), 50)]
    );
    assert_eq!(spend(&mut bench, "0"), []);
    assert_eq!(
        spend(&mut bench, "5"),
        [
            ("tenant day".to_owned(), 80),
            ("tenant day".to_owned(), 100)
        ]
    );
}

#[test]
fn the_book_forgets_who_is_not_in_use_and_learns_it_again() {
    let mut bench = Bench::new(r#"{"each_subject":{"money_total":"1"}}"#);
    bench.book = Book::new(8);
    let busy = bench.reserve_for("k", Some("busy"), 1).unwrap();
    for subject in 0..100 {
        let subject = subject.to_string();
        let call = bench.reserve_for("k", Some(&subject), 1).unwrap();
        bench.settle(call, "1");
        let refusal = bench.reserve_for("k", Some(&subject), 1).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::InsufficientQuota);
        assert!(bench.book.held() <= 8 + 4, "{}", bench.book.held());
    }
    assert_eq!(
        bench.reserve_for("k", Some("0"), 1).unwrap_err().code,
        RefusalCode::InsufficientQuota
    );
    bench.settle(busy, "1");
    assert_eq!(
        bench.reserve_for("k", Some("busy"), 1).unwrap_err().code,
        RefusalCode::InsufficientQuota
    );
}

#[test]
fn what_the_store_said_before_a_settlement_is_not_believed_after_it() {
    let mut bench = Bench::new(r#"{"each_subject":{"money_total":"1"}}"#);
    bench.book = Book::new(0); // forgets everything at once
    let limits = bench.limits.effective(Some("k"), Some("s"), "m");
    let ask = ReserveAsk {
        limits: &limits,
        price: Some(unit_per_output_token()),
        input_token_bound: 0,
        wanted_output: 1,
        choices: 1,
    };
    let Reserved::NotLoaded(missing) = bench.book.reserve(bench.now, &ask).unwrap() else {
        panic!("nothing is loaded")
    };
    let stale = bench.store.read(&missing);
    let call = bench.reserve_for("k", Some("s"), 1).unwrap();
    bench.settle(call, "1");
    bench.book.load(missing, &stale);
    assert!(matches!(
        bench.book.reserve(bench.now, &ask),
        Ok(Reserved::NotLoaded(_))
    ));
    assert_eq!(
        bench.reserve_for("k", Some("s"), 1).unwrap_err().code,
        RefusalCode::InsufficientQuota
    );
}
