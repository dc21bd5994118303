//! Reads requests: which members a dialect knows, and how forgiving it is about their types.

use std::borrow::Cow;

use super::json::Object;
use super::problem;
use crate::http::Answer;
use crate::options::{Dialect, Settings};

/// A request body with what went wrong while reading it.
pub(super) struct Request<'a> {
    settings: &'a Settings,
    path: &'a str,
    object: Object<'a>,
    complaints: Vec<String>,
}

impl<'a> Request<'a> {
    /// Reads the body. `known` are the members with the dialect that brought each.
    pub(super) fn read(
        settings: &'a Settings,
        path: &'a str,
        body: &'a [u8],
        known: &[(&str, Dialect)],
    ) -> Result<Self, Answer> {
        let object =
            Object::parse(body).ok_or_else(|| problem::bad_request(path, "Failed to read request"))?;
        let request = Self { settings, path, object, complaints: Vec::new() };
        request.refuse_strangers(known)?;
        Ok(request)
    }

    fn refuse_strangers(&self, known: &[(&str, Dialect)]) -> Result<(), Answer> {
        if self.settings.dialect == Dialect::V8_6 {
            return Ok(());
        }
        let dialect = self.settings.dialect;
        let is_known = |name: &str| {
            known.iter().any(|(found, since)| *found == name && *since <= dialect)
                || (name == self.settings.lease_member && dialect >= Dialect::V8_10)
        };
        match self.object.members().find(|(name, _)| !is_known(name)) {
            None => Ok(()),
            Some((name, _)) => {
                let detail = format!("Request property [{name}] cannot be parsed");
                Err(problem::bad_request(self.path, &detail))
            }
        }
    }

    /// The answer that lists the complaints, if there are any.
    pub(super) fn check(&self) -> Result<(), Answer> {
        if self.complaints.is_empty() { Ok(()) } else { Err(problem::invalid(self.path, &self.complaints)) }
    }

    pub(super) fn complain(&mut self, sentence: String) {
        self.complaints.push(sentence);
    }

    /// The text of a member.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.object.get(name)
    }

    /// A string member. 8.6 takes a number for a string.
    pub(super) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, Answer> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        if let Ok(text) = unquote(raw) {
            return Ok(Some(text));
        }
        match raw.as_bytes().first() {
            Some(b'{' | b'[') => Err(self.unreadable(name)),
            _ if self.settings.dialect == Dialect::V8_6 => Ok(Some(Cow::Borrowed(raw))),
            _ => Err(self.unreadable(name)),
        }
    }

    /// The lease token. It changes nothing where tokens are unknown, but the account reads it.
    pub(super) fn token(&self) -> Result<Option<Cow<'a, str>>, Answer> {
        self.text(&self.settings.lease_member)
    }

    /// A whole number. 8.6 takes strings and fractions too, as the web framework behind it does.
    pub(super) fn int(&self, name: &str, limit: i64) -> Result<Option<i64>, Answer> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let mut value = raw.parse().ok();
        if value.is_none() && self.settings.dialect == Dialect::V8_6 {
            value = raw.trim_matches('"').parse::<f64>().ok().filter(|n| n.abs() < 9e18).map(|n| n as i64);
        }
        let value = value.filter(|value| *value <= limit && *value >= -limit - 1);
        value.map(Some).ok_or_else(|| self.unreadable(name))
    }

    /// True or false; absent is false.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Answer> {
        match self.raw(name) {
            Some("true") => Ok(true),
            Some("false") | None => Ok(false),
            Some(_) => Err(self.unreadable(name)),
        }
    }

    /// A list of strings; absent is empty.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Answer> {
        let Some(raw) = self.raw(name) else { return Ok(Vec::new()) };
        serde_json::from_str(raw).map_err(|_| self.unreadable(name))
    }

    /// A member that must be an object.
    pub(super) fn object(&self, name: &str) -> Result<Option<&'a str>, Answer> {
        match self.raw(name) {
            Some(raw) if !raw.starts_with('{') => Err(self.unreadable(name)),
            raw => Ok(raw),
        }
    }

    fn unreadable(&self, name: &str) -> Answer {
        match self.settings.dialect {
            Dialect::V8_6 => problem::bad_request(self.path, "Failed to read request"),
            _ => problem::bad_request(self.path, &format!("Request property [{name}] cannot be parsed")),
        }
    }
}

fn unquote(raw: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => serde_json::from_str(raw).map(Cow::Owned),
    }
}
