//! The transformer: llama and qwen2 shapes, quantised weights, one sequence, CPU.
//!
//! Attention keys and values live in tensors that grow by doubling and are written in place, so a token costs what it
//! reads and nothing is copied per token; grouped queries share one product per key head. Between layers the caller may
//! stop the pass, so that a cancelled prompt costs a layer, not a prompt.

use candle_core::quantized::{QMatMul, QStorage, QTensor};
use candle_core::{D, DType, Device, Module, Result as Candle, Tensor};
use rayon::prelude::*;

use crate::CellError;
use crate::gguf::Gguf;

/// Tokens in one pass from which it is quicker to widen a matrix to 32-bit floats once and multiply those, than to
/// multiply the quantised rows for each token.
const DENSE_FROM: usize = 32;
/// Strips of a matrix per thread, and the rows they come in multiples of.
const STRIPS: usize = 1;
const STRIP_ROWS: usize = 64;
/// Prompt tokens read in one pass at most, and attention scores (heads x tokens x positions) it may take.
const CHUNK: usize = 256;
const SCORES: usize = 1 << 26;
/// Rows the key/value store starts with.
const FIRST_CAPACITY: usize = 256;

/// Sizes of a model, validated.
#[derive(Debug, Clone)]
pub struct Shape {
    /// `general.architecture`.
    pub architecture: String,
    /// Tokens the model was trained to attend to.
    pub context: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    width: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head: usize,
    epsilon: f32,
    rope_base: f32,
    rope_scale: f32,
    /// Whether rotation pairs `i` with `i + head/2` (qwen2) rather than `2i` with `2i + 1` (llama).
    rope_halves: bool,
}

impl Shape {
    /// Reads and checks the sizes a file declares.
    ///
    /// # Errors
    /// [`CellError::Model`] for another architecture, experts, an unknown rope scaling, or sizes that do not fit.
    pub fn read(gguf: &Gguf) -> Result<Self, CellError> {
        let refuse = |detail: String| {
            CellError::Model(format!("{detail}; nothing was loaded; use another model"))
        };
        let architecture = gguf
            .text("general.architecture")
            .unwrap_or_default()
            .to_owned();
        let rope_halves = match architecture.as_str() {
            "llama" => false,
            "qwen2" => true,
            _ => return Err(refuse("its architecture is neither llama nor qwen2".into())),
        };
        let number = |name: &str, most: u64| {
            let value = gguf.number(&format!("{architecture}.{name}"));
            match value {
                Some(n) if (1..=most).contains(&n) => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
                Some(n) => Err(refuse(format!("{name} = {n} is absurd"))),
                None => Err(refuse(format!("{name} is missing"))),
            }
        };
        let width = number("embedding_length", 1 << 16)?;
        let heads = number("attention.head_count", 1 << 10)?;
        let kv_heads = number("attention.head_count_kv", 1 << 10).unwrap_or(heads);
        let head = number("attention.key_length", 1 << 10).unwrap_or(width / heads);
        let rotated = number("rope.dimension_count", 1 << 10).unwrap_or(head);
        if !heads.is_multiple_of(kv_heads) || head < 2 || !head.is_multiple_of(2) || rotated != head
        {
            return Err(refuse(format!(
                "{heads} heads, {kv_heads} key heads of {head} ({rotated} rotated) do not fit"
            )));
        }
        if number("expert_count", u64::MAX).is_ok() {
            return Err(refuse("mixture-of-experts models are not supported".into()));
        }
        let scaling = gguf
            .text(&format!("{architecture}.rope.scaling.type"))
            .unwrap_or("none");
        let rope_scale = match scaling {
            "none" => 1.0,
            "linear" => gguf
                .float(&format!("{architecture}.rope.scaling.factor"))
                .unwrap_or(1.0),
            _ => return Err(refuse("its rope scaling is neither none nor linear".into())),
        };
        let epsilon = gguf
            .float(&format!("{architecture}.attention.layer_norm_rms_epsilon"))
            .unwrap_or(1e-5);
        let rope_base = gguf
            .float(&format!("{architecture}.rope.freq_base"))
            .unwrap_or(10_000.0);
        if [epsilon, rope_base, rope_scale]
            .iter()
            .any(|value| !value.is_finite() || *value <= 0.0)
        {
            return Err(refuse(
                "its normalisation or rope numbers are absurd".into(),
            ));
        }
        Ok(Self {
            context: number("context_length", 1 << 24)?,
            vocabulary: gguf.list("tokenizer.ggml.tokens").map_or(0, <[_]>::len),
            layers: number("block_count", 1 << 10)?,
            architecture,
            width,
            heads,
            kv_heads,
            head,
            epsilon,
            rope_base,
            rope_scale,
            rope_halves,
        })
    }
}

