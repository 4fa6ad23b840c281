//! piperoll-tlog.
