//! Any order of calls, ends, clock steps and forgetting, against a count kept apart from the book.

use std::collections::BTreeMap;

use policy::{
    Book, LimitSet, Limits, Missing, Nanos, Price, Reservation, ReserveAsk, Reserved, Scope, Spend,
    Window,
};
use proptest::prelude::*;

use crate::store::{NOON, Store, at, money};

#[derive(Debug, Clone)]
enum Step {
    Reserve {
        key: u8,
        subject: Option<u8>,
        model: u8,
        input: u32,
        output: u32,
        choices: u32,
    },
    Settle {
        call: usize,
        cost: u64,
    },
    Abandon {
        call: usize,
    },
    Clock {
        seconds: i64,
    },
    /// Ask, and load what the store said only after the next steps.
    Late {
        key: u8,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let reserve = (
        0..3u8,
        prop::option::of(0..4u8),
        0..2u8,
        0..2_000u32,
        0..2_000u32,
        1..4u32,
    )
        .prop_map(
            |(key, subject, model, input, output, choices)| Step::Reserve {
                key,
                subject,
                model,
                input,
                output,
                choices,
            },
        );
    let step = prop_oneof![
        4 => reserve,
        3 => (any::<usize>(), 0..20_000u64).prop_map(|(call, cost)| Step::Settle { call, cost }),
        1 => any::<usize>().prop_map(|call| Step::Abandon { call }),
        1 => prop_oneof![0..100i64, -200_000..200_000i64, 0..3_000_000i64].prop_map(|seconds| Step::Clock { seconds }),
        1 => (0..3u8).prop_map(|key| Step::Late { key }),
    ];
    prop::collection::vec(step, 0..120)
}

fn limits() -> impl Strategy<Value = Limits> {
    let amount = || prop::option::of((0..40_000u64).prop_map(|nanos| Nanos::new(nanos).unwrap()));
    let calls = prop::option::of((1..6u32).prop_map(|n| n.try_into().unwrap()));
    (amount(), amount(), amount(), calls).prop_map(|(day, month, total, concurrent_calls)| Limits {
        money_per_day: day,
        money_per_month: month,
        money_total: total,
        concurrent_calls,
        ..Limits::NONE
    })
}

fn limit_sets() -> impl Strategy<Value = LimitSet> {
    let named = |prefix: &'static str| {
        prop::collection::btree_map(
            (0..3u8).prop_map(move |n| format!("{prefix}{n}")),
            limits(),
            0..3,
        )
    };
    (limits(), limits(), limits(), named("k"), named("m")).prop_map(
        |(tenant, each_key, each_subject, keys, models)| LimitSet {
            tenant,
            each_key,
            each_subject,
            keys,
            models,
        },
    )
}

/// What is in truth spent and held, kept apart from the book.
#[derive(Default)]
struct Truth {
    open: Vec<(Reservation, Vec<(Scope, Limits)>)>,
    store: Store,
    charged: u64,
}

impl Truth {
    fn check(&self, limits: &LimitSet, book: &Book) -> Result<(), TestCaseError> {
        let mut sums = self.store.0.clone();
        let mut calls: BTreeMap<&Scope, u32> = BTreeMap::new();
        for (reservation, scopes) in &self.open {
            for (scope, _) in scopes {
                *calls.entry(scope).or_default() += 1;
                for window in reservation.windows() {
                    let sum = sums.entry((scope.clone(), window)).or_default();
                    *sum = sum.checked_add(reservation.cost()).unwrap();
                }
            }
        }
        let of = |scope: &Scope| match scope {
            Scope::Tenant => limits.tenant,
            Scope::Key(key) => limits.key(key),
            Scope::Subject(_) => limits.each_subject,
            Scope::Model(model) => limits.model(model),
        };
        for ((scope, window), sum) in &sums {
            let limit = of(scope).money(*window).unwrap_or(Nanos::MAX);
            prop_assert!(*sum <= limit, "{scope} {window}: {sum} of {limit}");
            if let Some(tally) = book.tally(scope, *window) {
                prop_assert_eq!(
                    tally.spent.checked_add(tally.reserved),
                    Some(*sum),
                    "{} {}",
                    scope,
                    window
                );
            }
        }
        for (scope, calls) in calls {
            prop_assert_eq!(book.in_flight(scope), calls);
            prop_assert!(
                of(scope)
                    .concurrent_calls
                    .is_none_or(|most| calls <= most.get())
            );
        }
        let total = self
            .store
            .0
            .get(&(Scope::Tenant, Window::Total))
            .map_or(0, |sum| sum.get());
        prop_assert_eq!(total, self.charged);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn reserved_and_spent_money_never_exceeds_any_limit(
        limits in limit_sets(), steps in steps(), capacity in 0..12usize, per_request in 0..50u64,
    ) {
        let price = Price::new(money("0.5"), money("2")).and_per_request(Nanos::new(per_request).unwrap());
        let mut book = Book::new(capacity);
        let mut truth = Truth::default();
        let mut now = at(NOON);
        let mut late: Option<(Missing, Vec<Spend>)> = None;
        for step in steps {
            match step {
                Step::Reserve { key, subject, model, input, output, choices } => {
                    let subject = subject.map(|subject| format!("s{subject}"));
                    let scopes = limits.effective(Some(&format!("k{key}")), subject.as_deref(), &format!("m{model}"));
                    let ask = ReserveAsk {
                        limits: &scopes,
                        price: Some(price),
                        input_token_bound: input.into(),
                        wanted_output: output,
                        choices,
                    };
                    if let Some((missing, spends)) = late.take() {
                        book.load(missing, &spends);
                    }
                    let granted = (0..3).find_map(|_| match book.reserve(now, &ask) {
                        Ok(Reserved::Granted(reservation)) => Some(Some(reservation)),
                        Ok(Reserved::NotLoaded(missing)) => {
                            let spends = truth.store.read(&missing);
                            book.load(missing, &spends);
                            None
                        }
                        Err(_) => Some(None),
                    });
                    let granted = granted.expect("the book asks for the same spend for ever");
                    if let Some(reservation) = granted {
                        prop_assert!(reservation.output_tokens() <= output);
                        truth.open.push((reservation, scopes));
                    }
                }
                Step::Settle { call, cost } if !truth.open.is_empty() => {
                    let (reservation, _) = truth.open.swap_remove(call % truth.open.len());
                    let charge = reservation.charge(Nanos::new(cost).unwrap());
                    prop_assert_eq!(charge.cost().get() + charge.overrun().get(), cost);
                    truth.charged += charge.cost().get();
                    truth.store.add(&charge);
                    let _ = book.settle(charge);
                }
                Step::Abandon { call } if !truth.open.is_empty() => {
                    let (reservation, _) = truth.open.swap_remove(call % truth.open.len());
                    book.cancel(reservation);
                }
                Step::Settle { .. } | Step::Abandon { .. } => {}
                Step::Clock { seconds } => now += jiff::SignedDuration::from_secs(seconds),
                Step::Late { key } => {
                    let scopes = limits.effective(Some(&format!("k{key}")), None, "m0");
                    let ask = ReserveAsk {
                        limits: &scopes, price: Some(price), input_token_bound: 0, wanted_output: 0, choices: 1,
                    };
                    match book.reserve(now, &ask) {
                        Ok(Reserved::NotLoaded(missing)) => {
                            let spends = truth.store.read(&missing);
                            late = Some((missing, spends));
                        }
                        Ok(Reserved::Granted(reservation)) => book.cancel(reservation),
                        Err(_) => {}
                    }
                }
            }
            truth.check(&limits, &book)?;
        }
    }
}
