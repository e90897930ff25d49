//! Tools a model may call.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::message::ToolCallKind;
use crate::json::{Opaque, Shape, TextOr};
use crate::openai::ask::reprinted_json_bound;
use crate::openai::bad_request::{Misfit, need, none_left};
use crate::openai::texts::texts;

/// A tool.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "ToolFields")]
pub enum Tool {
    /// A function with JSON arguments.
    Function {
        /// Its definition.
        function: Function,
    },
    /// A custom tool with free text.
    Custom {
        /// Its definition.
        custom: CustomTool,
    },
}

/// A function a model may call.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Function {
    /// `[a-zA-Z0-9_-]{1,64}`.
    pub name: String,
    /// When and how to call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Opaque>,
    /// Hold the arguments to the schema exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// A custom tool a model may call.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct CustomTool {
    /// `[a-zA-Z0-9_-]{1,64}`.
    pub name: String,
    /// When and how to call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `{"type":"text"}`, or `{"type":"grammar","grammar":{"definition":…,"syntax":"lark"|"regex"}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub format: Option<Opaque>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct ToolFields {
    r#type: ToolCallKind,
    function: Option<Function>,
    custom: Option<CustomTool>,
}

impl TryFrom<ToolFields> for Tool {
    type Error = Misfit;

    fn try_from(mut fields: ToolFields) -> Result<Tool, Misfit> {
        let tool = match fields.r#type {
            ToolCallKind::Function => Tool::Function {
                function: need("function", &mut fields.function)?,
            },
            ToolCallKind::Custom => Tool::Custom {
                custom: need("custom", &mut fields.custom)?,
            },
        };
        none_left(&[
            ("function", fields.function.is_some()),
            ("custom", fields.custom.is_some()),
        ])?;
        Ok(tool)
    }
}

/// Which tool is called: `none`, `auto`, `required`, or an object.
pub type ToolChoice = TextOr<ToolChoiceObject>;

/// Which tool is called.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "ToolChoiceFields")]
pub enum ToolChoiceObject {
    /// This function.
    Function {
        /// Its name.
        function: NamedChoice,
    },
    /// This custom tool.
    Custom {
        /// Its name.
        custom: NamedChoice,
    },
    /// Some of these.
    AllowedTools {
        /// Which.
        allowed_tools: AllowedTools,
    },
}

/// Names a tool.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct NamedChoice {
    /// Its name.
    pub name: String,
}

/// Tools of which some may be called.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct AllowedTools {
    /// `auto`, or `required`.
    pub mode: AllowedMode,
    /// Such as `{"type":"function","function":{"name":…}}`.
    #[schema(value_type = Vec<Object>)]
    pub tools: Vec<Opaque>,
}

/// Must one of the allowed tools be called?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AllowedMode {
    /// The model decides.
    Auto,
    /// It must.
    Required,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct ToolChoiceFields {
    r#type: ToolChoiceKind,
    function: Option<NamedChoice>,
    custom: Option<NamedChoice>,
    allowed_tools: Option<AllowedTools>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ToolChoiceKind {
    Function,
    Custom,
    AllowedTools,
}

impl TryFrom<ToolChoiceFields> for ToolChoiceObject {
    type Error = Misfit;

    fn try_from(fields: ToolChoiceFields) -> Result<ToolChoiceObject, Misfit> {
        let ToolChoiceFields {
            r#type,
            mut function,
            mut custom,
            mut allowed_tools,
        } = fields;
        let choice = match r#type {
            ToolChoiceKind::Function => ToolChoiceObject::Function {
                function: need("function", &mut function)?,
            },
            ToolChoiceKind::Custom => ToolChoiceObject::Custom {
                custom: need("custom", &mut custom)?,
            },
            ToolChoiceKind::AllowedTools => ToolChoiceObject::AllowedTools {
                allowed_tools: need("allowed_tools", &mut allowed_tools)?,
            },
        };
        none_left(&[
            ("function", function.is_some()),
            ("custom", custom.is_some()),
            ("allowed_tools", allowed_tools.is_some()),
        ])?;
        Ok(choice)
    }
}

impl Shape for ToolChoiceObject {
    const WHAT: &'static str = "an object";
    const NAME: &'static str = "ToolChoice";
}

/// Which function is called, deprecated: `none`, `auto`, or an object.
pub type FunctionChoice = TextOr<NamedChoice>;

impl Shape for NamedChoice {
    const WHAT: &'static str = "an object";
    const NAME: &'static str = "FunctionChoice";
}

impl Function {
    /// Upper bound of the tokens of its definition.
    pub(super) fn token_bound(&self) -> u64 {
        let description = self.description.as_deref().map_or(0, reprinted_json_bound);
        let parameters = self
            .parameters
            .as_ref()
            .map_or(0, |schema| reprinted_json_bound(schema.as_str()));
        self.name.len() as u64 + description + parameters + 64
    }
}

impl Tool {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Tool::Function { function } => &function.name,
            Tool::Custom { custom } => &custom.name,
        }
    }

    /// Upper bound of the tokens of its definition.
    pub(super) fn token_bound(&self) -> u64 {
        match self {
            Tool::Function { function } => function.token_bound(),
            Tool::Custom { custom } => {
                let description = custom
                    .description
                    .as_deref()
                    .map_or(0, reprinted_json_bound);
                let format = custom
                    .format
                    .as_ref()
                    .map_or(0, |format| reprinted_json_bound(format.as_str()));
                custom.name.len() as u64 + description + format + 64
            }
        }
    }
}

texts!(Function: name, description, parameters);
texts!(CustomTool: name, description, format);
texts!(NamedChoice: name);
texts!(AllowedTools: tools);

texts!(enum Tool:
    Tool::Function { function } => [function],
    Tool::Custom { custom } => [custom],
);

texts!(enum ToolChoiceObject:
    Self::Function { function: named } | Self::Custom { custom: named } => [named],
    Self::AllowedTools { allowed_tools } => [allowed_tools],
);
