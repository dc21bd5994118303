//! The class `Link`: a worker process's end of the link, as Python has it.

#![expect(
    unsafe_code,
    reason = "takes over descriptors that Python passes as numbers, and raises in threads"
)]

use std::borrow::Cow;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use jobfleet_core::link::OutcomeRef;
use jobfleet_core::link::worker_end::{Misuse, Take, Woken, WorkerEnd};
use jobfleet_core::recorder::{LaneKind, LaneSpec, now_ns};
use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyType};

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Link>()
}

#[pyclass(module = "jobfleet._core", frozen)]
struct Link {
    end: WorkerEnd,
    pid: u32,
}

/// `(number, type_index, job)`.
type Taken<'py> = (u64, u16, Bound<'py, PyBytes>);

/// `(slot, number, type_index, job)`.
type TakenInSlot<'py> = (u16, u64, u16, Bound<'py, PyBytes>);

/// An integer argument that must fit `T`: otherwise ValueError, where PyO3 would raise OverflowError.
struct Int<T>(T);

impl<'a, 'py, T: FromPyObject<'a, 'py, Error = PyErr>> FromPyObject<'a, 'py> for Int<T> {
    type Error = PyErr;

    #[inline]
    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match T::extract(object) {
            Ok(value) => Ok(Self(value)),
            Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => {
                Err(PyValueError::new_err(format!("{} is out of range", object.to_owned())))
            }
            Err(error) => Err(error),
        }
    }
}