/// A matrix in strips of rows, one or more for each thread, with the bias qwen2 puts behind some of them.
///
/// The strips are shared out by rayon and not by candle's own pool, whose threads wait for each other spinning: on a
/// machine with other work to do (the gateway, say) a thread that was not scheduled would hold up all. Here whoever is
/// awake takes the next strip.
struct Linear {
    strips: Vec<QMatMul>,
    bias: Option<Tensor>,
}

impl Linear {
    fn new(matrix: QTensor, bias: Option<Tensor>) -> Candle<Self> {
        let (rows, columns) = matrix.shape().dims2()?;
        let count = rayon::current_num_threads() * STRIPS;
        // whole groups of rows, as candle's kernels take them
        let height = rows.div_ceil(count).next_multiple_of(STRIP_ROWS);
        let row_bytes = matrix.storage_size_in_bytes() / rows.max(1);
        let strips = matrix
            .data()?
            .chunks(height * row_bytes)
            .map(|strip| {
                let storage = QStorage::from_data(strip.into(), &Device::Cpu, matrix.dtype())?;
                QMatMul::from_qtensor(QTensor::new(storage, (strip.len() / row_bytes, columns))?)
            })
            .collect::<Candle<_>>()?;
        Ok(Self { strips, bias })
    }

    fn forward(&self, x: &Tensor) -> Candle<Tensor> {
        let dense = x.dim(0)? >= DENSE_FROM;
        let parts = self.strips.par_iter().map(|strip| match strip {
            QMatMul::QTensor(strip) if dense => x.matmul(&strip.dequantize(&Device::Cpu)?.t()?),
            strip => strip.forward(x),
        });
        let y = Tensor::cat(&parts.collect::<Candle<Vec<_>>>()?, D::Minus1)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

struct Layer {
    attention_norm: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    feed_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
    /// Keys and values so far, `(kv_heads, capacity, head)` each.
    store: Option<(Tensor, Tensor)>,
}

/// A loaded model and the keys and values of the sequence it is on.
pub struct Model {
    shape: Shape,
    embedding: QTensor,
    layers: Vec<Layer>,
    norm: Tensor,
    output: Linear,
    /// Tokens of the sequence so far.
    length: usize,
    /// Inverse rope frequencies, one per pair.
    frequencies: Vec<f32>,
    parameters: u64,
}

/// Reads tensors of one file and checks their shapes.
struct Loader<'a> {
    gguf: &'a mut Gguf,
    parameters: u64,
}

impl Loader<'_> {
    fn tensor(&mut self, name: &str, dims: &[usize]) -> Result<QTensor, CellError> {
        let tensor = self
            .gguf
            .content
            .tensor(&mut self.gguf.file, name, &Device::Cpu)
            .map_err(|_| {
                CellError::Model(format!(
                    "tensor {name} is missing or unreadable; nothing was loaded; get the file again"
                ))
            })?;
        if tensor.shape().dims() != dims {
            let found = tensor.shape().dims();
            return Err(CellError::Model(format!(
                "tensor {name} is {found:?} and not {dims:?}; nothing was loaded; get the file again"
            )));
        }
        self.parameters += tensor.shape().elem_count() as u64;
        Ok(tensor)
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Tensor, CellError> {
        Ok(self.tensor(name, &[length])?.dequantize(&Device::Cpu)?)
    }

    fn has(&self, name: &str) -> bool {
        self.gguf.content.tensor_infos.contains_key(name)
    }

    fn linear(&mut self, name: &str, rows: usize, columns: usize) -> Result<Linear, CellError> {
        let weight = self.tensor(&format!("{name}.weight"), &[rows, columns])?;
        let bias = format!("{name}.bias");
        let bias = if self.has(&bias) {
            Some(self.vector(&bias, rows)?)
        } else {
            None
        };
        Ok(Linear::new(weight, bias)?)
    }

    fn layer(&mut self, index: usize, shape: &Shape, feed: usize) -> Result<Layer, CellError> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let (queries, keys) = (shape.heads * shape.head, shape.kv_heads * shape.head);
        Ok(Layer {
            attention_norm: self.vector(&name("attn_norm.weight"), shape.width)?,
            query: self.linear(&name("attn_q"), queries, shape.width)?,
            key: self.linear(&name("attn_k"), keys, shape.width)?,
            value: self.linear(&name("attn_v"), keys, shape.width)?,
            output: self.linear(&name("attn_output"), shape.width, queries)?,
            feed_norm: self.vector(&name("ffn_norm.weight"), shape.width)?,
            gate: self.linear(&name("ffn_gate"), feed, shape.width)?,
            up: self.linear(&name("ffn_up"), feed, shape.width)?,
            down: self.linear(&name("ffn_down"), shape.width, feed)?,
            store: None,
        })
    }
}

