//! Importing model files: the same bytes every time, whole or not at all, and nothing absurd.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod tiny;

use std::fs;
use std::path::Path;

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, Value};
use cell::engine::Engine;
use cell::import::{import, sha256};
use tiny::Tiny;
use wire::cell::FailureKind;

fn shipped(folder: &Path) -> std::path::PathBuf {
    Tiny {
        weights: GgmlDType::Q4_1,
        ..Tiny::default()
    }
    .write(folder)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn slow_types_become_q8_and_everything_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (source, result) = (shipped(folder.path()), folder.path().join("result.gguf"));
    let mut steps = Vec::new();
    let imported = import(&source, &result, &mut |share| steps.push(share)).unwrap();
    assert!(!imported.already_there);
    assert_eq!(imported.source_sha256, sha256(&source).unwrap());
    assert_eq!(imported.result_sha256, sha256(&result).unwrap());
    assert!(
        steps.windows(2).all(|pair| pair[0] <= pair[1]) && steps.last() == Some(&1.0),
        "{steps:?}"
    );
    assert_eq!(
        names(folder.path()),
        ["result.gguf", "tiny.gguf"],
        "nothing is left behind"
    );

    let (mut old_file, mut new_file) = (
        fs::File::open(&source).unwrap(),
        fs::File::open(&result).unwrap(),
    );
    let (old, new) = (
        Content::read(&mut old_file).unwrap(),
        Content::read(&mut new_file).unwrap(),
    );
    for (key, value) in &old.metadata {
        assert_eq!(
            format!("{value:?}"),
            format!("{:?}", new.metadata[key]),
            "{key}"
        );
    }
    assert_eq!(old.tensor_infos.len(), new.tensor_infos.len());
    for name in old.tensor_infos.keys() {
        let before = old.tensor(&mut old_file, name, &Device::Cpu).unwrap();
        let after = new.tensor(&mut new_file, name, &Device::Cpu).unwrap();
        let expected = if name.contains("norm") {
            GgmlDType::F32
        } else {
            GgmlDType::Q8_0
        };
        assert_eq!(
            (after.dtype(), after.shape()),
            (expected, before.shape()),
            "{name}"
        );
        let apart = (before.dequantize(&Device::Cpu).unwrap()
            - after.dequantize(&Device::Cpu).unwrap())
        .unwrap();
        let apart = apart
            .abs()
            .unwrap()
            .flatten_all()
            .unwrap()
            .max(0)
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        assert!(apart < 0.004, "{name} moved by {apart}");
    }
    Engine::load(&result, None).unwrap();
}

#[test]
fn importing_again_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = shipped(folder.path());
    let (once, twice) = (
        folder.path().join("once.gguf"),
        folder.path().join("twice.gguf"),
    );
    let first = import(&source, &once, &mut |_| {}).unwrap();
    let again = import(&source, &once, &mut |_| {}).unwrap();
    assert_eq!(
        (again.already_there, &again.result_sha256),
        (true, &first.result_sha256)
    );
    // the result of an import, imported, is itself
    import(&once, &twice, &mut |_| {}).unwrap();
    assert_eq!(fs::read(&once).unwrap(), fs::read(&twice).unwrap());
    // another source replaces what is there
    Tiny {
        layers: 1,
        ..Tiny::default()
    }
    .write_as(&source, |_| {});
    let other = import(&source, &once, &mut |_| {}).unwrap();
    assert!(!other.already_there && other.result_sha256 != first.result_sha256);
}

#[test]
fn a_broken_file_is_refused_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let source = shipped(folder.path());
    let whole = fs::read(&source).unwrap();
    let result = folder.path().join("result.gguf");
    let refuse = |bytes: &[u8], what: &str| {
        fs::write(&source, bytes).unwrap();
        let error = import(&source, &result, &mut |_| {}).expect_err(what);
        assert_eq!(
            error.kind(),
            FailureKind::UnsupportedModel,
            "{what}: {error}"
        );
        assert_eq!(names(folder.path()), ["tiny.gguf"], "{what}");
    };
    let patched = |at: usize, bytes: &[u8]| {
        let mut copy = whole.clone();
        copy[at..at + bytes.len()].copy_from_slice(bytes);
        copy
    };
    refuse(b"", "an empty file");
    refuse(b"not a model at all, just text", "text");
    refuse(&patched(4, &1u32.to_le_bytes()), "version 1");
    refuse(
        &patched(8, &u64::MAX.to_le_bytes()),
        "absurdly many tensors",
    );
    refuse(
        &patched(16, &u64::MAX.to_le_bytes()),
        "absurdly many entries",
    );
    refuse(
        &patched(24, &(1u64 << 40).to_le_bytes()),
        "an absurdly long key",
    );
    for length in [7, 30, 500, whole.len() / 2, whole.len() - 64] {
        refuse(&whole[..length], "a file cut short");
    }
    for (key, value) in [
        ("general.alignment", Value::U32(0)),
        ("general.alignment", Value::U32(3)),
        ("general.alignment", Value::U64(32)),
        (
            "llama.extra",
            Value::Array(vec![Value::Array(vec![Value::U8(1)])]),
        ),
        (
            "llama.extra",
            Value::Array(vec![Value::U8(1); (1 << 22) + 1]),
        ),
        ("llama.block_count", Value::U32(1)),
        ("llama.expert_count", Value::U32(8)),
        ("llama.rope.scaling.type", Value::String("yarn".into())),
    ] {
        let path = folder.path().join("tiny.gguf");
        Tiny::default().write_as(&path, |metadata| metadata.push((key.to_owned(), value)));
        let bytes = fs::read(&path).unwrap();
        refuse(&bytes, key);
    }
    for (key, value) in [
        ("llama.attention.head_count", Value::U32(0)),
        ("llama.attention.head_count", Value::U32(3)),
        ("llama.embedding_length", Value::U32(u32::MAX)),
        ("llama.block_count", Value::U32(u32::MAX)),
        ("llama.context_length", Value::String("long".into())),
    ] {
        let path = folder.path().join("tiny.gguf");
        Tiny::default().write_as(&path, |metadata| {
            metadata
                .iter_mut()
                .filter(|(name, _)| name == key)
                .for_each(|(_, old)| *old = value.clone());
        });
        let bytes = fs::read(&path).unwrap();
        refuse(&bytes, key);
    }
}

#[test]
fn a_header_damaged_anywhere_is_an_error_or_a_model_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = Tiny {
        layers: 1,
        ..Tiny::default()
    }
    .write(folder.path());
    let whole = fs::read(&path).unwrap();
    let mut loaded = 0;
    for at in (0..6000.min(whole.len())).step_by(17) {
        let mut copy = whole.clone();
        copy[at] ^= 0xff;
        fs::write(&path, &copy).unwrap();
        loaded += usize::from(Engine::load(&path, None).is_ok());
    }
    assert!(loaded > 0, "some damage is to words nobody needs");
}
