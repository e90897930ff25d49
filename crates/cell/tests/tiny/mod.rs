//! A tiny random chat model, written as GGUF by the tests themselves: real plumbing, no download, no sense.
#![allow(dead_code, reason = "every test file uses a part")]

pub mod ask;

use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use serde_json::json;
use wire::cell::{Prompt, Sampling};

/// Ids of tokens the tests speak of.
pub const IM_START: u32 = 1;
pub const IM_END: u32 = 2;
/// One token whose text is a whole tool call.
pub const CALL: u32 = 3;
/// Tokens in the vocabulary.
pub const VOCABULARY: usize = 3 + 1 + 256 + 6;
pub const CONTEXT: u32 = 512;

/// A template in the style of ChatML that knows tools.
pub const CHATML: &str = "{%- if tools %}{{ '<|im_start|>system\\nCall as <tool_call>{json}</tool_call>: ' }}\
    {%- for tool in tools %}{{ tool | tojson }}{% endfor %}{{ '<|im_end|>\\n' }}{% endif %}\
    {%- for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message.content | trim }}\
    {%- if message.tool_calls %}{% for call in message.tool_calls %}\
    {{- '<tool_call>' }}{{ call.function.arguments | tojson }}{{ '</tool_call>' }}{% endfor %}{% endif %}\
    {{- '<|im_end|>\\n' }}{% endfor %}\
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// What varies between tiny models.
pub struct Tiny {
    pub template: Option<&'static str>,
    pub weights: GgmlDType,
    pub pre: &'static str,
    pub architecture: &'static str,
    pub layers: usize,
    pub context: u32,
}

impl Default for Tiny {
    fn default() -> Self {
        Self {
            template: Some(CHATML),
            weights: GgmlDType::Q8_0,
            pre: "smollm",
            architecture: "llama",
            layers: 2,
            context: CONTEXT,
        }
    }
}

impl Tiny {
    /// Writes the model into `folder`.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("tiny.gguf");
        self.write_as(&path, |_| {});
        path
    }

    /// Writes the model after `change` had a look at its metadata.
    pub fn write_as(&self, path: &Path, change: impl FnOnce(&mut Vec<(String, Value)>)) {
        let mut metadata = self.metadata();
        change(&mut metadata);
        let metadata: Vec<(&str, &Value)> = metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .collect();
        let tensors = self.tensors();
        let tensors: Vec<(&str, &QTensor)> = tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
            .collect();
        gguf_file::write(&mut File::create(path).unwrap(), &metadata, &tensors).unwrap();
    }

    fn metadata(&self) -> Vec<(String, Value)> {
        let arch = self.architecture;
        let text = |s: &str| Value::String(s.to_owned());
        let list =
            |items: Vec<String>| Value::Array(items.into_iter().map(Value::String).collect());
        let (tokens, kinds, merges) = vocabulary();
        let mut metadata = vec![
            ("general.architecture".to_owned(), text(arch)),
            (
                format!("{arch}.block_count"),
                Value::U32(self.layers as u32),
            ),
            (format!("{arch}.context_length"), Value::U32(self.context)),
            (format!("{arch}.embedding_length"), Value::U32(64)),
            (format!("{arch}.feed_forward_length"), Value::U32(96)),
            (format!("{arch}.attention.head_count"), Value::U32(4)),
            (format!("{arch}.attention.head_count_kv"), Value::U32(2)),
            (format!("{arch}.rope.dimension_count"), Value::U32(16)),
            (
                format!("{arch}.attention.layer_norm_rms_epsilon"),
                Value::F32(1e-5),
            ),
            ("tokenizer.ggml.model".to_owned(), text("gpt2")),
            ("tokenizer.ggml.pre".to_owned(), text(self.pre)),
            ("tokenizer.ggml.tokens".to_owned(), list(tokens)),
            (
                "tokenizer.ggml.token_type".to_owned(),
                Value::Array(kinds.into_iter().map(Value::I32).collect()),
            ),
            ("tokenizer.ggml.merges".to_owned(), list(merges)),
            (
                "tokenizer.ggml.bos_token_id".to_owned(),
                Value::U32(IM_START),
            ),
            ("tokenizer.ggml.eos_token_id".to_owned(), Value::U32(IM_END)),
        ];
        if let Some(template) = self.template {
            metadata.push(("tokenizer.chat_template".to_owned(), text(template)));
        }
        metadata
    }

    fn tensors(&self) -> Vec<(String, QTensor)> {
        let mut seed = 42;
        let mut matrix = |name: &str, rows: usize, columns: usize| {
            let values: Vec<f32> = (0..rows * columns).map(|_| noise(&mut seed)).collect();
            let tensor = Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap();
            (
                format!("{name}.weight"),
                QTensor::quantize(&tensor, self.weights).unwrap(),
            )
        };
        let ones = |name: &str| {
            let tensor = Tensor::from_vec(vec![1f32; 64], 64, &Device::Cpu).unwrap();
            (
                format!("{name}.weight"),
                QTensor::quantize(&tensor, GgmlDType::F32).unwrap(),
            )
        };
        let mut tensors = vec![matrix("token_embd", VOCABULARY, 64), ones("output_norm")];
        for layer in 0..self.layers {
            let name = |part: &str| format!("blk.{layer}.{part}");
            tensors.push(ones(&name("attn_norm")));
            tensors.push(ones(&name("ffn_norm")));
            for (part, rows, columns) in [
                ("attn_q", 64, 64),
                ("attn_k", 32, 64),
                ("attn_v", 32, 64),
                ("attn_output", 64, 64),
                ("ffn_gate", 96, 64),
                ("ffn_up", 96, 64),
                ("ffn_down", 64, 96),
            ] {
                tensors.push(matrix(&name(part), rows, columns));
            }
        }
        tensors
    }
}

/// Tokens, their types and merges: three control tokens, one tool call, all bytes, a few longer words.
fn vocabulary() -> (Vec<String>, Vec<i32>, Vec<String>) {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut odd = '\u{100}'..;
    let bytes = (0..=255u8).map(|byte| match printable(byte) {
        true => char::from(byte).to_string(),
        false => odd.next().unwrap().to_string(),
    });
    let mut tokens: Vec<String> = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        .iter()
        .map(ToString::to_string)
        .collect();
    tokens.push(r#"<tool_call>{"name":"now","arguments":{}}</tool_call>"#.to_owned());
    tokens.extend(bytes);
    let mut kinds = vec![1; tokens.len()];
    kinds[..3].fill(3);
    let merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "Ġw o"];
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    kinds.resize(tokens.len(), 1);
    (
        tokens,
        kinds,
        merges.iter().map(ToString::to_string).collect(),
    )
}

fn noise(seed: &mut u64) -> f32 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 40) as f32 / (1u64 << 24) as f32 - 0.5
}

/// A conversation of one user message.
pub fn user(text: &str) -> Prompt {
    Prompt::Chat {
        messages: vec![json!({"role": "user", "content": text})],
        tools: Vec::new(),
    }
}

/// Greedy, with a limit.
pub fn greedy(max_tokens: u32) -> Sampling {
    Sampling {
        temperature: 0.0,
        max_tokens: Some(max_tokens),
        ..Sampling::default()
    }
}
