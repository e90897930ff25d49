//! The table of operations.

use utoipa::openapi::HttpMethod::{self, Delete, Get, Patch, Post, Put};
use wire::admin::{ChangeTenant, CreateTenant, Health, ModelRoute, Tenant};
use wire::openai::{
    chat::{ChatParams, ChatResponse},
    completions::{CompletionParams, CompletionResponse},
    embeddings::{EmbeddingParams, EmbeddingResponse},
    models::{Model, ModelList},
};
use wire::steward::{
    ApiKey, Call, ChangeKey, Checkpoint, Credential, Deleted, InclusionProof, Issuer, LimitSet,
    LimitsView, ListQuery, MintKey, MintSession, MintedKey, Myself, ProofQuery, PutCredential,
    PutIssuer, RecordRow, RecordsQuery, SessionToken, UsageList, UsageQuery,
};

use super::{QueryShape, Shape};

/// One method on one path.
pub(super) struct Operation {
    pub(super) method: HttpMethod,
    pub(super) path: String,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) query: Option<QueryShape>,
    pub(super) body: Option<Shape>,
    pub(super) status: u16,
    pub(super) answer_is: &'static str,
    pub(super) answer: Option<Shape>,
    /// The media type of an answer that is not one JSON document, or not always.
    pub(super) streams: Option<&'static str>,
    pub(super) credential: Option<&'static str>,
}

impl Operation {
    /// Its name: method and path in one word.
    pub(super) fn id(&self) -> String {
        let method = match self.method {
            Get => "get",
            Post => "post",
            Put => "put",
            Patch => "patch",
            Delete => "delete",
            _ => "other",
        };
        let path: Vec<_> = self
            .path
            .split('/')
            .map(|part| part.trim_matches(['{', '}']))
            .filter(|part| !part.is_empty())
            .collect();
        format!("{method}_{}", path.join("_"))
    }

    fn query(self, query: QueryShape) -> Self {
        Self {
            query: Some(query),
            ..self
        }
    }

    fn body(self, body: Shape) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    fn created(self) -> Self {
        Self {
            status: 201,
            answer_is: "Made",
            ..self
        }
    }

    fn streams(self, kind: &'static str) -> Self {
        Self {
            streams: Some(kind),
            ..self
        }
    }

    fn open(self) -> Self {
        Self {
            credential: None,
            ..self
        }
    }
}

/// Every operation of both planes.
pub(super) fn operations() -> Vec<Operation> {
    let mut all = data_plane();
    all.extend(administration("/tenant/v1", "steward", "key"));
    all.extend(steward());
    all.extend(administration(
        "/admin/v1/tenants/{tenant}",
        "operator",
        "operator",
    ));
    all.extend(control_plane());
    all
}

fn data_plane() -> Vec<Operation> {
    let op = |method, path: &str, summary, answer| {
        operation("openai", "key", method, path, summary, answer)
    };
    vec![
        op(
            Post,
            "/v1/chat/completions",
            "Chat, streamed or whole",
            Some(Shape::of::<ChatResponse>()),
        )
        .body(Shape::of::<ChatParams>())
        .streams("text/event-stream"),
        op(
            Post,
            "/v1/completions",
            "Complete a prompt, streamed or whole",
            Some(Shape::of::<CompletionResponse>()),
        )
        .body(Shape::of::<CompletionParams>())
        .streams("text/event-stream"),
        op(
            Post,
            "/v1/embeddings",
            "Embed texts",
            Some(Shape::of::<EmbeddingResponse>()),
        )
        .body(Shape::of::<EmbeddingParams>()),
        op(
            Get,
            "/v1/models",
            "The models this credential may use",
            Some(Shape::of::<ModelList>()),
        ),
        op(
            Get,
            "/v1/models/{id}",
            "One of them; ids may have slashes",
            Some(Shape::of::<Model>()),
        ),
    ]
}