#[pymethods]
impl Link {
    #[new]
    fn new(link_fd: RawFd, recorder_fd: RawFd, lanes: Vec<(String, Int<u32>)>) -> PyResult<Self> {
        if link_fd == recorder_fd {
            return Err(PyValueError::new_err("link_fd and recorder_fd are the same descriptor"));
        }
        let (link, recorder) = (own(link_fd)?, own(recorder_fd)?);
        let lanes =
            lanes.iter().map(|(kind, slots)| lane_spec(kind, slots.0)).collect::<PyResult<Vec<_>>>()?;
        let end = WorkerEnd::open(link, recorder, &lanes).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidInput => PyValueError::new_err(error.to_string()),
            _ => PyErr::from(error),
        })?;
        Ok(Self { end, pid: std::process::id() })
    }

    fn start(&self) -> PyResult<()> {
        Ok(self.end()?.start()?)
    }

    fn ready(&self) -> PyResult<()> {
        self.end()?.ready();
        Ok(())
    }

    fn start_failed(&self, py: Python<'_>, error: &Bound<'_, PyString>) -> PyResult<()> {
        let (end, error) = (self.end()?, error.to_string_lossy());
        end.start_failed(&error).map_err(|error| PyValueError::new_err(error.to_string()))?;
        py.detach(|| end.flush(Duration::from_secs(1)));
        Ok(())
    }

    #[pyo3(signature = (lane, slot, timeout_s=None))]
    fn take<'py>(
        &self,
        py: Python<'py>,
        lane: Int<u16>,
        slot: Int<u16>,
        timeout_s: Option<f64>,
    ) -> PyResult<Option<Taken<'py>>> {
        let (end, lane, slot) = (self.end()?, lane.0, slot.0);
        let mut deadline_ns = None;
        loop {
            let ticket = match end.take(lane, slot).map_err(value_error)? {
                Take::Job(job) => {
                    return Ok(Some((job.number, job.type_index, PyBytes::new(py, &job.body))));
                }
                Take::Over => return Ok(None),
                Take::Empty(ticket) => ticket,
            };
            if deadline_ns.is_none() {
                deadline_ns = deadline(timeout_s)?;
            }
            match py.detach(|| end.wait(lane, ticket, deadline_ns)).map_err(value_error)? {
                Woken::Look => {}
                Woken::TimedOut => return Ok(None),
                Woken::Signal => py.check_signals()?,
            }
            // A signal's handler may have forked.
            self.end()?;
        }
    }

    fn try_take<'py>(&self, py: Python<'py>, lane: Int<u16>) -> PyResult<Option<TakenInSlot<'py>>> {
        Ok(match self.end()?.try_take(lane.0).map_err(value_error)? {
            Take::Job(job) => Some((job.slot, job.number, job.type_index, PyBytes::new(py, &job.body))),
            Take::Empty(_) | Take::Over => None,
        })
    }

    fn wake_fd(&self, lane: Int<u16>) -> PyResult<RawFd> {
        Ok(self.end()?.wake_fd(lane.0).map_err(value_error)?.as_raw_fd())
    }

    #[pyo3(signature = (lane, slot, number, variables, result=None, business_id=None))]
    fn complete(
        &self,
        lane: Int<u16>,
        slot: Int<u16>,
        number: Int<u64>,
        variables: Option<&[u8]>,
        result: Option<&[u8]>,
        business_id: Option<&str>,
    ) -> PyResult<()> {
        self.settle(lane, slot, number, OutcomeRef::Complete { variables, result, business_id })
    }

    #[expect(clippy::too_many_arguments, reason = "they are those of the Python method")]
    #[pyo3(signature = (lane, slot, number, message, retries=None, backoff_ms=None, variables=None))]
    fn fail(
        &self,
        lane: Int<u16>,
        slot: Int<u16>,
        number: Int<u64>,
        message: &Bound<'_, PyString>,
        retries: Option<Int<i32>>,
        backoff_ms: Option<Int<u64>>,
        variables: Option<&[u8]>,
    ) -> PyResult<()> {
        let message = message.to_string_lossy();
        let (retries, backoff_ms) = (retries.map(|value| value.0), backoff_ms.map(|value| value.0));
        self.settle(
            lane,
            slot,
            number,
            OutcomeRef::Fail { message: &message, retries, backoff_ms, variables },
        )
    }

    #[pyo3(signature = (lane, slot, number, code, message=None, variables=None))]
    fn throw_error(
        &self,
        lane: Int<u16>,
        slot: Int<u16>,
        number: Int<u64>,
        code: &Bound<'_, PyString>,
        message: Option<&Bound<'_, PyString>>,
        variables: Option<&[u8]>,
    ) -> PyResult<()> {
        let (code, message) = (code.to_string_lossy(), message.map(|message| message.to_string_lossy()));
        let outcome = OutcomeRef::Error { code: &code, message: message.as_deref(), variables };
        self.settle(lane, slot, number, outcome)
    }

    #[pyo3(signature = (lane, slot, number, message, backoff_ms=Int(0)), text_signature = "($self, lane, slot, number, message, backoff_ms=0)")]
    fn hand_back(
        &self,
        lane: Int<u16>,
        slot: Int<u16>,
        number: Int<u64>,
        message: &Bound<'_, PyString>,
        backoff_ms: Int<u64>,
    ) -> PyResult<()> {
        let message: Cow<'_, str> = message.to_string_lossy();
        self.settle(lane, slot, number, OutcomeRef::HandBack { message: &message, backoff_ms: backoff_ms.0 })
    }

    fn log(&self, level: Int<u8>, lane: Int<u16>, number: Int<u64>, record: &[u8]) -> PyResult<()> {
        self.end()?.log(level.0, lane.0, number.0, record).map_err(value_error)
    }

    #[pyo3(signature = (timeout_s=1.0))]
    fn flush(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let (end, timeout) = (self.end()?, duration(timeout_s)?);
        // Without a wait there is nothing to release the GIL for.
        Ok(if timeout.is_zero() { end.flush(timeout) } else { py.detach(|| end.flush(timeout)) })
    }

    fn take_cancels(&self) -> PyResult<Vec<(u16, u64, String)>> {
        let cancels = self.end()?.take_cancels();
        Ok(cancels.into_iter().map(|cancel| (cancel.lane, cancel.number, cancel.reason)).collect())
    }

    fn wait_limit(&self, py: Python<'_>) -> PyResult<Option<(u16, u64, u64)>> {
        let end = self.end()?;
        let limit = py.detach(|| end.wait_limit());
        Ok(limit.map(|limit| (limit.lane, limit.number, limit.limit_ms)))
    }

    fn interrupt(
        &self,
        lane: Int<u16>,
        slot: Int<u16>,
        number: Int<u64>,
        thread: Int<u64>,
        error: &Bound<'_, PyType>,
    ) -> PyResult<bool> {
        // From here to the end nothing lets go of the GIL, so that the job cannot be settled in between.
        if self.end()?.running(lane.0, slot.0).map_err(value_error)? != Some(number.0) {
            return Ok(false);
        }
        // SAFETY: the GIL is held, and the class is alive; CPython takes a reference of its own.
        let threads = unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(thread.0 as _, error.as_ptr()) };
        Ok(threads > 0)
    }

    fn running(&self, lane: Int<u16>, slot: Int<u16>) -> PyResult<Option<u64>> {
        self.end()?.running(lane.0, slot.0).map_err(value_error)
    }

    #[getter]
    fn drained(&self) -> PyResult<bool> {
        Ok(self.end()?.is_drained())
    }

    fn close_after_fork(&self) -> PyResult<()> {
        if self.end.is_owner() {
            return Err(PyRuntimeError::new_err(
                "this process opened the link: close_after_fork is for a child that a handler forked",
            ));
        }
        self.end.close_copies();
        Ok(())
    }
}

