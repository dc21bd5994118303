//! Reads activation answers: the extent of each job, and the few members that the core needs.

use std::ops::Range;

use bytes::Bytes;

use super::Activation;
use crate::job::Job;
use crate::scan::{Cursor, integer, unquoted};

/// What the jobs of an answer tell of the version that wrote them.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Keys came as numbers: 8.6.
    pub(super) numbers: bool,
    /// Keys came as texts: 8.7 or newer.
    pub(super) texts: bool,
    /// There are members that 8.10 brought.
    pub(super) newest: bool,
    /// A job came without a lease token.
    pub(super) without_token: bool,
}

/// The jobs of an activation answer; None when it is no such answer at all.
pub(super) fn jobs(body: &Bytes, whole: bool) -> Option<(Activation, Shape)> {
    let mut object = Cursor::new(body, 0);
    if !object.open(b'{') {
        return None;
    }
    let list = find_list(body, &mut object)?;
    let (mut found, mut shape) = (Activation::default(), Shape::default());
    let mut array = Cursor::new(body, list);
    if !array.open(b'[') {
        return None;
    }
    while let Some(extent) = array.element() {
        match job(body, extent, &mut shape) {
            Some(job) => found.jobs.push(job),
            None => found.unreadable += 1,
        }
    }
    found.cut = !whole || !array.closed(b']');
    Some((found, shape))
}

/// Where the list of jobs begins. It may itself be cut off, so its end is not looked for.
fn find_list(body: &[u8], object: &mut Cursor<'_>) -> Option<usize> {
    // The first member is the list in every version; only an unknown one before it has to be stepped over.
    const FIRST: &[u8] = b"{\"jobs\":";
    if body.starts_with(FIRST) {
        return Some(FIRST.len());
    }
    while let Some(member) = object.member() {
        if body.get(member.name) == Some(b"jobs") {
            return Some(member.value.start);
        }
    }
    None
}

fn job(body: &Bytes, extent: Range<usize>, shape: &mut Shape) -> Option<Job> {
    let raw = body.slice(extent);
    let mut cursor = Cursor::new(&raw, 0);
    if !cursor.open(b'{') {
        return None;
    }
    let (mut key, mut old_key, mut token) = (None, None, None);
    let (mut retries, mut deadline) = (1, None);
    while let Some(member) = cursor.member() {
        let value = raw.get(member.value.clone())?;
        match raw.get(member.name)? {
            b"jobKey" => key = key_extent(value, &member.value),
            b"key" => old_key = key_extent(value, &member.value),
            b"jobLeaseToken" | b"leaseToken" if value.starts_with(b"\"") => {
                token = Some(member.value.start as u32..member.value.end as u32);
            }
            b"retries" => retries = integer(value).and_then(|n| i32::try_from(n).ok()).unwrap_or(1),
            b"deadline" => deadline = integer(value),
            b"physicalTenantId" => shape.newest = true,
            _ => {}
        }
    }
    shape.texts |= key.is_some();
    shape.numbers |= key.is_none() && old_key.is_some();
    shape.without_token |= token.is_none();
    Some(Job::new(raw.clone(), key.or(old_key)?, token, retries, deadline))
}

/// The extent of a key without quotes, provided that it can stand in a path.
fn key_extent(value: &[u8], extent: &Range<usize>) -> Option<Range<u32>> {
    let text = unquoted(value);
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let quote = (value.len() - text.len()) / 2;
    Some((extent.start + quote) as u32..(extent.end - quote) as u32)
}
