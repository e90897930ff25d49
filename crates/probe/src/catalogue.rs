//! Every row of the attack catalogue, tested or not: what is not tested is said, never missing.

/// Where a row can be tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// With the echo upstream behind the gateway.
    Echo,
    /// With a real engine behind the gateway.
    Live,
    /// With either.
    Both,
    /// With either, where the target offers one of these routes.
    Objects(&'static [&'static str]),
    /// Nowhere from outside; why.
    Left(&'static str),
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its number, for good: rows are quoted by it.
    pub id: u8,
    /// Its name.
    pub title: &'static str,
    /// How the attack works.
    pub mechanism: &'static str,
    /// Where it was seen.
    pub source: &'static str,
    /// Where it can be tested.
    pub kind: Kind,
}

/// The row of that number.
pub fn entry(id: u8) -> Option<&'static Entry> {
    ROWS.iter().find(|entry| entry.id == id)
}

const fn row(
    id: u8,
    title: &'static str,
    mechanism: &'static str,
    source: &'static str,
    kind: Kind,
) -> Entry {
    Entry {
        id,
        title,
        mechanism,
        source,
        kind,
    }
}

use Kind::{Both, Echo, Left, Live, Objects};

/// All rows, by number.
pub const ROWS: [Entry; 38] = [
    row(
        1,
        "Semantic-cache leak",
        "similarity lookup ignores the tenant, or its scope is soft",
        "CVE-2026-89032; semantic-router #2134",
        Echo,
    ),
    row(
        2,
        "Exact-cache sharing",
        "the key is a hash of the request without the tenant",
        "LiteLLM #29955",
        Echo,
    ),
    row(
        3,
        "Foreign ids",
        "an id of another tenant opens its file, thread, response, batch or vector store",
        "CVE-2026-45398, -45402, -45301; CVE-2026-41950; LiteLLM PR #38320",
        Objects(&[
            "/v1/files",
            "/v1/vector_stores",
            "/v1/conversations",
            "/v1/responses",
            "/v1/batches",
            "/tenant/v1/self",
            "/tenant/v1/keys",
        ]),
    ),
    row(
        4,
        "Filter injection",
        "a collection's name is interpolated into the vector filter",
        "CVE-2026-54019",
        Left(
            "needs retrieval inside the gateway, with collections that tenants name; not part of the OpenAI interface that the probe speaks",
        ),
    ),
    row(
        5,
        "Route and host confusion",
        "authentication judges another path than the router",
        "CVE-2026-49468",
        Echo,
    ),
    row(
        6,
        "Truncated credential cache",
        "the cache of checked credentials is keyed by a part of them",
        "CVE-2026-35030",
        Echo,
    ),
    row(
        7,
        "Token confusion",
        "forged signed tokens: none, other algorithm, key id, audience, missing tenant",
        "CVE-2026-39413; CVE-2026-22817, -22818",
        Echo,
    ),
    row(
        8,
        "Injection through the key",
        "the credential is interpolated into a query before it is checked",
        "CVE-2026-42208",
        Echo,
    ),
    row(
        9,
        "Privilege climb",
        "a tenant's key reaches administration, or fields it may not set are taken",
        "CVE-2026-35029, -47101, -47102",
        Echo,
    ),
    row(
        10,
        "Key reuse across domains",
        "a token made for one field, route or tenant is accepted in another",
        "CVE-2026-114612",
        Echo,
    ),
    row(
        11,
        "Tenant-header spoofing",
        "a header that names the tenant is believed from the client",
        "Dynamo PR #8197; CVE-2026-105299",
        Echo,
    ),
    row(
        12,
        "Request smuggling",
        "gateway and upstream disagree where a request on a pooled connection ends",
        "CVE-2026-2833, -2835",
        Echo,
    ),
    row(
        13,
        "Response mix-up",
        "a pooled connection or a handler is used again after a cancelled call",
        "CVE-2026-25536; CVE-2026-111770; tabbyAPI #107",
        Echo,
    ),
    row(
        14,
        "Pool keyed by name",
        "a tenant's call goes out with another's credential or to its host",
        "evoila/meho PR #1684",
        Echo,
    ),
    row(
        15,
        "Prefix-cache timing",
        "the time to the first token tells what another tenant asked",
        "PromptPeek (NDSS 2025); CVE-2025-46570",
        Both,
    ),
    row(
        16,
        "Salt dropped downstream",
        "the cache salt does not reach every level of the engine's cache",
        "LMCache #4825; SGLang #23300",
        Both,
    ),
    row(
        17,
        "Caller picks the salt",
        "a client's cache salt joins another tenant's cache",
        "vLLM PR #53347; private-ai-gateway #83",
        Echo,
    ),
    row(
        18,
        "Content-hash poisoning",
        "a hash that the client sends is the key of the cache",
        "CVE-2026-105754; CVE-2026-111392",
        Echo,
    ),
    row(
        19,
        "Batch interference",
        "another tenant's parameters change an answer in the same batch",
        "GHSA-v97p-wpxp-px84; GHSA-fpch-3xrf-7q96; CVE-2026-114049",
        Live,
    ),
    row(
        20,
        "Request-id collision",
        "the client's request id is a key of state",
        "PYSEC-2026-4198; CVE-2026-112266",
        Echo,
    ),
    row(
        21,
        "Credential confused deputy",
        "the caller steers where a call goes, or with which credential",
        "GHSA-g5ff-637f-6q2m; CVE-2026-70472",
        Echo,
    ),
    row(
        22,
        "Trace leak",
        "content of one tenant stands in errors, usage, metrics or traces that another sees",
        "CVE-2026-41947; LiteLLM #35951; CVE-2026-116691",
        Echo,
    ),
    row(
        23,
        "Budget race",
        "checking and charging are not one step",
        "LiteLLM #34732, #40095",
        Echo,
    ),
    row(
        24,
        "Noisy neighbour",
        "one tenant's load slows or breaks another's calls",
        "obormot 2026",
        Live,
    ),
    row(
        25,
        "Stream shape",
        "sizes and times of a stream's pieces tell its topic",
        "Whisper Leak (2511.03675)",
        Echo,
    ),
    row(
        26,
        "Pseudonym mix-up",
        "placeholders of one request are put back into another's answer",
        "LiteLLM #31959, PR #19950",
        Echo,
    ),
    row(
        27,
        "Model mix-up",
        "one of two models, or another tenant's adapter, answers for the other",
        "SGLang #10317; cachebox #159",
        Echo,
    ),
    row(
        28,
        "Cache collision attack",
        "crafted neighbours make a cache answer others' questions",
        "CacheAttack (2601.23088)",
        Echo,
    ),
    row(
        29,
        "Retrieval poisoning",
        "one tenant's documents answer another's question",
        "PoisonedRAG; CVE-2025-32711",
        Left(
            "needs retrieval inside the gateway, with a corpus per tenant; not part of the OpenAI interface that the probe speaks",
        ),
    ),
    row(
        30,
        "Retrieval timing",
        "search times tell what is in another tenant's index",
        "2605.19847",
        Left(
            "needs retrieval inside the gateway, with an index per tenant; not part of the OpenAI interface that the probe speaks",
        ),
    ),
    row(
        31,
        "Malicious model file",
        "a model file runs code when it is loaded",
        "CVE-2024-34359; CVE-2026-5760",
        Left(
            "needs to upload model files, which no tenant's interface offers; test it where models are imported",
        ),
    ),
    row(
        32,
        "Caller template",
        "the client brings a chat template that the engine runs",
        "PYSEC-2026-4349",
        Echo,
    ),
    row(
        33,
        "Platform escape",
        "code inside a tenant's sandbox reaches the platform",
        "Wiz 2024",
        Left("needs code inside the sandbox; not visible from outside"),
    ),
    row(
        34,
        "Engine side doors",
        "paths of the engine behind are reached through the gateway",
        "vLLM security guide; llama.cpp #9776, #16534",
        Echo,
    ),
    row(
        35,
        "Model extraction",
        "log probabilities with bias, or endless repetition, give weights or training data away",
        "Carlini 2024 (2403.06634); Nasr 2023 (2311.17035)",
        Echo,
    ),
    row(
        36,
        "Embedding inversion",
        "stored vectors give their texts away",
        "vec2text (2310.06816)",
        Left("needs the stored bytes; not visible from outside"),
    ),
    row(
        37,
        "System-prompt extraction",
        "one tenant's system prompt reaches another",
        "many",
        Echo,
    ),
    row(
        38,
        "GPU residue",
        "memory of the accelerator keeps the last tenant's data",
        "LeftoverLocals, CVE-2023-4969",
        Left("not visible from outside; only attestation of the hardware speaks to it"),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_numbered_in_order_and_say_what_they_are() {
        for (index, entry) in ROWS.iter().enumerate() {
            assert_eq!(usize::from(entry.id), index + 1);
            assert!(
                [entry.title, entry.mechanism, entry.source]
                    .iter()
                    .all(|text| !text.is_empty())
            );
        }
        assert_eq!(
            entry(11).map(|entry| entry.title),
            Some("Tenant-header spoofing")
        );
        assert_eq!(entry(0), None);
        assert_eq!(entry(39), None);
    }
}
