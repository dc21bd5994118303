//! The flight recorder: a shared memory page per worker that says what each slot runs.
