//! Work for all cores: computing leaves the async threads free to read.

use std::cell::RefCell;

use piperoll_format::Codec;
use tokio::sync::oneshot;

thread_local! {
    static CODEC: RefCell<Codec> = RefCell::new(Codec::default());
}

/// Runs `work` on the computing threads and waits for it without blocking.
pub(crate) async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = oneshot::channel();
    rayon::spawn(move || {
        // The caller may have lost interest meanwhile; then nobody needs the result.
        drop(sender.send(work()));
    });
    receiver.await.expect("the work sends its result; if it panics, rayon ends the process")
}

/// Bytes up to which work is done at once: handing it over would take longer than the work itself.
const AT_ONCE_BYTES_MAX: usize = 64 * 1024;

/// Runs work over `bytes` bytes: at once when they are few, otherwise like [`compute`].
pub(crate) async fn compute_over<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if bytes <= AT_ONCE_BYTES_MAX { work() } else { compute(work).await }
}

/// Lends this thread's codec, whose working memory is too large to make one for each payload.
pub(crate) fn with_codec<T>(work: impl FnOnce(&mut Codec) -> T) -> T {
    CODEC.with_borrow_mut(work)
}
