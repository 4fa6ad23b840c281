//! piperoll-policy.