impl Model {
    /// Loads the weights.
    ///
    /// # Errors
    /// [`CellError::Model`] if a tensor is missing or of the wrong shape.
    pub fn load(gguf: &mut Gguf, shape: Shape) -> Result<Self, CellError> {
        let feed = gguf
            .number(&format!("{}.feed_forward_length", shape.architecture))
            .unwrap_or_default();
        let feed = usize::try_from(feed).unwrap_or_default();
        let mut loader = Loader {
            gguf,
            parameters: 0,
        };
        let embedding = loader.tensor("token_embd.weight", &[shape.vocabulary, shape.width])?;
        let output = if loader.has("output.weight") {
            loader.tensor("output.weight", &[shape.vocabulary, shape.width])?
        } else {
            // tied: the same weights, but not counted twice
            loader.parameters -= embedding.shape().elem_count() as u64;
            loader.tensor("token_embd.weight", &[shape.vocabulary, shape.width])?
        };
        let output = Linear::new(output, None)?;
        let norm = loader.vector("output_norm.weight", shape.width)?;
        let mut frequencies: Vec<f32> = (0..shape.head / 2)
            .map(|pair| {
                shape.rope_base.powf(-2.0 * pair as f32 / shape.head as f32) / shape.rope_scale
            })
            .collect();
        if loader.has("rope_freqs.weight") {
            let factors = loader
                .vector("rope_freqs.weight", frequencies.len())?
                .to_vec1::<f32>()?;
            frequencies
                .iter_mut()
                .zip(factors)
                .for_each(|(frequency, factor)| *frequency /= factor);
        }
        let layers = (0..shape.layers)
            .map(|index| loader.layer(index, &shape, feed))
            .collect::<Result<_, _>>()?;
        let parameters = loader.parameters;
        Ok(Self {
            shape,
            embedding,
            layers,
            norm,
            output,
            length: 0,
            frequencies,
            parameters,
        })
    }

    /// Weights in the model.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.parameters
    }

    /// How many tokens the next pass should take at most. Depends on nothing but the model and the length of the
    /// sequence, so that the same prompt always takes the same arithmetic.
    #[must_use]
    pub fn chunk(&self) -> usize {
        (SCORES / (self.shape.heads * (self.length + CHUNK))).clamp(1, CHUNK)
    }

    /// Forgets the sequence and frees its memory.
    pub fn forget(&mut self) {
        self.length = 0;
        for layer in &mut self.layers {
            layer.store = None;
        }
    }

    /// Continues the sequence by `tokens` and returns the logits behind the last of them, or `None` if `stop` turned
    /// true between two layers (the sequence must then be forgotten).
    ///
    /// # Errors
    /// Candle's, for ids the vocabulary does not have.
    pub fn forward(&mut self, tokens: &[u32], stop: &dyn Fn() -> bool) -> Candle<Option<Vec<f32>>> {
        let (position, count) = (self.length, tokens.len());
        let mut x = self
            .embedding
            .embedding(&Tensor::new(tokens, &Device::Cpu)?)?;
        let rope = self.rotation(position, count)?;
        let mask = if count > 1 {
            Some(causal_mask(count, position)?)
        } else {
            None
        };
        for layer in &mut self.layers {
            if stop() {
                return Ok(None);
            }
            let normed = candle_nn::ops::rms_norm(&x, &layer.attention_norm, self.shape.epsilon)?;
            x = (x + layer.attend(&normed, position, &rope, mask.as_ref(), &self.shape)?)?;
            let normed = candle_nn::ops::rms_norm(&x, &layer.feed_norm, self.shape.epsilon)?;
            let gate = candle_nn::ops::silu(&layer.gate.forward(&normed)?)?;
            x = (x + layer.down.forward(&(gate * layer.up.forward(&normed)?)?)?)?;
        }
        self.length += count;
        let last = x.narrow(0, count.saturating_sub(1), 1)?;
        let last = candle_nn::ops::rms_norm(&last, &self.norm, self.shape.epsilon)?;
        self.output
            .forward(&last)?
            .flatten_all()?
            .to_vec1()
            .map(Some)
    }

    /// Cosines and sines of `count` positions from `position`.
    fn rotation(&self, position: usize, count: usize) -> Candle<(Tensor, Tensor)> {
        let angles: Vec<f32> = (position..position + count)
            .flat_map(|at| {
                self.frequencies
                    .iter()
                    .map(move |frequency| at as f32 * frequency)
            })
            .collect();
        let angles = Tensor::from_vec(angles, (count, self.frequencies.len()), &Device::Cpu)?;
        Ok((angles.cos()?, angles.sin()?))
    }
}

