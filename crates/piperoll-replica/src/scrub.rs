//! Reading every object of both stores again.
