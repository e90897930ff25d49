//! Model files: importing one is an error that says why, or a model; never a panic, and no memory without end.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (source, result) = (folder.path().join("source.gguf"), folder.path().join("result.gguf"));
    std::fs::write(&source, data).expect("a temporary file");
    let imported = cell::import::import(&source, &result, &mut |_| {});
    assert_eq!(imported.is_ok(), result.exists());
});
