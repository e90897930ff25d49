//! No interleaving spends one unit more than allowed.

use crate::support::{
    Site, Tenant, ask, at, completed, facts, mint, money, now, outcome, rights, sent,
    tenant_limits, verified,
};
use compartment::{Ended, Refused};
use policy::{LimitSet, Limits, Nanos, RefusalCode, Right};
use std::{num::NonZeroU32, sync::Arc, time::Duration};

const EACH: &str = "0.030";

async fn spent(tenant: &Tenant) -> Nanos {
    let day = jiff::civil::date(2026, 11, 24);
    let query = compartment::administration::UsageQuery {
        from: day.yesterday().unwrap(),
        to: day.saturating_add(jiff::Span::new().days(40)),
        credential: None,
        model: None,
        by: compartment::administration::UsageBy::Each,
    };
    tenant.admin.usage(query).await.unwrap().total.cost
}

fn code(refused: &Refused) -> Option<RefusalCode> {
    match refused {
        Refused::Limited(refusal) => Some(refusal.code),
        _ => None,
    }
}

fn some(n: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(n)
}

/// xorshift64*: the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_calls_against_a_budget_for_ten_never_spend_more() {
    never_spend_more(Site::new()).await;
}

/// Two hundred at once against money for ten, half of them cancelled at some point on their way, the clock jumping.
pub async fn never_spend_more(site: Site) {
    let tenant = site.tenant("one").await;
    let budget = money("0.300");
    let limits = tenant_limits(Limits {
        money_total: Some(budget),
        ..Limits::NONE
    });
    tenant.admin.limits().set(limits, now()).await.unwrap();
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    let upstream = Arc::new(parking_lot::Mutex::new(Nanos::ZERO));
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut tasks = Vec::new();
    for n in 0..200_u64 {
        let patience = random.below(3_000);
        let jump = i64::try_from(random.below(180_000)).unwrap() - 90_000;
        let ending = random.below(5);
        let (home, who, upstream) = (home.clone(), who.clone(), Arc::clone(&upstream));
        tasks.push(tokio::spawn(async move {
            let permit = home.permit(&who, ask(10, 20), at(jump));
            let permit = if n % 2 == 0 {
                permit.await
            } else {
                match tokio::time::timeout(Duration::from_micros(patience), permit).await {
                    Ok(permit) => permit,
                    Err(_) => return false,
                }
            };
            let mut permit = match permit {
                Ok(permit) => permit,
                Err(refused) => {
                    assert_eq!(
                        code(&refused),
                        Some(RefusalCode::InsufficientQuota),
                        "{refused}"
                    );
                    return false;
                }
            };
            if ending == 0 {
                return false;
            }
            sent(&mut permit);
            tokio::task::yield_now().await;
            // The upstream counts its own; it never sees more than it was told to produce.
            let cost = match ending {
                1 | 2 => permit.settle(completed(10, 20)).cost,
                3 => permit.settle(outcome(Ended::UpstreamFailed, None)).cost,
                _ => permit.settle(completed(4, 5)).cost,
            };
            let mut upstream = upstream.lock();
            *upstream = upstream.checked_add(cost).unwrap();
            true
        }));
    }
    let mut made = 0;
    for task in tasks {
        made += usize::from(task.await.unwrap());
    }
    site.house.settled().await;
    let spent = spent(&tenant).await;
    assert!(made > 0 && spent <= budget, "{made} {spent}");
    assert_eq!(
        spent,
        *upstream.lock(),
        "the ledger is what the upstream counted"
    );
    assert_eq!(site.house.stats().permits_in_flight, 0);

    // Nothing leaked: what is left can be spent to the last call that fits.
    let mut left = budget.checked_sub(spent).unwrap();
    while let Some(rest) = left.checked_sub(money(EACH)) {
        let mut permit = home.permit(&who, ask(10, 20), now()).await.unwrap();
        sent(&mut permit);
        left = rest;
        let _ = permit.settle(completed(10, 20));
    }
    site.house.settled().await;
    let report = verified(&tenant.admin).await;
    assert_eq!((report.open_calls, report.over_reservation), (0, 0));
}

#[tokio::test]
async fn the_output_is_clamped_to_what_the_money_pays_for() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let limits = tenant_limits(Limits {
        money_per_day: Some(money("0.025")),
        ..Limits::NONE
    });
    tenant.admin.limits().set(limits, now()).await.unwrap();
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    let mut permit = home.permit(&who, ask(10, 20), now()).await.unwrap();
    assert_eq!(permit.max_output(), 15);
    assert_eq!(permit.clean(String::new()).unwrap().max_output(), 15);
    let refused = home.permit(&who, ask(10, 20), now()).await.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (402, "insufficient_quota")
    );
    // Tomorrow is another day.
    assert!(home.permit(&who, ask(10, 20), at(13 * 3600)).await.is_ok());
}

#[tokio::test]
async fn a_budget_outlives_a_restart() {
    outlives_a_restart(Site::new()).await;
}

pub async fn outlives_a_restart(site: Site) {
    let tenant = site.tenant("one").await;
    let limits = tenant_limits(Limits {
        money_total: Some(money("0.050")),
        ..Limits::NONE
    });
    tenant.admin.limits().set(limits, now()).await.unwrap();
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    let mut permit = home.permit(&who, ask(10, 20), now()).await.unwrap();
    sent(&mut permit);
    let _ = permit.settle(completed(10, 20));
    let token = tenant.token.clone();
    drop((home, tenant));
    let site = site.reopened().await;
    let (home, who) = site.admit(&token).await.unwrap();
    let permit = home.permit(&who, ask(10, 20), now()).await.unwrap();
    assert_eq!(permit.max_output(), 10);
    drop(permit);
}

