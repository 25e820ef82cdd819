//! The semantic cache's closer look at a pair of questions, on a thread of Node's pool.

use std::sync::Arc;

use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi::{Env, Result, Task};
use napi_derive::napi;
use sidegate_core::search::cross_encoder::CrossEncoder;
use sidegate_core::search::decide::Side;
use sidegate_core::shared::registry::Registry;

use crate::invalid;

static MODELS: Registry<Arc<CrossEncoder>> = Registry::new();

fn model(id: u32) -> Result<Arc<CrossEncoder>> {
    MODELS.with(id, |model| Arc::clone(model)).map_err(|_| invalid("no such cross-encoder"))
}

/// Reads a model's file.
pub struct Open {
    file: Buffer,
}

impl Task for Open {
    type Output = CrossEncoder;
    type JsValue = u32;

    fn compute(&mut self) -> Result<CrossEncoder> {
        CrossEncoder::read(&self.file).map_err(|why| invalid(why.text()))
    }

    fn resolve(&mut self, _: Env, model: CrossEncoder) -> Result<u32> {
        MODELS.open(None, Arc::new(model)).ok_or_else(|| invalid("too many cross-encoders"))
    }
}

/// Takes a model's file, which mustn't be changed meanwhile, and gives its id, which is never used again.
///
/// Rejects what is no such file, of another version, or damaged; the message goes on after the file's name.
#[napi(ts_return_type = "Promise<number>", catch_unwind)]
pub fn cross_encoder_open(file: Buffer) -> AsyncTask<Open> {
    AsyncTask::new(Open { file })
}

/// Closes a model; its memory goes once nothing looks through it any more.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn cross_encoder_close(id: u32) -> Result<()> {
    MODELS.close(id).map_err(|_| invalid("no such cross-encoder"))
}

/// Bytes held.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn cross_encoder_bytes(id: u32) -> Result<f64> {
    Ok(model(id)?.bytes() as f64)
}

/// The score of the small model, 0 to 1, from which the closer look isn't needed.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn cross_encoder_sure(id: u32) -> Result<f64> {
    Ok(f64::from(model(id)?.sure()))
}

/// Looks at a pair.
pub struct Look {
    model: Arc<CrossEncoder>,
    cached: String,
    asked: String,
    small: f32,
}

impl Task for Look {
    type Output = f64;
    type JsValue = f64;

    fn compute(&mut self) -> Result<f64> {
        let (cached, asked) = (Side::read(&self.cached), Side::read(&self.asked));
        Ok(f64::from(self.model.decide(cached.tokens(), asked.tokens(), self.small).unwrap_or(0.0)))
    }

    fn resolve(&mut self, _: Env, score: f64) -> Result<f64> {
        Ok(score)
    }
}

/// How likely two questions are to ask the same, 0 to 1: from 0.5 on, one's answer serves the other; 0: they are too
/// long. `small`: what the small model has. It takes milliseconds, on a thread of the pool.
///
/// Throws on an unknown id.
#[napi(ts_return_type = "Promise<number>", catch_unwind)]
pub fn cross_encoder_look(id: u32, cached: String, asked: String, small: f64) -> Result<AsyncTask<Look>> {
    Ok(AsyncTask::new(Look { model: model(id)?, cached, asked, small: small as f32 }))
}

/// How much speaks for the same, for training: at once, whatever it takes. NaN: they are too long.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn cross_encoder_score(id: u32, cached: String, asked: String) -> Result<f64> {
    let (cached, asked) = (Side::read(&cached), Side::read(&asked));
    Ok(model(id)?.score(cached.tokens(), asked.tokens()).map_or(f64::NAN, f64::from))
}
