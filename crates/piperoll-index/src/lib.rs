//! piperoll-index.
