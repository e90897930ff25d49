//! Whoever steals the data folder reads nothing that anybody chose.

use crate::support::{Site, ask, completed, now, rights, sent, wish};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use compartment::MintSession;
use policy::Right;
use std::{fs, path::Path};

const MARKS: [&str; 7] = [
    "Northwind-Clinic-tenant",
    "night-shift-key-name",
    "patient.zero@example.test",
    "sitting-of-the-fourth",
    "sk-upstream-Qx7hVw2mZr",
    "the diagnosis is amber",
    "an answer about marigolds",
];

/// The text itself, in hexadecimal, and in base64 at each of the three offsets it can have in a longer text.
fn spellings(mark: &str) -> Vec<Vec<u8>> {
    let mut all = vec![
        mark.as_bytes().to_vec(),
        hex::encode(mark).into_bytes(),
        hex::encode_upper(mark).into_bytes(),
    ];
    for offset in 0..3 {
        let padded = [&vec![0; offset][..], mark.as_bytes()].concat();
        // Characters that depend on what comes before and after are cut off.
        let whole = |text: String| text.as_bytes()[offset * 2..(padded.len() / 3) * 4].to_vec();
        all.push(whole(STANDARD.encode(&padded)));
        all.push(whole(URL_SAFE.encode(&padded)));
    }
    all
}

fn search(folder: &Path, found: &mut Vec<String>) -> usize {
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += search(&path, found);
            continue;
        }
        files += 1;
        let bytes = fs::read(&path).unwrap();
        for mark in MARKS {
            if spellings(mark)
                .iter()
                .any(|spelling| memchr::memmem::find(&bytes, spelling).is_some())
            {
                found.push(format!("{mark} in {}", path.display()));
            }
        }
    }
    files
}

#[tokio::test]
async fn the_data_folder_and_the_keyring_hold_no_name_no_secret_and_no_text() {
    let [name, key_name, subject, session, upstream, prompt, answer] = MARKS;
    let site = Site::in_files();
    let tenant = site.tenant(name).await;
    let key = tenant
        .admin
        .keys()
        .mint(wish(key_name, rights(&Right::ALL)), now())
        .await
        .unwrap();
    let (home, who) = site.admit(key.secret.expose()).await.unwrap();
    home.steward(&who, now())
        .unwrap()
        .vault()
        .unwrap()
        .set("prod", upstream, now())
        .await
        .unwrap();
    let wish = MintSession {
        subject: subject.into(),
        session: Some(session.into()),
        seconds: None,
        models: compartment::Models::All,
    };
    let token = home.mint_session(&who, wish, now()).await.unwrap().token;
    let (narrow, bound) = site.admit(token.expose()).await.unwrap();
    let mut wanted = ask(10, 10);
    (
        wanted.request_bytes,
        wanted.caller_cache_key,
        wanted.facts.caller_identity,
    ) = (prompt.as_bytes(), Some(prompt), Some(subject));
    let mut permit = narrow.permit(&bound, wanted, now()).await.unwrap();
    permit.durable().await.unwrap();
    sent(&mut permit);
    permit.commit_answer(answer.as_bytes());
    let _ = permit.settle(completed(1, 1));
    site.house.settled().await;
    site.house.rounds(now()).await.unwrap();

    let mut found = Vec::new();
    // lock, deployment.db and its log, store.db and its log, keyring.db and the master key
    assert!(search(site.folder.path(), &mut found) >= 6);
    assert_eq!(found, Vec::<String>::new());

    // And the search finds what is there.
    fs::write(
        site.data().join("planted"),
        format!("x{}", STANDARD.encode(format!("abcd{prompt}efg"))),
    )
    .unwrap();
    search(site.folder.path(), &mut found);
    assert_eq!(found.len(), 1);

    // The secrets of the keys are nowhere either.
    for secret in [
        key.secret.expose(),
        token.expose(),
        site.operator_key.as_str(),
    ] {
        let secret = &secret[38..];
        let store = fs::read(site.data().join("deployment.db")).unwrap();
        assert!(memchr::memmem::find(&store, secret.as_bytes()).is_none());
    }
}

#[tokio::test]
async fn nothing_prints_what_is_in_it() {
    let [name, key_name, subject, _, upstream, prompt, _] = MARKS;
    let site = Site::new();
    let tenant = site.tenant(name).await;
    let key = tenant
        .admin
        .keys()
        .mint(wish(key_name, rights(&Right::ALL)), now())
        .await
        .unwrap();
    let (home, who) = site.admit(key.secret.expose()).await.unwrap();
    let steward = home.steward(&who, now()).unwrap();
    let credential = steward
        .vault()
        .unwrap()
        .set("prod", upstream, now())
        .await
        .unwrap();
    let mut wanted = ask(10, 10);
    (
        wanted.request_bytes,
        wanted.caller_cache_key,
        wanted.facts.caller_identity,
    ) = (prompt.as_bytes(), Some(prompt), Some(subject));
    let asked = format!("{wanted:?}");
    let mut permit = home.permit(&who, wanted, now()).await.unwrap();
    let clean = permit.clean(prompt.to_owned()).unwrap();
    let printed = [
        asked,
        format!("{:?}", site.operator.tenants(None, 10).await.unwrap()),
        format!(
            "{key:?} {:?} {steward:?} {credential:?}",
            steward.keys().list(None, 10).await.unwrap()
        ),
        format!(
            "{home:?} {who:?} {permit:?} {clean:?} {:?}",
            clean.derived()
        ),
        format!(
            "{:?} {:?}",
            home.vault().upstream_credential("prod").unwrap(),
            site.house
        ),
    ]
    .concat();
    for secret in MARKS
        .into_iter()
        .chain([key.secret.expose(), &site.operator_key])
    {
        assert!(!printed.contains(secret), "{secret}");
    }
}
