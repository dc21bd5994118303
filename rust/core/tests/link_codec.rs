//! Frames survive the link whatever the reads look like, and rubbish costs an error, never more.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not themselves tests to clippy")]

use bytes::Bytes;
use jobfleet_core::link::{
    FrameError, FrameReader, MAX_FRAME, Outcome, OutcomeHead, ToCore, ToWorker, encode_cancel, encode_drain,
    encode_job, encode_job_head, encode_limit, encode_log, encode_logs_dropped, encode_outcome, encode_ready,
    encode_start_failed,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const READ: usize = 64 * 1024;

fn blob() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (option::of(blob()), option::of(blob()), option::of(".*")).prop_map(
            |(variables, result, business_id)| Outcome::Complete { variables, result, business_id }
        ),
        (".*", option::of(any::<i32>()), option::of(any::<u64>()), option::of(blob())).prop_map(
            |(message, retries, backoff_ms, variables)| Outcome::Fail {
                message,
                retries,
                backoff_ms,
                variables
            }
        ),
        (".*", option::of(".*"), option::of(blob())).prop_map(|(code, message, variables)| Outcome::Error {
            code,
            message,
            variables
        }),
        (".*", any::<u64>()).prop_map(|(message, backoff_ms)| Outcome::HandBack { message, backoff_ms }),
    ]
}

fn to_worker() -> impl Strategy<Value = ToWorker> {
    prop_oneof![
        (any::<u16>(), any::<u16>(), any::<u64>(), blob())
            .prop_map(|(lane, type_index, number, body)| ToWorker::Job { lane, type_index, number, body }),
        Just(ToWorker::Drain),
        (any::<u16>(), any::<u64>(), ".*").prop_map(|(lane, number, reason)| ToWorker::Cancel {
            lane,
            number,
            reason
        }),
        any::<(u16, u64, u64)>().prop_map(|(lane, number, limit_ms)| ToWorker::Limit {
            lane,
            number,
            limit_ms
        }),
    ]
}

fn to_core() -> impl Strategy<Value = ToCore> {
    prop_oneof![
        Just(ToCore::Ready),
        ".*".prop_map(|error| ToCore::StartFailed { error }),
        (any::<(u16, u16, u64, u64)>(), outcome()).prop_map(|((lane, slot, number, run_ns), outcome)| {
            ToCore::Outcome { head: OutcomeHead { lane, slot, number, run_ns }, outcome }
        }),
        (any::<(u8, u16, u64)>(), blob()).prop_map(|((level, lane, number), record)| ToCore::Log {
            level,
            lane,
            number,
            record
        }),
        any::<u64>().prop_map(|count| ToCore::LogsDropped { count }),
    ]
}

fn encode_to_worker(out: &mut Vec<u8>, frame: &ToWorker) {
    match frame {
        ToWorker::Job { lane, type_index, number, body } => {
            encode_job(out, *lane, *type_index, *number, body).unwrap()
        }
        ToWorker::Drain => encode_drain(out),
        ToWorker::Cancel { lane, number, reason } => encode_cancel(out, *lane, *number, reason).unwrap(),
        ToWorker::Limit { lane, number, limit_ms } => encode_limit(out, *lane, *number, *limit_ms),
    }
}

fn encode_to_core(out: &mut Vec<u8>, frame: &ToCore) {
    match frame {
        ToCore::Ready => encode_ready(out),
        ToCore::StartFailed { error } => encode_start_failed(out, error).unwrap(),
        ToCore::Outcome { head, outcome } => encode_outcome(out, *head, outcome.as_ref()).unwrap(),
        ToCore::Log { level, lane, number, record } => {
            encode_log(out, *level, *lane, *number, record).unwrap()
        }
        ToCore::LogsDropped { count } => encode_logs_dropped(out, *count).unwrap(),
    }
}

