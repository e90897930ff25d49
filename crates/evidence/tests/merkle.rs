//! The log is the one of RFC 6962, whichever way its hashes are come by.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use evidence::log::{MemoryLog, Tree, stored_from, verify_consistency, verify_inclusion};
use evidence::tiles::Tile;
use evidence::{EMPTY_ROOT, Error, Frontier, Hash, HashReader, leaf_hash};
use proptest::prelude::*;
use tlog_tiles::{node_hash, tree_hash};

fn leaf(n: u64) -> Hash {
    leaf_hash(&n.to_be_bytes())
}

fn log_of(size: u64) -> MemoryLog {
    let mut log = MemoryLog::new();
    for n in 0..size {
        log.append(leaf(n));
    }
    log
}

/// RFC 6962 section 2.1, word for word.
fn by_definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let k = leaves.len().next_power_of_two() / 2;
            node_hash(by_definition(&leaves[..k]), by_definition(&leaves[k..]))
        }
    }
}

#[test]
fn known_roots_of_rfc_6962() {
    // The tree that the reference implementation of Certificate Transparency is tested with.
    let leaves = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::new();
    assert_eq!(hex::encode(frontier.root().0), roots[0]);
    for (data, root) in leaves.iter().zip(&roots[1..]) {
        frontier.append(leaf_hash(&hex::decode(data).unwrap()));
        assert_eq!(
            hex::encode(frontier.root().0),
            *root,
            "{} leaves",
            frontier.size()
        );
    }
}

#[test]
fn the_frontier_stores_and_computes_what_a_full_tree_does() {
    let mut stored: Vec<Hash> = Vec::new();
    let mut reader = MemoryLog::new();
    let mut leaves = Vec::new();
    let mut frontier = Frontier::new();
    for size in 0..=2000_u64 {
        let tree = Tree::new(size, &reader).unwrap();
        let root = tree_hash(size, &reader).unwrap();
        assert_eq!(frontier.size(), size);
        assert_eq!(frontier.root(), root, "{size}");
        assert_eq!(tree.root().unwrap(), root, "{size}");
        if size < 70 || size % 97 == 0 {
            assert_eq!(by_definition(&leaves), root, "{size}");
        }
        assert_eq!(tree.frontier().unwrap(), frontier, "{size}");
        let appended = tree.append(&size.to_be_bytes()).unwrap();
        assert_eq!(
            (appended.index, appended.stored_from),
            (size, stored.len() as u64)
        );
        assert_eq!(appended.stored_from, stored_from(size));
        assert_eq!(appended.hashes, frontier.append(leaf(size)), "{size}");
        stored.extend(appended.hashes);
        reader.append(leaf(size));
        leaves.push(leaf(size));
    }
}

#[test]
fn a_frontier_is_not_taken_up_from_a_wrong_number_of_hashes() {
    for (size, hashes) in [(0, 1), (1, 0), (3, 1), (3, 3), (8, 2)] {
        assert!(
            Frontier::from_hashes(size, vec![leaf(0); hashes]).is_err(),
            "{size} {hashes}"
        );
    }
    assert!(Frontier::from_hashes(u64::MAX, vec![leaf(0); 64]).is_err());
    assert!(Frontier::stored_indexes(u64::MAX).is_err());
}

#[test]
fn every_inclusion_and_consistency_proof_holds_for_its_own_place_only() {
    let sizes = (1..40).chain([255, 256, 257]);
    for size in sizes {
        let log = log_of(size);
        let tree = Tree::new(size, &log).unwrap();
        let root = tree.root().unwrap();
        for n in (0..size).filter(|n| size < 40 || n % 51 == 0) {
            let proof = tree.inclusion(n).unwrap();
            assert!(
                verify_inclusion(size, root, n, leaf(n), &proof).is_ok(),
                "{n} in {size}"
            );
            assert!(verify_inclusion(size, root, n, leaf(n + 1), &proof).is_err());
            assert!(verify_inclusion(size, root, n + 1, leaf(n), &proof).is_err());
            assert!(verify_inclusion(size, leaf(0), n, leaf(n), &proof).is_err() || size == 1);
            let longer: Vec<Hash> = proof.iter().copied().chain([leaf(0)]).collect();
            assert!(verify_inclusion(size, root, n, leaf(n), &longer).is_err());

            let earlier = (n, Tree::new(n, &log).unwrap().root().unwrap());
            let proof = tree.consistency(n).unwrap();
            assert!(
                verify_consistency(earlier, (size, root), &proof).is_ok(),
                "{n} to {size}"
            );
            assert!(verify_consistency((n, leaf(99)), (size, root), &proof).is_err());
            assert!(verify_consistency(earlier, (size, leaf(99)), &proof).is_err() || n == 0);
        }
        assert!(tree.inclusion(size).is_err());
        assert!(tree.consistency(size + 1).is_err());
        assert!(verify_consistency((size + 1, root), (size, root), &[]).is_err());
    }
}

