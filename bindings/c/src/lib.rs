//! The C ABI of mpflags.
