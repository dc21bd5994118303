//! The activation answer: constant parts rendered once per blueprint, numbers in between.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::json;

use super::activation::Ask;
use super::json::{Object, push_string};
use super::token;
use crate::options::{Dialect, Settings};
use crate::store::{Admit, Blueprint, FIRST_KEY, NewJobs, View};

/// Instance, element and incident keys are made from the job's, in ranges that job keys never reach.
const INSTANCE: u64 = 1 << 48;
const ELEMENT: u64 = 1 << 49;
pub(super) const INCIDENT: u64 = 1 << 50;

/// An answer under construction.
pub(super) struct Page<'a> {
    out: BytesMut,
    settings: &'a Settings,
    limit: usize,
    seed: u64,
    ask: &'a Ask,
    worker: Vec<u8>,
    /// What was fetched last, by the address of its variables: jobs in a row often share them.
    fetched: (*const u8, Vec<u8>),
}

impl<'a> Page<'a> {
    /// `room` is the expected size of the answer.
    pub(super) fn new(settings: &'a Settings, seed: u64, ask: &'a Ask, room: usize) -> Self {
        let mut worker = Vec::with_capacity(ask.worker.len() + 2);
        push_string(&mut worker, &ask.worker);
        let mut out = BytesMut::with_capacity(room);
        out.put_slice(b"{\"jobs\":[");
        let limit = settings.max_answer_bytes();
        Self { out, settings, limit, seed, ask, worker, fetched: (std::ptr::null(), Vec::new()) }
    }

    /// Appends a job, unless the answer grew beyond its limit with it.
    pub(super) fn push(&mut self, view: &View<'_>) -> Admit {
        let before = self.out.len();
        let is_first = self.out.ends_with(b"[");
        if !is_first {
            self.out.put_u8(b',');
        }
        self.job(view);
        if self.out.len() <= self.limit {
            return Admit::Taken;
        }
        self.out.truncate(before);
        if is_first { Admit::Oversize } else { Admit::Full }
    }

    fn job(&mut self, view: &View<'_>) {
        let dialect = self.settings.dialect;
        let constants = constants(dialect, view.blueprint);
        let Some([head, element, headers, tail]) = constants.map(Vec::as_slice) else { return };
        let (name, quote): (&[u8], &[u8]) = match dialect {
            Dialect::V8_6 => (b"{\"key\":", b""),
            _ => (b"{\"jobKey\":\"", b"\""),
        };
        self.parts(&[name]);
        self.number(view.key);
        self.parts(&[quote, head, quote]);
        self.number(view.key + INSTANCE);
        self.parts(&[quote, element, quote]);
        self.number(view.key + ELEMENT);
        self.parts(&[quote, headers]);
        self.out.extend_from_slice(&self.worker);
        self.parts(&[b",\"retries\":"]);
        self.signed(view.retries);
        self.parts(&[b",\"deadline\":"]);
        self.number(view.deadline.saturating_add_signed(self.settings.clock_offset_ms));
        self.parts(&[b",\"variables\":"]);
        self.variables(view.variables);
        self.parts(&[tail]);
        if dialect >= Dialect::V8_10 {
            self.newest(view);
        }
        self.out.put_u8(b'}');
    }

    /// The finished answer.
    pub(super) fn finish(mut self) -> Bytes {
        self.out.put_slice(b"]}");
        self.out.freeze()
    }

    fn newest(&mut self, view: &View<'_>) {
        self.parts(&[b",\"rootProcessInstanceKey\":\""]);
        self.number(view.key + INSTANCE);
        self.parts(&[b"\",\"priority\":"]);
        self.signed(view.priority);
        self.parts(&[b",\"", self.settings.lease_member.as_bytes(), b"\":"]);
        if self.ask.with_lease {
            let token = token::mint(self.seed, view.seq);
            self.parts(&[b"\"", token.as_bytes(), b"\""]);
        } else {
            self.parts(&[b"null"]);
        }
    }

    fn variables(&mut self, variables: &str) {
        if self.ask.fetch.is_empty() {
            return self.parts(&[variables.as_bytes()]);
        }
        if self.fetched.0 != variables.as_ptr() {
            self.fetched = (variables.as_ptr(), fetch(variables, &self.ask.fetch));
        }
        self.out.extend_from_slice(&self.fetched.1);
    }

    fn parts(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.out.extend_from_slice(part);
        }
    }

    fn number(&mut self, number: u64) {
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    fn signed(&mut self, number: i32) {
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

/// Only the named members; unknown names are left out.
fn fetch(variables: &str, names: &[String]) -> Vec<u8> {
    let object = Object::parse(variables.as_bytes()).unwrap_or_default();
    let mut out = vec![b'{'];
    for (name, value) in object.members().filter(|(name, _)| names.iter().any(|wanted| wanted == name)) {
        if out.len() > 1 {
            out.push(b',');
        }
        push_string(&mut out, name);
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b'}');
    out
}

/// What stands after the job's key, after the instance's, after the element's, and after the variables.
fn constants(dialect: Dialect, blueprint: &Blueprint) -> Option<&Vec<Vec<u8>>> {
    let cell = blueprint.rendered.get(dialect as usize)?;
    Some(cell.get_or_init(|| render(dialect, &blueprint.jobs)))
}

fn render(dialect: Dialect, jobs: &NewJobs) -> Vec<Vec<u8>> {
    let definition = FIRST_KEY + ELEMENT + INSTANCE;
    let definition = if dialect == Dialect::V8_6 { json!(definition) } else { json!(definition.to_string()) };
    let head = format!(",\"type\":{},\"processInstanceKey\":", json!(jobs.job_type));
    let element = format!(
        ",\"processDefinitionId\":{},\"processDefinitionVersion\":1,\"processDefinitionKey\":{definition},\
         \"elementId\":{},\"elementInstanceKey\":",
        json!(jobs.process_id),
        json!(jobs.element_id.as_ref().unwrap_or(&jobs.job_type)),
    );
    let headers = format!(",\"customHeaders\":{},\"worker\":", jobs.headers);
    let mut tail = format!(",\"tenantId\":{}", json!(jobs.tenant));
    if dialect >= Dialect::V8_8 {
        tail += &format!(
            ",\"kind\":{},\"listenerEventType\":{},\"userTask\":{},\"tags\":{}",
            json!(jobs.kind),
            json!(jobs.listener_event),
            jobs.user_task.as_deref().unwrap_or("null"),
            json!(jobs.tags),
        );
    }
    if dialect >= Dialect::V8_10 {
        tail += &format!(",\"businessId\":{},\"physicalTenantId\":\"<default>\"", json!(jobs.business_id));
    }
    [head, element, headers, tail].map(String::into_bytes).into()
}
