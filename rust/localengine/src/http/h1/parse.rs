//! The head of an HTTP/1.1 request.

use std::mem::MaybeUninit;
use std::ops::Range;

use httparse::{Header, Status};

use crate::http::{Head, Method};

/// Header lines of a request: more come from nobody who speaks this API.
const MAX_HEADERS: usize = 64;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
}

/// A request's head as ranges of the buffer that it was read from.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) head_length: usize,
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    method: Method,
    target: Range<usize>,
    content_type: Option<Range<usize>>,
    accept: Option<Range<usize>>,
    authorization: Option<Range<usize>>,
    /// Length of the body once it is in the buffer.
    pub(super) body_length: usize,
    /// Length of what the body took in the buffer.
    pub(super) consumed: usize,
}

/// What the bytes so far amount to.
pub(super) enum Parse {
    Whole(Parsed),
    Partial,
    Bad,
}

/// Reads a head.
pub(super) fn parse(buffer: &[u8]) -> Parse {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    let head_length = match request.parse_with_uninit_headers(buffer, &mut headers) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Parse::Partial,
        Err(_) => return Parse::Bad,
    };
    let (Some(method), Some(target)) = (request.method, request.path) else { return Parse::Bad };
    let mut parsed = Parsed {
        head_length,
        framing: Framing::Length(0),
        keep_alive: request.version == Some(1),
        expects_continue: false,
        method: Method::from(method),
        target: range(buffer, target.as_bytes()),
        content_type: None,
        accept: None,
        authorization: None,
        body_length: 0,
        consumed: 0,
    };
    for header in request.headers.iter() {
        if !parsed.note(buffer, header) {
            return Parse::Bad;
        }
    }
    Parse::Whole(parsed)
}

impl Parsed {
    /// The head as the operations see it.
    pub(super) fn head<'a>(&self, buffer: &'a [u8]) -> Head<'a> {
        let text = |range: &Range<usize>| buffer.get(range.clone()).unwrap_or_default();
        // httparse lets nothing but ASCII through in a target.
        let target = std::str::from_utf8(text(&self.target)).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Head {
            method: self.method,
            path,
            query,
            content_type: self.content_type.as_ref().map(text),
            accept: self.accept.as_ref().map(text),
            authorization: self.authorization.as_ref().map(text),
        }
    }

    /// Takes what matters out of a header; false when it makes no sense.
    fn note(&mut self, buffer: &[u8], header: &Header<'_>) -> bool {
        let (name, value) = (header.name, header.value);
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        // By length first: most headers are none of these.
        match name.len() {
            6 if is("accept") => self.accept = Some(range(buffer, value)),
            6 if is("expect") => self.expects_continue = value.eq_ignore_ascii_case(b"100-continue"),
            10 if is("connection") => self.keep_alive = keeps_alive(value, self.keep_alive),
            12 if is("content-type") => self.content_type = Some(range(buffer, value)),
            13 if is("authorization") => self.authorization = Some(range(buffer, value)),
            14 if is("content-length") => {
                let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                let Some(length) = length else { return false };
                if self.framing != Framing::Chunked {
                    self.framing = Framing::Length(length);
                }
            }
            17 if is("transfer-encoding") => {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return false;
                }
                self.framing = Framing::Chunked;
            }
            _ => {}
        }
        true
    }
}

fn keeps_alive(value: &[u8], default: bool) -> bool {
    let mut options = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    match options
        .find(|option| option.eq_ignore_ascii_case(b"close") || option.eq_ignore_ascii_case(b"keep-alive"))
    {
        Some(option) => option.len() != b"close".len(),
        None => default,
    }
}

/// Where a part lies in the buffer that it was taken from.
fn range(buffer: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(buffer.as_ptr() as usize);
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &[u8]) -> Parsed {
        match parse(text) {
            Parse::Whole(parsed) => parsed,
            Parse::Partial => panic!("partial"),
            Parse::Bad => panic!("bad"),
        }
    }

    #[test]
    fn a_head_is_read_in_any_letter_case_and_cut_anywhere() {
        let text = b"POST /v2/x?a=b HTTP/1.1\r\nHOST: h\r\nContent-Type: application/json\r\n\
            CONTENT-length: 12\r\nauthorization: Basic x\r\nAccept: */*\r\nExpect: 100-Continue\r\n\r\n{}";
        let parsed = whole(text);
        let head = parsed.head(text);
        assert_eq!((head.method, head.path, head.query), (Method::Post, "/v2/x", "a=b"));
        assert_eq!(head.content_type, Some(&b"application/json"[..]));
        assert_eq!((head.authorization, head.accept), (Some(&b"Basic x"[..]), Some(&b"*/*"[..])));
        assert_eq!((parsed.framing, parsed.keep_alive), (Framing::Length(12), true));
        assert!(parsed.expects_continue);
        assert_eq!(parsed.head_length, text.len() - 2);
        for cut in 0..parsed.head_length {
            assert!(matches!(parse(&text[..cut]), Parse::Partial), "{cut}");
        }
    }

    #[test]
    fn connections_are_kept_as_the_version_and_the_header_say() {
        for (version, header, kept) in [
            ("1.1", "", true),
            ("1.0", "", false),
            ("1.1", "connection: close\r\n", false),
            ("1.1", "connection: te, Close\r\n", false),
            ("1.0", "connection: keep-alive\r\n", true),
        ] {
            let text = format!("GET / HTTP/{version}\r\n{header}\r\n");
            assert_eq!(whole(text.as_bytes()).keep_alive, kept, "{text}");
        }
    }

    #[test]
    fn chunks_win_over_a_length_and_nonsense_is_bad() {
        let both = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(whole(both).framing, Framing::Chunked);
        for text in [
            &b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
            b"\x16\x03\x01 hello \r\n\r\n",
        ] {
            assert!(matches!(parse(text), Parse::Bad));
        }
    }
}
