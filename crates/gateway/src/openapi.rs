//! The interface as OpenAPI 3.1: one table of every operation, with the schemas that `wire` derives.
//!
//! A test drives every row against the routers, and the routers' own unknown paths against the table, so that the two
//! cannot drift apart.

mod operations;

use std::collections::BTreeMap;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, Content, Info, OpenApi, Paths, Ref, RefOr, Required, ResponseBuilder, Schema,
        path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem},
        request_body::RequestBodyBuilder,
        schema::{ObjectBuilder, Type},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use wire::openai::error::ErrorBody;

pub(crate) use operations::{Operation, operations};

/// A schema of `wire`, by name.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    name: fn() -> String,
    collect: fn(&mut Schemas),
}

type Schemas = BTreeMap<String, RefOr<Schema>>;

impl Shape {
    pub(crate) const fn of<T: ToSchema + 'static>() -> Shape {
        Shape { name: || T::name().into_owned(), collect: collect::<T> }
    }

    fn reference(self, schemas: &mut Schemas) -> RefOr<Schema> {
        (self.collect)(schemas);
        RefOr::Ref(Ref::from_schema_name((self.name)()))
    }
}

fn collect<T: ToSchema>(schemas: &mut Schemas) {
    let mut found = Vec::new();
    T::schemas(&mut found);
    schemas.insert(T::name().into_owned(), <T as PartialSchema>::schema());
    schemas.extend(found);
}

/// The document, as JSON for people and programs. The same for every build of a version.
#[must_use]
pub fn openapi() -> String {
    let mut schemas = Schemas::new();
    let error = Shape::of::<ErrorBody>().reference(&mut schemas);
    let mut paths = Paths::new();
    for operation in operations() {
        let item = PathItem::new(operation.method.clone(), describe(&operation, &mut schemas, &error));
        match paths.paths.get_mut(&operation.path) {
            Some(there) => there.merge_operations(item),
            None => {
                paths.paths.insert(operation.path.clone(), item);
            }
        }
    }
    let mut components = Components::new();
    components.schemas.extend(schemas);
    for (name, what) in [
        ("key", "An API key, a session token or a token of a pinned issuer."),
        ("operator", "An operator key; on the control plane."),
    ] {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(what.to_owned());
        components.add_security_scheme(name, SecurityScheme::Http(scheme));
    }
    let mut info = Info::new("Cofferdam", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "The data plane (by default on port 7070) serves /v1 and /tenant/v1; every /v1 path works without /v1 too. \
         The control plane (by default on 127.0.0.1:7071) serves /admin/v1, health and metrics."
            .to_owned(),
    );
    let mut document = OpenApi::new(info, paths);
    document.components = Some(components);
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn describe(operation: &Operation, schemas: &mut Schemas, error: &RefOr<Schema>) -> utoipa::openapi::path::Operation {
    let mut answer = ResponseBuilder::new().description(operation.answer_is);
    if let Some(shape) = operation.answer {
        answer = answer.content("application/json", Content::new(Some(shape.reference(schemas))));
    }
    if let Some(kind) = operation.streams {
        let text = ObjectBuilder::new().schema_type(Type::String);
        answer = answer.content(kind, Content::new(Some(text)));
    }
    let refused = ResponseBuilder::new()
        .description("Refused; nothing was done that the message does not say")
        .content("application/json", Content::new(Some(error.clone())));
    let mut described = OperationBuilder::new()
        .summary(Some(operation.summary))
        .tag(operation.tag)
        .operation_id(Some(operation.id()))
        .response(operation.status.to_string(), answer.build())
        .response("default", refused.build());
    for name in path_parameters(&operation.path) {
        described = described.parameter(parameter(name, ParameterIn::Path, Required::True));
    }
    for name in operation.query {
        described = described.parameter(parameter(name, ParameterIn::Query, Required::False));
    }
    if let Some(body) = operation.body {
        let content = Content::new(Some(body.reference(schemas)));
        let body = RequestBodyBuilder::new().required(Some(Required::True)).content("application/json", content);
        described = described.request_body(Some(body.build()));
    }
    if let Some(credential) = operation.credential {
        described = described.security(SecurityRequirement::new(credential, std::iter::empty::<String>()));
    }
    described.build()
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn parameter(name: &str, place: ParameterIn, required: Required) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_interface_is_the_one_that_is_served() {
        let checked_in = include_str!("../../../spec/openapi.json");
        assert!(
            checked_in == openapi(),
            "spec/openapi.json differs; write it anew with `cargo run -p cofferdam -- openapi > spec/openapi.json`"
        );
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let mut ids: Vec<_> = operations().iter().map(Operation::id).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
