//! Log records that wait for the link, in chunks that a write takes whole, so that an outcome never waits
//! behind more than one chunk.

use std::collections::VecDeque;

use crate::link::encode::{encode_log, encode_logs_dropped};

/// Records that wait beyond this are dropped: a core that does not read must not fill the worker.
pub(super) const LIMIT_BYTES: usize = 1024 * 1024;

/// One chunk, unless a single record is larger.
const CHUNK_BYTES: usize = 32 * 1024;

#[derive(Debug, Default)]
pub(super) struct LogQueue {
    chunks: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: u64,
}

impl LogQueue {
    /// Queue one record or count it as dropped; returns the bytes queued.
    pub(super) fn push(&mut self, level: u8, lane: u16, number: u64, record: &[u8]) -> usize {
        if self.bytes.saturating_add(record.len()) > LIMIT_BYTES {
            self.dropped += 1;
            return 0;
        }
        if self.chunks.back().is_none_or(|chunk| chunk.len() + record.len() > CHUNK_BYTES) {
            self.chunks.push_back(Vec::new());
        }
        let Some(chunk) = self.chunks.back_mut() else { return 0 };
        let before = chunk.len();
        if encode_log(chunk, level, lane, number, record).is_err() {
            self.dropped += 1;
        }
        let added = chunk.len() - before;
        self.bytes += added;
        added
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.dropped == 0
    }

    /// Append the oldest chunk to `batch`, and after the last one the number of records dropped.
    ///
    /// Returns the bytes that [`push`](Self::push) did not announce.
    pub(super) fn pop_into(&mut self, batch: &mut Vec<u8>) -> usize {
        if let Some(mut chunk) = self.chunks.pop_front() {
            self.bytes -= chunk.len();
            batch.append(&mut chunk);
        }
        if !self.chunks.is_empty() || self.dropped == 0 {
            return 0;
        }
        let before = batch.len();
        if encode_logs_dropped(batch, self.dropped).is_ok() {
            self.dropped = 0;
        }
        batch.len() - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{FrameReader, ToCore};

    #[test]
    fn records_beyond_the_limit_are_dropped_and_counted_once() {
        let mut queue = LogQueue::default();
        let record = vec![b'x'; 1000];
        for number in 0..2000 {
            queue.push(20, 0, number, &record);
        }
        assert!(queue.bytes <= LIMIT_BYTES + CHUNK_BYTES);
        let mut reader = FrameReader::<ToCore>::new();
        while !queue.is_empty() {
            let mut batch = Vec::new();
            queue.pop_into(&mut batch);
            assert!(batch.len() <= CHUNK_BYTES + 2000);
            reader.feed(&batch);
        }
        let (mut records, mut dropped) = (0, 0);
        while let Some(frame) = reader.next_frame().unwrap() {
            match frame {
                ToCore::Log { number, .. } => {
                    assert_eq!(number, records);
                    records += 1;
                }
                ToCore::LogsDropped { count } => dropped += count,
                other => panic!("{other:?}"),
            }
        }
        assert!(records > 900);
        assert_eq!(records + dropped, 2000);
    }
}