impl Layer {
    fn attend(
        &mut self,
        x: &Tensor,
        position: usize,
        (cos, sin): &(Tensor, Tensor),
        mask: Option<&Tensor>,
        shape: &Shape,
    ) -> Candle<Tensor> {
        let count = x.dim(0)?;
        let (heads, kv_heads, head) = (shape.heads, shape.kv_heads, shape.head);
        let split = |x: Tensor, heads: usize| {
            x.reshape((1, count, heads, head))?
                .transpose(1, 2)?
                .contiguous()
        };
        let rotate = |x: &Tensor| match shape.rope_halves {
            true => candle_nn::rotary_emb::rope(x, cos, sin),
            false => candle_nn::rotary_emb::rope_i(x, cos, sin),
        };
        let query = rotate(&split(self.query.forward(x)?, heads)?)?;
        let key = rotate(&split(self.key.forward(x)?, kv_heads)?)?.squeeze(0)?;
        let value = split(self.value.forward(x)?, kv_heads)?.squeeze(0)?;
        let (keys, values) = self.remember(&key, &value, position)?;

        // heads that share a key head lie side by side, so their queries are the rows of one matrix
        let group = heads / kv_heads;
        let query =
            (query.reshape((kv_heads, group * count, head))? * (1.0 / (head as f64).sqrt()))?;
        let mut scores = query.matmul(&keys.t()?)?;
        if let Some(mask) = mask {
            let seen = position + count;
            let grouped = scores
                .reshape((kv_heads, group, count, seen))?
                .broadcast_add(mask)?;
            scores = grouped.reshape((kv_heads, group * count, seen))?;
        }
        let mixed = candle_nn::ops::softmax_last_dim(&scores)?.matmul(&values)?;
        let mixed = mixed
            .reshape((heads, count, head))?
            .transpose(0, 1)?
            .reshape((count, heads * head))?;
        self.output.forward(&mixed)
    }

    /// Stores the keys and values of positions `position..` and returns all so far.
    fn remember(
        &mut self,
        key: &Tensor,
        value: &Tensor,
        position: usize,
    ) -> Candle<(Tensor, Tensor)> {
        let (kv_heads, count, head) = key.dims3()?;
        let needed = position + count;
        let capacity = match &self.store {
            Some((keys, _)) if position > 0 => keys.dim(1)?,
            _ => 0,
        };
        if capacity < needed {
            let size = (kv_heads, needed.max(capacity * 2).max(FIRST_CAPACITY), head);
            let fresh = (
                Tensor::zeros(size, DType::F32, &Device::Cpu)?,
                Tensor::zeros(size, DType::F32, &Device::Cpu)?,
            );
            if let (Some((keys, values)), true) = (&self.store, capacity > 0) {
                fresh.0.slice_set(keys, 1, 0)?;
                fresh.1.slice_set(values, 1, 0)?;
            }
            self.store = Some(fresh);
        }
        let Some((keys, values)) = &self.store else {
            candle_core::bail!("no key store")
        };
        keys.slice_set(key, 1, position)?;
        values.slice_set(value, 1, position)?;
        Ok((keys.narrow(1, 0, needed)?, values.narrow(1, 0, needed)?))
    }
}

/// Zero where a token may look, minus infinity where it may not: `(count, position + count)`.
fn causal_mask(count: usize, position: usize) -> Candle<Tensor> {
    let seen = position + count;
    let mask: Vec<f32> = (0..count)
        .flat_map(|row| {
            (0..seen).map(move |column| {
                if column > position + row {
                    f32::NEG_INFINITY
                } else {
                    0.0
                }
            })
        })
        .collect();
    let mask = Tensor::from_vec(mask, (count, seen), &Device::Cpu)?;
    debug_assert_eq!(mask.dim(D::Minus1)?, seen);
    Ok(mask)
}
