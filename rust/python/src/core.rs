//! The class `Core`: the data path, for the supervisor.

use std::os::fd::{AsRawFd, IntoRawFd};

use jobfleet_core::{Core as RustCore, CoreError};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Core>()
}

#[pyclass(frozen, module = "jobfleet._core")]
struct Core(RustCore);

fn raise(error: CoreError) -> PyErr {
    match error {
        CoreError::Invalid(text) => PyValueError::new_err(text),
        CoreError::System(error) => error.into(),
        CoreError::Unusable(text) => PyRuntimeError::new_err(text),
    }
}

#[pymethods]
impl Core {
    #[new]
    fn new(settings: &[u8]) -> PyResult<Self> {
        RustCore::new(settings).map(Self).map_err(raise)
    }

    fn start(&self) -> PyResult<()> {
        self.0.start().map_err(raise)
    }

    fn declare_pool(&self, spec: &[u8]) -> PyResult<u32> {
        self.0.declare_pool(spec).map_err(raise)
    }

    fn retire_pool(&self, pool_id: u32) -> PyResult<()> {
        self.0.retire_pool(pool_id).map_err(raise)
    }

    fn switch_pools(&self, begin: Vec<u32>, end: Vec<u32>) -> PyResult<()> {
        self.0.switch_pools(begin, end).map_err(raise)
    }

    #[pyo3(signature = (pool_id, reason))]
    fn pause_pool(&self, pool_id: u32, reason: Option<String>) -> PyResult<()> {
        self.0.pause_pool(pool_id, reason).map_err(raise)
    }

    fn give_up_workers(&self, worker_ids: Vec<u64>, reason: String) -> PyResult<()> {
        self.0.give_up_workers(worker_ids, reason).map_err(raise)
    }

    fn add_worker(&self, pool_id: u32) -> PyResult<(u64, i32, i32)> {
        let ends = self.0.add_worker(pool_id).map_err(raise)?;
        Ok((ends.worker, ends.link.into_raw_fd(), ends.recorder.into_raw_fd()))
    }

    fn drain_worker(&self, worker_id: u64) -> PyResult<()> {
        self.0.drain_worker(worker_id).map_err(raise)
    }

    fn worker_dead(&self, worker_id: u64, reason: String) -> PyResult<()> {
        self.0.worker_dead(worker_id, reason).map_err(raise)
    }

    fn shun_worker(&self, worker_id: u64, shunned: bool) -> PyResult<()> {
        self.0.shun_worker(worker_id, shunned).map_err(raise)
    }

    fn condemn_worker(&self, worker_id: u64, blameless: bool) -> PyResult<()> {
        self.0.condemn_worker(worker_id, blameless).map_err(raise)
    }

    #[getter]
    fn beats(&self) -> u64 {
        self.0.beats()
    }

    fn stop_activation(&self) -> PyResult<()> {
        self.0.stop_activation().map_err(raise)
    }

    fn give_up(&self, reason: String) -> PyResult<()> {
        self.0.give_up(reason).map_err(raise)
    }

    fn set_authorization(&self, value: Option<String>) -> PyResult<()> {
        self.0.set_authorization(value).map_err(raise)
    }

    fn set_grace(&self, grace_ms: u64) -> PyResult<()> {
        self.0.set_grace(grace_ms).map_err(raise)
    }

    #[getter]
    fn event_fd(&self) -> i32 {
        self.0.event_fd().as_raw_fd()
    }

    fn take_events<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let events = self.0.take_events().map_err(raise)?;
        Ok(events.iter().map(|event| PyBytes::new(py, event)).collect())
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let status = py.detach(|| self.0.status()).map_err(raise)?;
        Ok(PyBytes::new(py, &status))
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.stop()).map_err(raise)
    }
}
