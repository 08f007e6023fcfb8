//! The panic hook: one structured record per panic instead of text on standard error.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::sync::Once;

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
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(panic = text, at, thread, %backtrace, "panicked");
    } else {
        tracing::error!(panic = text, at, thread, "panicked");
    }
}
