//! piperoll-export.
