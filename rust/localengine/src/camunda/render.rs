//! The activation answer: constant parts rendered once per blueprint, numbers in between.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::json;

use super::activation::Ask;
use super::json::{Object, push_string};
use super::token;
use crate::options::Dialect;
use crate::store::{Admit, Blueprint, FIRST_KEY, View};

/// Instance and element keys are made from the job's, in ranges that job keys never reach.
const INSTANCE: u64 = 1 << 48;
const ELEMENT: u64 = 1 << 49;

/// An answer under construction.
pub(super) struct Page<'a> {
    out: BytesMut,
    dialect: Dialect,
    seed: u64,
    ask: &'a Ask,
    worker: Vec<u8>,
    /// What was fetched last, by the address of its variables: jobs in a row often share them.
    fetched: (*const u8, Vec<u8>),
}

impl<'a> Page<'a> {
    pub(super) fn new(dialect: Dialect, seed: u64, ask: &'a Ask, worker: &str) -> Self {
        let mut escaped = Vec::with_capacity(worker.len() + 2);
        push_string(&mut escaped, worker);
        let mut out = BytesMut::with_capacity(4096);
        out.put_slice(b"{\"jobs\":[");
        Self { out, dialect, seed, ask, worker: escaped, fetched: (std::ptr::null(), Vec::new()) }
    }

    /// Appends a job.
    pub(super) fn push(&mut self, view: &View<'_>) -> Admit {
        let parts = view.blueprint.rendered.get(self.dialect as usize);
        let parts = parts.map(|cell| cell.get_or_init(|| constants(self.dialect, view.blueprint)));
        let Some([head, element, headers, tail]) = parts.map(Vec::as_slice) else { return Admit::Full };
        if !self.out.ends_with(b"[") {
            self.out.put_u8(b',');
        }
        let quote: &[u8] = if self.dialect == Dialect::V8_6 { b"" } else { b"\"" };
        let name: &[u8] = if self.dialect == Dialect::V8_6 { b"{\"key\":" } else { b"{\"jobKey\":\"" };
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
        self.number(view.deadline);
        self.parts(&[b",\"variables\":"]);
        self.variables(view.variables);
        self.parts(&[tail]);
        if self.dialect >= Dialect::V8_10 {
            self.newest(view);
        }
        self.out.put_u8(b'}');
        Admit::Taken
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
        if self.ask.with_lease {
            let token = token::mint(self.seed, view.seq);
            self.parts(&[b",\"jobLeaseToken\":\"", token.as_bytes(), b"\""]);
        } else {
            self.parts(&[b",\"jobLeaseToken\":null"]);
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
fn constants(dialect: Dialect, blueprint: &Blueprint) -> Vec<Vec<u8>> {
    let jobs = &blueprint.jobs;
    let definition = FIRST_KEY + ELEMENT + INSTANCE;
    let definition = if dialect == Dialect::V8_6 { json!(definition) } else { json!(definition.to_string()) };
    let head = format!(",\"type\":{},\"processInstanceKey\":", json!(jobs.job_type));
    let element = format!(
        ",\"processDefinitionId\":\"local\",\"processDefinitionVersion\":1,\"processDefinitionKey\":{definition},\
         \"elementId\":{},\"elementInstanceKey\":",
        json!(jobs.job_type)
    );
    let headers = format!(",\"customHeaders\":{},\"worker\":", jobs.headers);
    let mut tail = format!(",\"tenantId\":{}", json!(jobs.tenant));
    if dialect >= Dialect::V8_8 {
        tail.push_str(
            ",\"kind\":\"BPMN_ELEMENT\",\"listenerEventType\":\"UNSPECIFIED\",\"userTask\":null,\"tags\":[]",
        );
    }
    if dialect >= Dialect::V8_10 {
        tail.push_str(",\"businessId\":null,\"physicalTenantId\":\"<default>\"");
    }
    [head, element, headers, tail].map(String::into_bytes).into()
}
