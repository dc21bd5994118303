//! The embedded engine as a Python class.

use std::io::ErrorKind;

use jobfleet_localengine::{Engine, Options};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LocalEngine>()
}

/// The embedded engine, in a native thread of its own.
#[pyclass(frozen, module = "jobfleet._core")]
struct LocalEngine {
    engine: Engine,
}

#[pymethods]
impl LocalEngine {
    #[new]
    #[pyo3(signature = (options = None), text_signature = "(options=b'{}')")]
    fn new(py: Python<'_>, options: Option<&[u8]>) -> PyResult<Self> {
        let options = Options::from_json(options.unwrap_or(b"{}")).map_err(PyValueError::new_err)?;
        let engine = py.detach(|| Engine::start(options)).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => PyValueError::new_err(error.to_string()),
            _ => error.into(),
        })?;
        Ok(Self { engine })
    }

    #[getter]
    fn port(&self) -> u16 {
        self.engine.addr().port()
    }

    fn account<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.refuse_in_child()?;
        let account = py.detach(|| self.engine.account());
        let json = serde_json::to_vec(&account).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(PyBytes::new(py, &json))
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.refuse_in_child()?;
        py.detach(|| self.engine.stop());
        Ok(())
    }
}

impl LocalEngine {
    fn refuse_in_child(&self) -> PyResult<()> {
        if self.engine.is_own() {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(
            "this local engine runs in the parent process: start another one after the fork",
        ))
    }
}
