//! The head of an answer: its status, and how its body ends (RFC 9112, section 6.3).

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Response, Status};

/// Header lines of an answer.
const MOST_HEADERS: usize = 100;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    Chunked,
    /// With the connection.
    Close,
}

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) framing: Framing,
    /// Whether another request may follow.
    pub(super) keep_alive: bool,
}

impl Head {
    /// The head and its length, once it is there as a whole; an error is one sentence.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, String> {
        let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
        let mut response = Response::new(&mut []);
        let parsed =
            ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut headers);
        let length = match parsed {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(format!("an answer has more than {MOST_HEADERS} header lines"));
            }
            Err(error) => {
                let hint = "write https in place of http in the engine's address if it expects TLS";
                return Err(format!("what answers does not speak HTTP/1.1 ({error}); {hint}"));
            }
        };
        let head = Self {
            status: response.code.unwrap_or_default(),
            content_type: String::new(),
            framing: Framing::Close,
            keep_alive: response.version == Some(1),
        };
        head.with(response.headers).map(|head| Some((head, length)))
    }

    fn with(mut self, headers: &[Header<'_>]) -> Result<Self, String> {
        let (mut length, mut encoded, mut chunked) = (None, false, false);
        for header in headers {
            let name = header.name;
            // Most names are told apart by their length.
            match name.len() {
                10 if name.eq_ignore_ascii_case("connection") => {
                    self.keep_alive = keeps_alive(header.value, self.keep_alive);
                }
                12 if name.eq_ignore_ascii_case("content-type") => {
                    self.content_type = std::str::from_utf8(header.value).map(media_type).unwrap_or_default();
                }
                14 if name.eq_ignore_ascii_case("content-length") => {
                    length = Some(one_length(header.value, length)?);
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    encoded = true;
                    chunked = last_token(header.value).eq_ignore_ascii_case(b"chunked");
                }
                _ => {}
            }
        }
        self.framing = match (self.status, length) {
            (100..=199 | 204 | 304, _) => Framing::Length(0),
            _ if chunked => Framing::Chunked,
            (_, Some(length)) if !encoded => Framing::Length(length),
            _ => Framing::Close,
        };
        if self.framing == Framing::Close || self.status == 101 || (encoded && length.is_some()) {
            self.keep_alive = false;
        }
        Ok(self)
    }

    /// Not one of those that only announce an answer.
    pub(super) fn is_final(&self) -> bool {
        self.status >= 200 || self.status == 101
    }

    /// No request may follow.
    pub(super) fn last(self) -> Self {
        Self { keep_alive: false, ..self }
    }
}

/// The media type without its parameters, in lower case.
pub(in crate::transport) fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

fn keeps_alive(value: &[u8], otherwise: bool) -> bool {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).fold(otherwise, |keeps, token| match token {
        token if token.eq_ignore_ascii_case(b"close") => false,
        token if token.eq_ignore_ascii_case(b"keep-alive") => true,
        _ => keeps,
    })
}

/// The length that all of them say.
fn one_length(value: &[u8], before: Option<u64>) -> Result<u64, String> {
    let digits = |token: &[u8]| {
        let text = std::str::from_utf8(token.trim_ascii()).ok()?;
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    };
    let mut lengths = value.split(|byte| *byte == b',').map(digits);
    let first = before.or_else(|| lengths.clone().next().flatten());
    match first {
        Some(length) if lengths.all(|other| other == Some(length)) => Ok(length),
        _ => Err(format!("an answer's Content-Length makes no sense: {}", String::from_utf8_lossy(value))),
    }
}

fn last_token(value: &[u8]) -> &[u8] {
    value.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii()
}