impl Link {
    #[inline]
    fn end(&self) -> PyResult<&WorkerEnd> {
        if self.end.is_owner() {
            return Ok(&self.end);
        }
        Err(PyRuntimeError::new_err(format!(
            "this link belongs to process {}: a process forked from it cannot take or settle jobs",
            self.pid
        )))
    }

    #[inline]
    fn settle(
        &self,
        lane: Int<u16>,
        slot: Int<u16>,
        number: Int<u64>,
        outcome: OutcomeRef<'_>,
    ) -> PyResult<()> {
        self.end()?.settle(lane.0, slot.0, number.0, outcome).map_err(value_error)
    }
}

fn own(fd: RawFd) -> PyResult<OwnedFd> {
    if fd < 0 {
        return Err(PyValueError::new_err(format!("{fd} is not a descriptor")));
    }
    // SAFETY: the borrow ends with this call, which only asks whether the descriptor is open.
    rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(fd) })
        .map_err(|error| PyErr::from(std::io::Error::from(error)))?;
    // SAFETY: the descriptor is open, and the caller hands it over, as the class's documentation says.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn lane_spec(kind: &str, slots: u32) -> PyResult<LaneSpec> {
    let kind = match kind {
        "main" => LaneKind::Main,
        "threads" => LaneKind::Threads,
        "loop" => LaneKind::Loop,
        other => {
            return Err(PyValueError::new_err(format!("a lane is main, threads or loop, not {other:?}")));
        }
    };
    Ok(LaneSpec { kind, slots })
}

fn deadline(timeout_s: Option<f64>) -> PyResult<Option<u64>> {
    let Some(timeout_s) = timeout_s else { return Ok(None) };
    let timeout_ns = u64::try_from(duration(timeout_s)?.as_nanos()).unwrap_or(u64::MAX);
    Ok(Some(now_ns().saturating_add(timeout_ns)))
}

fn duration(timeout_s: f64) -> PyResult<Duration> {
    if timeout_s.is_nan() || timeout_s < 0.0 {
        return Err(PyValueError::new_err(format!("a timeout of {timeout_s} s is none")));
    }
    Ok(Duration::try_from_secs_f64(timeout_s).unwrap_or(Duration::MAX))
}

fn value_error(error: Misuse) -> PyErr {
    PyValueError::new_err(error.to_string())
}