/// Feed the stream in pieces of the given sizes, over and over, and take frames as they become whole.
fn read_in_pieces<F: jobfleet_core::link::Decode>(
    stream: &[u8],
    pieces: &[usize],
) -> Result<Vec<F>, FrameError> {
    let mut reader = FrameReader::new();
    let mut frames = Vec::new();
    let (mut rest, mut sizes) = (stream, pieces.iter().cycle());
    while !rest.is_empty() {
        let (now, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        reader.feed(now);
        while let Some(frame) = reader.next_frame()? {
            frames.push(frame);
        }
        rest = later;
    }
    assert_eq!(reader.pending(), 0);
    Ok(frames)
}

proptest! {
    #[test]
    fn frames_to_a_worker_survive_any_split(frames in vec(to_worker(), 1..20), pieces in vec(1usize..400, 1..9)) {
        let mut stream = Vec::new();
        frames.iter().for_each(|frame| encode_to_worker(&mut stream, frame));
        prop_assert_eq!(read_in_pieces::<ToWorker>(&stream, &pieces), Ok(frames));
    }

    #[test]
    fn frames_to_the_core_survive_any_split(frames in vec(to_core(), 1..20), pieces in vec(1usize..400, 1..9)) {
        let mut stream = Vec::new();
        frames.iter().for_each(|frame| encode_to_core(&mut stream, frame));
        prop_assert_eq!(read_in_pieces::<ToCore>(&stream, &pieces), Ok(frames));
    }

    #[test]
    fn rubbish_never_panics_and_takes_no_more_memory_than_came(
        pieces in vec(vec(any::<u8>(), 1..5000), 1..30),
        length in option::of(0u32..100_000),
    ) {
        let mut reader = FrameReader::<ToCore>::new();
        let mut fed = 0;
        if let Some(length) = length {
            reader.feed(&length.to_le_bytes());
            fed += 4;
        }
        for piece in pieces {
            reader.feed(&piece);
            fed += piece.len();
            while let Ok(Some(_)) = reader.next_frame() {}
            prop_assert!(reader.space().len() <= READ.max(fed));
        }
    }

    #[test]
    fn a_damaged_frame_is_an_error_or_another_frame(frame in to_core(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut stream = Vec::new();
        encode_to_core(&mut stream, &frame);
        let at = 4 + at.index(stream.len() - 4);
        stream[at] = byte;
        let mut reader = FrameReader::<ToCore>::new();
        reader.feed(&stream);
        prop_assert!(!matches!(reader.next_frame(), Ok(None)));
    }

    #[test]
    fn a_cut_frame_is_malformed(frame in to_core(), cut in any::<prop::sample::Index>()) {
        let mut stream = Vec::new();
        encode_to_core(&mut stream, &frame);
        let length = 1 + cut.index(stream.len() - 4);
        stream.truncate(4 + length);
        stream[..4].copy_from_slice(&(length as u32).to_le_bytes());
        let mut reader = FrameReader::<ToCore>::new();
        reader.feed(&stream);
        let cuttable = matches!(frame, ToCore::StartFailed { .. } | ToCore::Log { .. });
        match reader.next_frame() {
            Ok(Some(found)) => prop_assert!(cuttable || found == frame),
            Ok(None) => prop_assert!(false, "the frame is whole"),
            Err(error) => {
                let is_malformed = matches!(error, FrameError::Malformed { .. });
                prop_assert!(is_malformed, "{}", error);
            }
        }
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_before_it_is_buffered() {
    let mut reader = FrameReader::<ToCore>::new();
    reader.feed(&(MAX_FRAME as u32 + 1).to_le_bytes());
    let expected = Err(FrameError::TooLong { length: MAX_FRAME + 1 });
    assert_eq!(reader.next_frame(), expected);
    reader.feed(&[0; 100]);
    assert_eq!(reader.next_frame(), expected, "the stream is lost for good");
}

#[test]
fn a_claimed_length_alone_reserves_no_memory() {
    let mut reader = FrameReader::<ToCore>::new();
    reader.feed(&(MAX_FRAME as u32).to_le_bytes());
    assert_eq!(reader.next_frame(), Ok(None));
    assert!(reader.space().len() <= READ);
}

#[test]
fn an_empty_frame_and_an_unknown_kind_are_errors() {
    let mut reader = FrameReader::<ToCore>::new();
    reader.feed(&[0, 0, 0, 0]);
    assert_eq!(reader.next_frame(), Err(FrameError::Empty));
    let mut reader = FrameReader::<ToCore>::new();
    reader.feed(&[1, 0, 0, 0, 3]);
    assert_eq!(reader.next_frame(), Err(FrameError::UnknownKind { kind: 3 }));
}

#[test]
fn a_frame_too_long_to_send_leaves_the_buffer_as_it_was() {
    let mut out = vec![1, 2, 3];
    let body = vec![0; MAX_FRAME];
    assert!(encode_job(&mut out, 0, 0, 1, &body).is_err());
    assert!(encode_log(&mut out, 20, 0, 1, &body).is_err());
    let variables = Some(&body[..]);
    let outcome = jobfleet_core::link::OutcomeRef::Complete { variables, result: None, business_id: None };
    let head = OutcomeHead { lane: 0, slot: 0, number: 1, run_ns: 0 };
    assert!(encode_outcome(&mut out, head, outcome).is_err());
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn a_large_job_arrives_whole_with_its_body_written_apart() {
    let body = vec![7; 5_000_000];
    let mut head = Vec::new();
    encode_job_head(&mut head, 1, 2, 3, body.len()).unwrap();
    let mut reader = FrameReader::<ToWorker>::new();
    reader.feed(&head);
    assert_eq!(reader.next_frame(), Ok(None));
    reader.feed(&body);
    let expected = ToWorker::Job { lane: 1, type_index: 2, number: 3, body: body.into() };
    assert_eq!(reader.next_frame(), Ok(Some(expected)));
}
