//! Turns a model file as shipped into the form the engine is fast with.
//!
//! Candle has vector code for some block types only; a Q4_1 file runs at a third of the speed of the same weights in
//! Q8_0. So matrices in a slow type become Q8_0 (8 bits and a scale per 32 weights: what they lose against their source
//! is far below what the source lost against the original), everything else stays byte for byte. The result names its
//! source, so that importing again costs a hash and nothing else.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use sha2::{Digest, Sha256};

use crate::CellError;
use crate::engine::model::Shape;
use crate::gguf::Gguf;

/// Metadata that names the file a result was made from, and by which version of this code.
const SOURCE: &str = "cofferdam.import.source_sha256";
const VERSION: &str = "cofferdam.import.version";
/// Raised when results of the same source change.
const CURRENT: u32 = 1;
/// `general.file_type` of a file that is mostly Q8_0.
const MOSTLY_Q8_0: u32 = 7;

/// What an import made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// SHA-256 of the source file, lower-case hex.
    pub source_sha256: String,
    /// SHA-256 of the result, lower-case hex.
    pub result_sha256: String,
    /// Whether the result was already there.
    pub already_there: bool,
}

/// Imports `source` as `result`. The result appears whole or not at all; if it is there already and was made from the
/// same source by the same version, it stays. `progress` gets the share done, 0..=1, rising.
///
/// # Errors
/// [`CellError::File`] if a file cannot be read or written, [`CellError::Model`] if the source is not a model this
/// engine serves. Nothing is left behind.
pub fn import(
    source: &Path,
    result: &Path,
    progress: &mut dyn FnMut(f32),
) -> Result<Imported, CellError> {
    progress(0.0);
    let mut gguf = Gguf::open(source)?;
    Shape::read(&gguf)?;
    let source_sha256 = sha256(source)?;
    progress(0.05);
    if is_import_of(result, &source_sha256) {
        let result_sha256 = sha256(result)?;
        progress(1.0);
        return Ok(Imported {
            source_sha256,
            result_sha256,
            already_there: true,
        });
    }

    let tensors = convert(&mut gguf, progress)?;
    let mut metadata = std::mem::take(&mut gguf.content.metadata);
    // the result of an import is its own source: importing it again changes nothing
    if !metadata.contains_key(SOURCE) {
        metadata.insert(SOURCE.into(), Value::String(source_sha256.clone()));
    }
    metadata.insert(VERSION.into(), Value::U32(CURRENT));
    metadata.insert("general.file_type".into(), Value::U32(MOSTLY_Q8_0));
    // tensors are written at the default alignment
    metadata.remove("general.alignment");
    let mut entries: Vec<(&str, &Value)> = metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    let tensors: Vec<(&str, &QTensor)> = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor))
        .collect();

    let temporary = Temporary::beside(result)?;
    let unwritten = |source| CellError::File {
        action: "write the imported model",
        source,
    };
    let mut file =
        BufWriter::with_capacity(1 << 20, File::create_new(&temporary.0).map_err(unwritten)?);
    gguf_file::write(&mut file, &entries, &tensors)?;
    file.flush().map_err(unwritten)?;
    file.get_ref().sync_all().map_err(unwritten)?;
    drop(file);
    progress(0.95);
    let result_sha256 = sha256(&temporary.0)?;
    temporary.become_file(result).map_err(unwritten)?;
    progress(1.0);
    Ok(Imported {
        source_sha256,
        result_sha256,
        already_there: false,
    })
}

/// All tensors in their new form, by name, so that the same source always gives the same bytes.
fn convert(
    gguf: &mut Gguf,
    progress: &mut dyn FnMut(f32),
) -> Result<Vec<(String, QTensor)>, CellError> {
    let mut names: Vec<String> = gguf.content.tensor_infos.keys().cloned().collect();
    names.sort_unstable();
    let count = names.len();
    let mut tensors = Vec::with_capacity(count);
    for (index, name) in names.into_iter().enumerate() {
        let tensor = gguf.content.tensor(&mut gguf.file, &name, &Device::Cpu)?;
        let tensor = if wants_q8(&tensor) {
            QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)?
        } else {
            tensor
        };
        tensors.push((name, tensor));
        progress(0.05 + 0.85 * (index + 1) as f32 / count as f32);
    }
    Ok(tensors)
}

/// Whether a tensor is a matrix in a type without vector code. Norms, biases and fast types stay.
fn wants_q8(tensor: &QTensor) -> bool {
    let slow = match tensor.dtype() {
        GgmlDType::F16
        | GgmlDType::BF16
        | GgmlDType::Q4_1
        | GgmlDType::Q5_0
        | GgmlDType::Q5_1
        | GgmlDType::Q8_1 => true,
        GgmlDType::F32
        | GgmlDType::Q4_0
        | GgmlDType::Q8_0
        | GgmlDType::Q2K
        | GgmlDType::Q3K
        | GgmlDType::Q4K
        | GgmlDType::Q5K
        | GgmlDType::Q6K
        | GgmlDType::Q8K => false,
    };
    let columns = tensor.shape().dims().last().copied().unwrap_or_default();
    slow && tensor.rank() >= 2 && columns.is_multiple_of(GgmlDType::Q8_0.block_size())
}

/// Whether `path` is the result of importing the file with this hash with this code.
fn is_import_of(path: &Path, source_sha256: &str) -> bool {
    Gguf::open(path).is_ok_and(|gguf| {
        gguf.text(SOURCE) == Some(source_sha256) && gguf.number(VERSION) == Some(u64::from(CURRENT))
    })
}

/// SHA-256 of a file, lower-case hex.
///
/// # Errors
/// [`CellError::File`] if it cannot be read.
pub fn sha256(path: &Path) -> Result<String, CellError> {
    let unread = |source| CellError::File {
        action: "read the model file",
        source,
    };
    let mut file = File::open(path).map_err(unread)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(unread)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hash.update(bytes);
    }
    Ok(hex::encode(hash.finalize()))
}

/// A file beside its final place that is removed unless it gets there.
struct Temporary(PathBuf);

impl Temporary {
    fn beside(path: &Path) -> Result<Self, CellError> {
        let random = getrandom::u64().map_err(|_| CellError::File {
            action: "draw a temporary name",
            source: std::io::ErrorKind::Other.into(),
        })?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{random:016x}.part"));
        Ok(Self(path.with_file_name(name)))
    }

    fn become_file(self, path: &Path) -> std::io::Result<()> {
        fs::rename(&self.0, path)?;
        // the name is durable only once its folder is
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // gone already if it was renamed
        let _ = fs::remove_file(&self.0);
    }
}
