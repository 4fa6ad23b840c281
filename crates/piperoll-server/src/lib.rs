//! piperoll-server.
