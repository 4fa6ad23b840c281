//! piperoll-store.
