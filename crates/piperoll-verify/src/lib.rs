//! piperoll-verify.
