//! Every parser of bytes that strangers send has a fuzz target, and every target of `fuzz/Cargo.toml` exists.

use toml::{Table, Value};

use crate::{Finding, Tree};

const MANIFEST: &str = "fuzz/Cargo.toml";

/// Parsers, by what they read, and the name of the target that feeds them.
const PARSERS: [(&str, &str); 14] = [
    ("chat requests of callers", "chat_request"),
    ("completion requests of callers", "completion_request"),
    ("embedding requests of callers", "embedding_request"),
    ("answers of upstreams", "chat_response"),
    ("streamed answers of upstreams", "chat_chunk"),
    ("event streams of upstreams", "sse"),
    ("frames of cells", "cell_frame"),
    ("credentials in headers", "credential"),
    ("tokens of OIDC issuers", "jwt"),
    ("limits and steward requests", "steward_request"),
    ("price catalogues", "catalogue"),
    ("exported journals", "journal_export"),
    (
        "records, checkpoints and proofs of journals",
        "journal_parts",
    ),
    ("model files", "gguf"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |line, what, why, remedy| {
        findings.push(Finding {
            file: MANIFEST.to_owned(),
            line,
            what,
            why,
            remedy,
        })
    };
    let text = tree.text(MANIFEST).unwrap_or_default();
    let Ok(table) = text.parse::<Table>() else {
        found(
            1,
            "not a TOML file".to_owned(),
            "cargo cannot read it",
            "repair it",
        );
        return findings;
    };
    let bins = table
        .get("bin")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let field = |bin: &Value, name: &str| bin.get(name).and_then(Value::as_str).map(str::to_owned);
    let targets: Vec<String> = bins.iter().filter_map(|bin| field(bin, "name")).collect();
    for bin in bins {
        let Some(name) = field(bin, "name") else {
            continue;
        };
        let path = field(bin, "path").unwrap_or_else(|| format!("src/bin/{name}.rs"));
        if !tree.has(&format!("fuzz/{path}")) {
            let line = text
                .lines()
                .position(|line| line.contains(&format!("\"{name}\"")))
                .map_or(1, |index| index + 1);
            let what = format!("the target {name} has no file fuzz/{path}");
            found(line, what, "it cannot be run", "write it, or take it out");
        }
    }
    for (parser, target) in PARSERS {
        if !targets.iter().any(|name| name == target) {
            let what = format!("no target {target} for {parser}");
            found(
                1,
                what,
                "what strangers send reaches this parser",
                "add the target",
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_manifest(bins: &[&str], files: &[&str]) -> Vec<String> {
        let text: String = bins
            .iter()
            .map(|name| format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n"))
            .collect();
        let paths: Vec<String> = files
            .iter()
            .map(|name| format!("fuzz/fuzz_targets/{name}.rs"))
            .collect();
        let mut tree = vec![(MANIFEST, text.as_str())];
        tree.extend(paths.iter().map(|path| (path.as_str(), "")));
        check(&Tree::of(&tree))
            .into_iter()
            .map(|finding| format!("{}: {}", finding.line, finding.what))
            .collect()
    }

    #[test]
    fn a_parser_without_a_target_and_a_target_without_a_file_are_found() {
        let all: Vec<&str> = PARSERS.iter().map(|(_, target)| *target).collect();
        assert_eq!(check_manifest(&all, &all), Vec::<String>::new());
        assert_eq!(
            check_manifest(&all[1..], &all),
            ["1: no target chat_request for chat requests of callers"]
        );
        assert_eq!(
            check_manifest(&all, &all[1..]),
            ["2: the target chat_request has no file fuzz/fuzz_targets/chat_request.rs"]
        );
        assert_eq!(check_manifest(&[], &[]).len(), PARSERS.len());
        assert_eq!(check(&Tree::of(&[])).len(), PARSERS.len());
    }
}
