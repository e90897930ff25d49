//! A run: looks whether there is anything to test, then walks the catalogue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;

use crate::catalogue::{self, Entry, Kind};
use crate::chance::Chance;
use crate::echo::Echo;
use crate::options::{Mode, Options, ProbeError};
use crate::report::{Report, RowReport};
use crate::row::{Bench, Row};
use crate::rows;
use crate::target::{Answer, Budget, Client, Dial};
use crate::verdict::{Finding, Trouble, Verdict};

/// A gateway that does not serve plain calls is asked so often, with so long in between, whether it does again.
const RECOVERIES: usize = 40;
const RECOVERY: Duration = Duration::from_millis(250);

/// What a run is doing, for whoever watches it.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// The echo upstream listens here.
    Listening(std::net::SocketAddr),
    /// A row begins.
    Begins(&'a Entry),
    /// A row failed and is tried once more on fresh seeds.
    Again(&'a Entry),
    /// A row has its word.
    Ended(&'a RowReport),
}

/// Tests the target as the options say, row after row.
///
/// # Errors
/// [`ProbeError`] where nothing could be tested. What goes wrong later makes rows INCONCLUSIVE.
pub async fn run(
    options: Options,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<Report, ProbeError> {
    options.check()?;
    let began = Instant::now();
    let started = Timestamp::now();
    let house = House::prepare(&options, &mut progress).await?;
    let mut reports = Vec::new();
    for entry in &catalogue::ROWS {
        if !options.only.is_empty() && !options.only.contains(&entry.id) {
            continue;
        }
        progress(Progress::Begins(entry));
        let row_began = Instant::now();
        let mut finding = house.test(entry, &mut progress).await;
        finding.texts().for_each(|text| house.hide_keys(text));
        let report = RowReport::new(entry, finding, row_began.elapsed());
        progress(Progress::Ended(&report));
        reports.push(report);
    }
    Ok(Report::new(
        &options,
        house.models.first().cloned().unwrap_or_default(),
        started,
        began.elapsed(),
        reports,
    ))
}

/// What all rows share.
struct House<'a> {
    options: &'a Options,
    echo: Option<Arc<Echo>>,
    a: Client,
    b: Client,
    dial: Dial,
    admin: Option<Client>,
    models: Vec<String>,
}

impl<'a> House<'a> {
    async fn prepare(
        options: &'a Options,
        progress: &mut impl FnMut(Progress<'_>),
    ) -> Result<House<'a>, ProbeError> {
        let echo = match options.mode {
            Mode::Live => None,
            Mode::Echo { listen } => {
                let started = Echo::start(listen, options.seed).await;
                let echo = started.map_err(|why| ProbeError::EchoNotListening {
                    address: listen,
                    why,
                })?;
                progress(Progress::Listening(echo.address()));
                Some(Arc::new(echo))
            }
        };
        let budget = Arc::new(Budget::new(options.limits));
        let client =
            |key: &crate::Key| Client::new(&options.target, key.clone(), Arc::clone(&budget));
        let (a, b) = (client(&options.key_a), client(&options.key_b));
        let models = models(options, &a, &b).await?;
        let model = models.first().ok_or(ProbeError::NoModel)?;
        let admin = options.admin.as_ref();
        let house = House {
            options,
            a: a.with_model(model),
            b: b.with_model(model),
            dial: Dial::new(&options.target, Arc::clone(&budget))
                .map_err(|_| ProbeError::BadTarget)?,
            admin: admin
                .map(|admin| Client::new(&admin.url, admin.key.clone(), Arc::clone(&budget))),
            echo,
            models,
        };
        house.plain_call('A', &house.a).await?;
        house.plain_call('B', &house.b).await?;
        Ok(house)
    }

    /// One ordinary call; in echo mode it must have been answered by our own upstream.
    async fn plain_call(&self, tenant: char, client: &Client) -> Result<(), ProbeError> {
        // not of the seed: a run that is replayed must not be answered from what the first one left in a cache
        let text = format!("plain call {}", Timestamp::now().as_nanosecond());
        let mark = self.echo.as_ref().map(|echo| echo.mark());
        let answered = client.chat(&text).await;
        let answer = answered.map_err(|why| ProbeError::NoAnswer {
            tenant,
            why: why.to_string(),
        })?;
        if !answer.is_ok() {
            let mut why = answer.brief();
            self.hide_keys(&mut why);
            return Err(ProbeError::NoAnswer { tenant, why });
        }
        let (Some(echo), Some(mark)) = (&self.echo, mark) else {
            return Ok(());
        };
        let nonces = answer.nonces();
        let arrived = echo.requests_with(mark, &text);
        if arrived
            .iter()
            .any(|request| nonces.contains(&request.nonce))
        {
            Ok(())
        } else {
            Err(ProbeError::EchoNotReached {
                address: echo.address(),
            })
        }
    }

    async fn test(
        &self,
        entry: &'static Entry,
        progress: &mut impl FnMut(Progress<'_>),
    ) -> Finding {
        let (row, offered) = match self.testable(entry).await {
            Ok(found) => found,
            Err(trouble) => return trouble.into(),
        };
        let first = self.attempt(row, 0, offered.clone()).await;
        if !row.again || first.verdict != Verdict::Fail {
            return first;
        }
        progress(Progress::Again(entry));
        let second = self.attempt(row, 1, offered).await;
        second.detail(format!(
            "tried twice, on fresh seeds; the first time: {}",
            first.figure
        ))
    }

    /// A gateway may rest an upstream after what a row made it do: the next one begins when both tenants are served again.
    /// What does not recover is the next row's finding.
    async fn recovered(&self, row: &Row, attempt: u64) {
        let purpose = [u64::from(row.id), attempt, u64::MAX];
        let mut chance = Chance::of(self.options.seed, &purpose);
        for who in [&self.a, &self.b] {
            for _ in 0..RECOVERIES {
                // a fresh text each time: a cache answers without the upstream
                let answered = who.chat(&format!("plain call {}", chance.next())).await;
                match answered {
                    Ok(answer) if answer.is_ok() => break,
                    Err(Trouble::Spent | Trouble::TimedOut) => return,
                    _ => tokio::time::sleep(RECOVERY).await,
                }
            }
        }
    }

    async fn attempt(&self, row: &Row, attempt: u64, offered: Vec<&'static str>) -> Finding {
        self.recovered(row, attempt).await;
        let bench = Bench {
            a: self.a.apart(&self.options.target),
            b: self.b.apart(&self.options.target),
            dial: self.dial.clone(),
            target: self.options.target.clone(),
            admin: self.admin.clone(),
            models: self.models.clone(),
            embedding_model: self.options.embedding_model.clone(),
            offered,
            echo: self.echo.clone(),
            scale: self.options.scale,
            chance: Mutex::new(Chance::of(self.options.seed, &[u64::from(row.id), attempt])),
        };
        let tested = (row.test)(&bench).await;
        if let Some(echo) = &self.echo {
            echo.forget();
        }
        tested.unwrap_or_else(Finding::from)
    }

    /// The test of a row and the routes it may use; or why there is none.
    async fn testable(&self, entry: &Entry) -> Result<(&'static Row, Vec<&'static str>), Trouble> {
        let needs = |what: &str| Err(Trouble::Needs(what.to_owned()));
        match (entry.kind, self.options.mode) {
            (Kind::Left(reason), _) => return needs(reason),
            (Kind::Echo, Mode::Live) => return needs("needs the echo upstream behind the gateway"),
            (Kind::Live, Mode::Echo { .. }) => {
                return needs("needs a real engine behind the gateway");
            }
            _ => {}
        }
        let Some(row) = rows::all().find(|row| row.id == entry.id) else {
            return needs("this version of the probe has no test for it");
        };
        let Kind::Objects(routes) = entry.kind else {
            return Ok((row, Vec::new()));
        };
        let mut offered = Vec::new();
        for route in routes {
            if is_offered(&self.a.get(route).await?) {
                offered.push(*route);
            }
        }
        if offered.is_empty() {
            return needs(&format!("the target offers none of {}", routes.join(", ")));
        }
        Ok((row, offered))
    }

    /// No report shows a whole key, whatever a row or the target wrote.
    fn hide_keys(&self, text: &mut String) {
        let admin = self.options.admin.as_ref().map(|admin| &admin.key);
        for key in [&self.options.key_a, &self.options.key_b]
            .into_iter()
            .chain(admin)
        {
            if text.contains(key.secret()) {
                *text = text.replace(key.secret(), &key.shortened());
            }
        }
    }
}

/// Whether a route is there: a list that is refused for its method is one that can be posted to.
fn is_offered(answer: &Answer) -> bool {
    !matches!(answer.status, 404 | 501)
}

/// The models that both tenants may use, the one asked for first.
async fn models(options: &Options, a: &Client, b: &Client) -> Result<Vec<String>, ProbeError> {
    let listed = async |tenant, client: &Client| {
        let answered = client.get("/v1/models").await;
        match answered {
            Ok(answer) => Ok(ids(&answer.json())),
            Err(Trouble::Unexpected(_)) => Ok(Vec::new()),
            Err(why) => Err(ProbeError::NoAnswer {
                tenant,
                why: why.to_string(),
            }),
        }
    };
    let (of_a, of_b) = (listed('A', a).await?, listed('B', b).await?);
    let mut both: Vec<String> = of_a
        .into_iter()
        .filter(|model| of_b.contains(model))
        .collect();
    both.retain(|model| Some(model) != options.embedding_model.as_ref());
    if let Some(asked) = &options.model {
        both.retain(|model| model != asked);
        both.insert(0, asked.clone());
    }
    Ok(both)
}

fn ids(list: &Value) -> Vec<String> {
    let data = list.get("data").and_then(Value::as_array);
    let ids = data
        .into_iter()
        .flatten()
        .filter_map(|model| model.get("id")?.as_str());
    ids.map(str::to_owned).collect()
}