/// A store that returns other numbers of hashes than it was asked for.
struct Broken(usize);

impl HashReader for Broken {
    fn read_hashes(&self, _: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        Ok(vec![leaf(0); self.0])
    }
}

#[test]
fn a_broken_store_is_an_error_and_not_a_panic() {
    for broken in [Broken(0), Broken(1), Broken(100)] {
        let tree = Tree::new(1000, &broken).unwrap();
        assert!(matches!(tree.root(), Err(Error::StoredHashes { .. })));
        assert!(tree.frontier().is_err());
        assert!(tree.inclusion(3).is_err());
        assert!(tree.consistency(300).is_err());
        let odd = Tree::new(1023, &broken).unwrap();
        assert!(odd.append(b"record").is_err());
        let tile: Tile = "tile/0/000".parse().unwrap();
        assert!(
            tile.bytes(1000, &broken, |_| panic!("no entries asked for"))
                .is_err()
        );
    }
    assert!(Tree::new(u64::MAX, &Broken(0)).is_err());
}

proptest! {
    #[test]
    fn no_proof_makes_the_verifier_panic(
        sizes in any::<(u64, u64)>(),
        small in (0..70_u64, 0..70_u64),
        hashes in 0..70_usize,
    ) {
        let proof = vec![leaf(1); hashes];
        for (a, b) in [sizes, small] {
            let _ = verify_inclusion(a, leaf(0), b, leaf(0), &proof);
            let _ = verify_consistency((a, leaf(0)), (b, leaf(0)), &proof);
        }
    }
}

fn tile(path: &str, size: u64) -> Result<Vec<u8>, Error> {
    let log = log_of(size);
    let records =
        |range: std::ops::Range<u64>| Ok(range.map(|n| n.to_be_bytes().to_vec()).collect());
    path.parse::<Tile>()?.bytes(size, &log, records)
}

#[test]
fn tiles_hold_what_c2sp_says() {
    let size = 70_000;
    let level0 = tile("tile/0/001", size).unwrap();
    assert_eq!(level0.len(), 256 * 32);
    assert_eq!(level0[..32], leaf(256).0);
    // A level up, each hash is over a full tile of the level below.
    let level1 = tile("tile/1/000", size).unwrap();
    let under: Vec<Hash> = (256..512).map(leaf).collect();
    assert_eq!(level1[32..64], by_definition(&under).0);
    assert_eq!(tile("tile/1/001.p/17", size).unwrap().len(), 17 * 32);
    assert_eq!(tile("tile/2/000.p/1", size).unwrap().len(), 32);

    let entries = tile("tile/entries/273.p/112", size).unwrap();
    assert_eq!(entries.len(), 112 * (2 + 8));
    assert_eq!(entries[..10], [0, 8, 0, 0, 0, 0, 0, 1, 17, 0]);
    for beyond in [
        "tile/0/273",
        "tile/0/273.p/113",
        "tile/0/274.p/1",
        "tile/1/001.p/18",
        "tile/2/000.p/2",
        "tile/2/000",
        "tile/6/000.p/1",
        "tile/entries/273",
    ] {
        assert!(
            matches!(tile(beyond, size), Err(Error::OutsideLog { .. })),
            "{beyond}"
        );
    }
}

#[test]
fn a_tile_path_has_one_spelling() {
    for good in [
        "tile/0/000",
        "tile/6/x001/000.p/1",
        "tile/entries/x123/x456/789.p/255",
    ] {
        assert_eq!(good.parse::<Tile>().unwrap().to_string(), good);
    }
    for bad in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/+0/000",
        "tile/7/000",
        "tile/64/000",
        "tile/256/000",
        "tile/data/000",
        "tile/8/0/000",
        "tile/0/x000/000",
        "tile/0/x00/000",
        "tile/0/001/000",
        "tile/0/xx01/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/1/",
        "/tile/0/000",
        "tile/0/000 ",
        "tile/0/../000",
        "tile/entries/000.p",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(bad.parse::<Tile>().is_err(), "{bad}");
    }
}

#[test]
fn entries_that_the_store_lost_are_an_error() {
    let tile: Tile = "tile/entries/000.p/3".parse().unwrap();
    let log = log_of(3);
    for records in [vec![], vec![vec![1]; 2], vec![vec![0; 70_000]; 3]] {
        assert!(tile.bytes(3, &log, |_| Ok(records)).is_err());
    }
}
