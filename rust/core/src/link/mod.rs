//! The link: frames between the core and one worker process, and the worker's end of it.
