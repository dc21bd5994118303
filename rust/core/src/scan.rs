//! A tolerant scanner over raw JSON: finds the extent of values without decoding them. It knows no field names.

use std::ops::Range;

use memchr::memchr2;

/// Walks the members of one JSON object or the elements of one array, by the extent of each.
///
/// It checks only what it must to find where a value ends; the bytes are judged by whoever decodes them.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A member of an object: the name without its quotes (escapes left as they are) and the extent of the value.
pub(crate) struct Member {
    pub(crate) name: Range<usize>,
    pub(crate) value: Range<usize>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Steps over an opening `{` or `[`; false when something else stands there.
    pub(crate) fn open(&mut self, bracket: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(bracket);
        if found {
            self.at += 1;
        }
        found
    }

    /// The next member of the object that was opened; None at its end or where the text breaks off.
    pub(crate) fn member(&mut self) -> Option<Member> {
        self.skip_separator();
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        self.at = string_end(self.bytes, self.at)?;
        let name = start..self.at - 1;
        self.skip_space();
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        Some(Member { name, value: self.value()? })
    }

    /// The next element of the array that was opened; None at its end or where the text breaks off.
    pub(crate) fn element(&mut self) -> Option<Range<usize>> {
        self.skip_separator();
        if matches!(self.peek()?, b']') {
            return None;
        }
        self.value()
    }

    /// True when the array or object ended where it should, so nothing was cut off.
    pub(crate) fn closed(&mut self, bracket: u8) -> bool {
        self.skip_separator();
        self.peek() == Some(bracket)
    }

    fn value(&mut self) -> Option<Range<usize>> {
        self.skip_space();
        let start = self.at;
        let end = match self.peek()? {
            b'"' => string_end(self.bytes, start)?,
            b'{' | b'[' => nested_end(self.bytes, start)?,
            _ => scalar_end(self.bytes, start)?,
        };
        self.at = end;
        Some(start..end)
    }

    fn skip_separator(&mut self) {
        self.skip_space();
        if self.peek() == Some(b',') {
            self.at += 1;
            self.skip_space();
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}

/// The index after the closing quote of the string that opens at `at`.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut from = at + 1;
    loop {
        let hit = from + memchr2(b'"', b'\\', bytes.get(from..)?)?;
        if bytes.get(hit) == Some(&b'"') {
            return Some(hit + 1);
        }
        from = hit + 2;
    }
}

/// The index after the bracket that closes the one at `at`. Brackets are counted, not matched by kind.
fn nested_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut index = at;
    loop {
        match bytes.get(index)? {
            b'"' => {
                index = string_end(bytes, index)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
        index += 1;
    }
}

/// A number or literal ends at the first byte that cannot be part of it; None when the text ends first.
fn scalar_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let length =
        rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'))?;
    (length > 0).then_some(at + length)
}

/// The integer in `bytes`, bare or as a string.
pub(crate) fn integer(bytes: &[u8]) -> Option<i64> {
    unquoted(bytes).parse().ok()
}

/// The text of a bare scalar or of a string without its quotes; empty when it is not UTF-8.
pub(crate) fn unquoted(bytes: &[u8]) -> &str {
    let text = std::str::from_utf8(bytes).unwrap_or("");
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members(text: &str) -> Vec<(String, String)> {
        let mut cursor = Cursor::new(text.as_bytes(), 0);
        assert!(cursor.open(b'{'));
        std::iter::from_fn(|| cursor.member())
            .map(|member| (text[member.name].to_owned(), text[member.value].to_owned()))
            .collect()
    }

    #[test]
    fn members_keep_their_exact_bytes() {
        let found = members(r#" { "a" : 1.0e5 , "b":"x\"}]" , "c":{"d":["]"]} ,"e":null}"#);
        let values: Vec<&str> = found.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["1.0e5", r#""x\"}]""#, r#"{"d":["]"]}"#, "null"]);
    }

    #[test]
    fn a_cut_text_yields_what_was_whole() {
        let text = br#"[{"a":1},{"b":2},{"c":"#;
        let mut cursor = Cursor::new(text, 0);
        assert!(cursor.open(b'['));
        let found: Vec<_> = std::iter::from_fn(|| cursor.element()).collect();
        assert_eq!(found, [1..8, 9..16]);
        assert!(!cursor.closed(b']'));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for bracket in [b'{', b'['] {
                let mut cursor = Cursor::new(&bytes, 0);
                if cursor.open(bracket) {
                    while cursor.member().is_some() {}
                    while cursor.element().is_some() {}
                }
            }
        }

        #[test]
        fn every_member_of_valid_json_is_found(
            map in proptest::collection::btree_map("[a-z]{1,6}", "\\PC{0,12}", 0..8)
        ) {
            let text = serde_json::to_string(&map).unwrap();
            let found = members(&text);
            prop_assert_eq!(found.len(), map.len());
            for (name, value) in found {
                let decoded: String = serde_json::from_str(&value).unwrap();
                prop_assert_eq!(&decoded, &map[&name]);
            }
        }
    }
}
