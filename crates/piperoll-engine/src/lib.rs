//! piperoll-engine.
