//! The panic hook: one structured record per panic instead of text on standard error.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::panic::PanicHookInfo;
use std::sync::Once;

/// Longest backtrace that is kept [bytes].
const BACKTRACE_MAX: usize = 64 << 10;

thread_local! {
    /// The backtrace of the last panic of this thread, for whoever catches it.
    static LAST: Cell<Option<String>> = const { Cell::new(None) };
}

/// Installs the hook, once per process. The record carries the mark of the service that panicked,
/// because the hook runs in its thread and span.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(report)));
}

fn report(info: &PanicHookInfo<'_>) {
    let text = info.payload_as_str().unwrap_or("no text");
    let at = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    // Always: whoever looks for the cause of an incident cannot ask for it afterwards.
    let mut backtrace = Backtrace::force_capture().to_string();
    backtrace.truncate(backtrace.floor_char_boundary(BACKTRACE_MAX));
    tracing::error!(panic = text, at, thread, backtrace, "panicked");
    LAST.set(Some(backtrace));
}

/// Takes the backtrace of the last panic of this thread.
pub(crate) fn last_backtrace() -> Option<String> {
    LAST.take()
}
