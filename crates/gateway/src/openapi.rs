//! The interface as OpenAPI 3.1: one table of every operation, with the schemas that `wire` derives.
//!
//! `tests/openapi.rs` drives every row against the routers, looks every path of the routers up in the table, and holds
//! real answers against the schemas, so that document and code cannot drift apart.

mod operations;

use std::collections::BTreeMap;

use utoipa::{
    ToSchema,
    openapi::{
        Components, Content, Info, OpenApi, Paths, Ref, RefOr, Required, ResponseBuilder, Schema,
        path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem},
        request_body::RequestBodyBuilder,
        schema::{ObjectBuilder, SchemaType, Type},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use wire::{openai::error::ErrorBody, steward::List};

use operations::{Operation, operations};

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// A schema of `wire`: puts it and those it needs among the others, and is a reference to it.
#[derive(Clone, Copy)]
struct Shape(fn(&mut Schemas) -> RefOr<Schema>);

impl Shape {
    const fn of<T: ToSchema + 'static>() -> Shape {
        Shape(|schemas| named::<T>(T::name().into_owned(), schemas))
    }

    /// A list of these. Its derived name is that of every list, so it gets one of its own.
    const fn list_of<T: ToSchema + 'static>() -> Shape {
        Shape(|schemas| {
            named::<T>(T::name().into_owned(), schemas);
            named::<List<T>>(format!("{}List", T::name()), schemas)
        })
    }

    fn reference(self, schemas: &mut Schemas) -> RefOr<Schema> {
        (self.0)(schemas)
    }
}

fn named<T: ToSchema>(name: String, schemas: &mut Schemas) -> RefOr<Schema> {
    needed_by::<T>(schemas);
    schemas.insert(name.clone(), T::schema());
    RefOr::Ref(Ref::from_schema_name(name))
}

fn needed_by<T: ToSchema>(schemas: &mut Schemas) {
    let mut found = Vec::new();
    T::schemas(&mut found);
    schemas.extend(found);
}

/// The query of an operation, by its shape in `wire`.
#[derive(Clone, Copy)]
struct QueryShape(fn(&mut Schemas) -> Vec<Parameter>);

impl QueryShape {
    const fn of<T: ToSchema + 'static>() -> QueryShape {
        QueryShape(query_parameters::<T>)
    }
}

/// Each field of the shape is one parameter.
fn query_parameters<T: ToSchema>(schemas: &mut Schemas) -> Vec<Parameter> {
    needed_by::<T>(schemas);
    let RefOr::T(Schema::Object(query)) = T::schema() else {
        return Vec::new();
    };
    let parameter = |(name, schema): (String, RefOr<Schema>)| {
        let required = match query.required.contains(&name) {
            true => Required::True,
            false => Required::False,
        };
        parameter(&name, ParameterIn::Query, required, never_null(schema))
    };
    query
        .properties
        .clone()
        .into_iter()
        .map(parameter)
        .collect()
}

/// What a field may be if it is there: a query has no null.
fn never_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut field)) => {
            if let SchemaType::Array(types) = &mut field.schema_type {
                types.retain(|kind| *kind != Type::Null);
                if let [only] = types.as_slice() {
                    field.schema_type = SchemaType::Type(only.clone());
                }
            }
            RefOr::T(Schema::Object(field))
        }
        RefOr::T(Schema::OneOf(mut choice)) => {
            let is_null = |item: &RefOr<Schema>| matches!(item, RefOr::T(Schema::Object(null)) if null.schema_type == SchemaType::Type(Type::Null));
            choice.items.retain(|item| !is_null(item));
            match <[RefOr<Schema>; 1]>::try_from(std::mem::take(&mut choice.items)) {
                Ok([only]) => only,
                Err(items) => {
                    choice.items = items;
                    RefOr::T(Schema::OneOf(choice))
                }
            }
        }
        other => other,
    }
}

/// The document, as JSON for people and programs. The same for every build of a version.
#[must_use]
pub fn openapi() -> String {
    let mut schemas = Schemas::new();
    let error = Shape::of::<ErrorBody>().reference(&mut schemas);
    let mut paths = Paths::new();
    for operation in operations() {
        let item = PathItem::new(
            operation.method.clone(),
            describe(&operation, &mut schemas, &error),
        );
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
        (
            "key",
            "An API key, a session token or a token of a pinned issuer.",
        ),
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

fn describe(
    operation: &Operation,
    schemas: &mut Schemas,
    error: &RefOr<Schema>,
) -> utoipa::openapi::path::Operation {
    let mut answer = ResponseBuilder::new().description(operation.answer_is);
    if let Some(shape) = operation.answer {
        answer = answer.content(
            "application/json",
            Content::new(Some(shape.reference(schemas))),
        );
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
        let text = ObjectBuilder::new().schema_type(Type::String);
        described = described.parameter(parameter(name, ParameterIn::Path, Required::True, text));
    }
    if let Some(QueryShape(parameters)) = operation.query {
        described = described.parameters(Some(parameters(schemas)));
    }
    if let Some(body) = operation.body {
        let content = Content::new(Some(body.reference(schemas)));
        let body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content("application/json", content);
        described = described.request_body(Some(body.build()));
    }
    if let Some(credential) = operation.credential {
        described = described.security(SecurityRequirement::new(
            credential,
            std::iter::empty::<String>(),
        ));
    }
    described.build()
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn parameter(
    name: &str,
    place: ParameterIn,
    required: Required,
    schema: impl Into<RefOr<Schema>>,
) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .schema(Some(schema))
        .build()
}
