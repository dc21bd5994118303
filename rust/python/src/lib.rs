//! `jobfleet._core`: the PyO3 surface. Thin: every class wraps one type of the crates below.

mod core;
mod link;
mod local_engine;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("DEBUG_BUILD", cfg!(debug_assertions))?;
    core::register(module)?;
    link::register(module)?;
    local_engine::register(module)?;
    Ok(())
}