#[tokio::test]
async fn slots_are_given_back_when_calls_end() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let limits = tenant_limits(Limits {
        concurrent_calls: some(2),
        ..Limits::NONE
    });
    tenant.admin.limits().set(limits, now()).await.unwrap();
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    let one = home.permit(&who, ask(1, 1), now()).await.unwrap();
    let two = home.permit(&who, ask(1, 1), now()).await.unwrap();
    let refused = home.permit(&who, ask(1, 1), now()).await.unwrap_err();
    assert_eq!(
        (refused.status(), code(&refused)),
        (429, Some(RefusalCode::ConcurrencyLimit))
    );
    drop(one);
    let _ = two.settle(completed(1, 1));
    site.house.settled().await;
    let _one = home.permit(&who, ask(1, 1), now()).await.unwrap();
    let _two = home.permit(&who, ask(1, 1), now()).await.unwrap();
}

#[tokio::test]
async fn a_cancelled_permit_leaks_no_slot_and_no_money() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let limits = tenant_limits(Limits {
        concurrent_calls: some(1),
        money_total: Some(money(EACH)),
        ..Limits::NONE
    });
    tenant.admin.limits().set(limits, now()).await.unwrap();
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    for polls in 0..30 {
        let mut permit = Box::pin(home.permit(&who, ask(10, 20), now()));
        for _ in 0..polls {
            let pending = futures_util::future::poll_immediate(&mut permit).await;
            if pending.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(permit);
        site.house.settled().await;
    }
    assert_eq!(spent(&tenant).await, Nanos::ZERO);
    let permit = home.permit(&who, ask(10, 20), now()).await.unwrap();
    assert_eq!(permit.max_output(), 20);
}

#[tokio::test]
async fn every_scope_has_limits_of_its_own() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let small = mint(&tenant.admin, "small", rights(&[Right::Infer])).await;
    let one = Limits {
        requests_per_minute: some(1),
        ..Limits::NONE
    };
    let two = Limits {
        requests_per_minute: some(2),
        ..Limits::NONE
    };
    let limits = LimitSet {
        keys: [(small.facts.id.to_string(), one)].into(),
        each_key: two,
        ..LimitSet::default()
    };
    tenant.admin.limits().set(limits, now()).await.unwrap();
    for (token, allowed) in [(small.secret.expose(), 1), (tenant.token.as_str(), 2)] {
        let (home, who) = site.admit(token).await.unwrap();
        for _ in 0..allowed {
            drop(home.permit(&who, ask(1, 1), now()).await.unwrap());
        }
        let refused = home.permit(&who, ask(1, 1), now()).await.unwrap_err();
        assert_eq!(code(&refused), Some(RefusalCode::RateLimitExceeded));
        assert!(
            refused
                .retry_after()
                .is_some_and(|wait| wait <= Duration::from_secs(60))
        );
    }
}

#[tokio::test]
async fn tokens_a_minute_count_a_quarter_of_the_input_and_all_of_the_output() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let limits = tenant_limits(Limits {
        tokens_per_minute: some(50),
        ..Limits::NONE
    });
    tenant.admin.limits().set(limits, now()).await.unwrap();
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    // 40 bytes are 10 tokens, which leaves 40 of the minute: a call that names no bound is clamped to that.
    let mut open = ask(40, 1);
    open.facts = facts(40, None);
    let permit = home.permit(&who, open.clone(), now()).await.unwrap();
    assert_eq!(permit.max_output(), 40);
    drop(permit);
    let refused = home.permit(&who, open.clone(), now()).await.unwrap_err();
    assert_eq!(code(&refused), Some(RefusalCode::RateLimitExceeded));
    assert!(home.permit(&who, open, at(60)).await.is_ok());
    // What can never fit is refused, and holds no money.
    let refused = home.permit(&who, ask(400, 1), at(600)).await.unwrap_err();
    assert_eq!(code(&refused), Some(RefusalCode::RateLimitExceeded));
}

/// A caller that is refused without end costs the disk two records a second.
#[tokio::test]
async fn a_flood_of_refusals_is_recorded_in_full_and_costs_few_records() {
    let site = Site::new();
    let tenant = site.tenant("one").await;
    let limits = tenant_limits(Limits {
        money_total: Some(Nanos::ZERO),
        ..Limits::NONE
    });
    tenant.admin.limits().set(limits, now()).await.unwrap();
    let (home, who) = site.admit(&tenant.token).await.unwrap();
    for _ in 0..500 {
        assert!(home.permit(&who, ask(1, 1), now()).await.is_err());
    }
    site.house.rounds(at(1)).await.unwrap();
    let records = tenant.admin.journal().records(0, 1000).await.unwrap();
    let counts: Vec<u32> = records
        .iter()
        .map(|record| serde_json::from_slice::<serde_json::Value>(&record.body).unwrap())
        .filter(|record| record["kind"] == "call_refused")
        .map(|record| record["count"].as_u64().unwrap() as u32)
        .collect();
    assert_eq!(counts, [1, 499]);
    assert_eq!(
        site.house
            .stats()
            .refusals
            .get("request_too_expensive")
            .or(site.house.stats().refusals.get("insufficient_quota")),
        Some(&500)
    );
}