/// What a steward and the operator both do.
fn administration(prefix: &str, tag: &'static str, credential: &'static str) -> Vec<Operation> {
    let op = |method, path: &str, summary, answer| {
        operation(
            tag,
            credential,
            method,
            &format!("{prefix}{path}"),
            summary,
            answer,
        )
    };
    let key = Some(Shape::of::<ApiKey>());
    let issuer = Some(Shape::of::<Issuer>());
    let limits = Some(Shape::of::<LimitsView>());
    vec![
        op(
            Get,
            "/keys",
            "List the keys",
            Some(Shape::list_of::<ApiKey>()),
        )
        .query(QueryShape::of::<ListQuery>()),
        op(
            Post,
            "/keys",
            "Mint a key, shown this once",
            Some(Shape::of::<MintedKey>()),
        )
        .body(Shape::of::<MintKey>())
        .created(),
        op(Get, "/keys/{id}", "One key", key),
        op(Patch, "/keys/{id}", "Change a key", key).body(Shape::of::<ChangeKey>()),
        op(
            Delete,
            "/keys/{id}",
            "Revoke a key, at once and for good",
            key,
        ),
        op(
            Get,
            "/limits",
            "The limits of operator and steward, and what they come to",
            limits,
        ),
        op(Put, "/limits", "Set your own tier of limits", limits).body(Shape::of::<LimitSet>()),
        op(
            Get,
            "/usage",
            "Calls, tokens and money",
            Some(Shape::of::<UsageList>()),
        )
        .query(QueryShape::of::<UsageQuery>()),
        op(
            Get,
            "/issuers",
            "List the pinned token issuers",
            Some(Shape::list_of::<Issuer>()),
        ),
        op(Get, "/issuers/{id}", "One issuer", issuer),
        op(Put, "/issuers/{id}", "Pin or change an issuer", issuer).body(Shape::of::<PutIssuer>()),
        op(
            Delete,
            "/issuers/{id}",
            "Remove an issuer",
            Some(Shape::of::<Deleted>()),
        ),
        op(
            Get,
            "/journal/checkpoint",
            "The signed head of the journal",
            Some(Shape::of::<Checkpoint>()),
        ),
        op(
            Get,
            "/journal/records",
            "Records of the journal",
            Some(Shape::list_of::<RecordRow>()),
        )
        .query(QueryShape::of::<RecordsQuery>()),
        op(
            Get,
            "/journal/proof",
            "Proof that a record is in the journal",
            Some(Shape::of::<InclusionProof>()),
        )
        .query(QueryShape::of::<ProofQuery>()),
        op(
            Get,
            "/journal/export",
            "The whole journal, to be verified offline",
            None,
        )
        .streams("application/jsonl"),
    ]
}

fn steward() -> Vec<Operation> {
    let op = |method, path: &str, summary, answer| {
        operation("steward", "key", method, path, summary, answer)
    };
    let credential = Some(Shape::of::<Credential>());
    vec![
        op(
            Get,
            "/tenant/v1/self",
            "What this credential is and may do",
            Some(Shape::of::<Myself>()),
        ),
        op(
            Post,
            "/tenant/v1/sessions",
            "Mint a token for one end user",
            Some(Shape::of::<SessionToken>()),
        )
        .body(Shape::of::<MintSession>())
        .created(),
        op(
            Get,
            "/tenant/v1/calls/{id}",
            "What became of a call",
            Some(Shape::of::<Call>()),
        ),
        op(
            Get,
            "/tenant/v1/credentials",
            "Upstreams that have a credential of yours",
            Some(Shape::list_of::<Credential>()),
        ),
        op(
            Put,
            "/tenant/v1/credentials/{upstream}",
            "Set your credential for an upstream",
            credential,
        )
        .body(Shape::of::<PutCredential>()),
        op(
            Delete,
            "/tenant/v1/credentials/{upstream}",
            "Remove it",
            Some(Shape::of::<Deleted>()),
        ),
    ]
}

fn control_plane() -> Vec<Operation> {
    let op = |method, path: &str, summary, answer| {
        operation("operator", "operator", method, path, summary, answer)
    };
    let tenant = Some(Shape::of::<Tenant>());
    let health = Some(Shape::of::<Health>());
    vec![
        op(
            Get,
            "/admin/v1/tenants",
            "List the tenants",
            Some(Shape::list_of::<Tenant>()),
        )
        .query(QueryShape::of::<ListQuery>()),
        op(
            Post,
            "/admin/v1/tenants",
            "Create a tenant; 200 for a name that is there",
            tenant,
        )
        .body(Shape::of::<CreateTenant>())
        .created(),
        op(Get, "/admin/v1/tenants/{tenant}", "One tenant", tenant),
        op(
            Patch,
            "/admin/v1/tenants/{tenant}",
            "Suspend or resume a tenant",
            tenant,
        )
        .body(Shape::of::<ChangeTenant>()),
        op(
            Get,
            "/admin/v1/deployment/checkpoint",
            "The signed head of the log of all journals' heads",
            Some(Shape::of::<Checkpoint>()),
        ),
        op(
            Get,
            "/admin/v1/models",
            "Where models lead and what they cost",
            Some(Shape::list_of::<ModelRoute>()),
        ),
        op(Get, "/healthz", "The process answers", health).open(),
        op(
            Get,
            "/readyz",
            "Calls would be served; 503 with the reasons where not",
            health,
        )
        .open(),
        op(Get, "/metrics", "Metrics without any tenant's name", None)
            .streams("application/openmetrics-text")
            .open(),
    ]
}

fn operation(
    tag: &'static str,
    credential: &'static str,
    method: HttpMethod,
    path: &str,
    summary: &'static str,
    answer: Option<Shape>,
) -> Operation {
    Operation {
        method,
        path: path.to_owned(),
        tag,
        summary,
        query: None,
        body: None,
        status: 200,
        answer_is: "Done",
        answer,
        streams: None,
        credential: Some(credential),
    }
}
