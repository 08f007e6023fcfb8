//! Limits of a process, as the kernel takes them.

use std::sync::OnceLock;

use fathom_kernel::Size;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::plan::Limits;

/// Descriptors that the supervisor wants for itself: some per child, and no more than it can use.
const OWN_FILES: u64 = 65_536;

/// Open files that we were allowed at first, soft and hard; what children get.
static FILES: OnceLock<(u64, u64)> = OnceLock::new();

/// Lets this process open as many files as it may, since it holds some for each child. Children get
/// the limit that was there before.
pub fn raise_own() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    let wanted = hard.min(OWN_FILES);
    if soft >= wanted || FILES.set((soft, hard)).is_err() {
        return;
    }
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
        tracing::warn!(%error, wanted, "cannot open more files");
    }
}

/// Returns the limits of a child, soft and hard.
pub(super) fn limits(limits: &Limits) -> Vec<(Resource, u64, u64)> {
    let bytes = |size: Option<Size>| size.map(|size| size.bytes());
    let wanted = [
        (Resource::RLIMIT_NOFILE, limits.nofile),
        (Resource::RLIMIT_AS, bytes(limits.memory)),
        (Resource::RLIMIT_DATA, bytes(limits.data)),
        (Resource::RLIMIT_STACK, bytes(limits.stack)),
        (Resource::RLIMIT_MEMLOCK, bytes(limits.memlock)),
        (Resource::RLIMIT_CORE, limits.core),
        (Resource::RLIMIT_FSIZE, bytes(limits.fsize)),
        // In whole seconds, and never none at all.
        (
            Resource::RLIMIT_CPU,
            limits.cpu.map(|span| span.duration().as_secs().max(1)),
        ),
        (Resource::RLIMIT_NPROC, limits.nproc),
        (Resource::RLIMIT_SIGPENDING, limits.sigpending),
    ];
    let given = wanted.into_iter();
    let mut all: Vec<(Resource, u64, u64)> = given
        .filter_map(|(what, limit)| limit.map(|limit| (what, limit, limit)))
        .collect();
    if let (None, Some((soft, hard))) = (limits.nofile, FILES.get()) {
        all.push((Resource::RLIMIT_NOFILE, *soft, *hard));
    }
    all
}

#[cfg(test)]
mod tests {
    use fathom_kernel::Span;

    use super::*;

    #[test]
    fn only_what_is_given_is_limited() {
        let given = Limits {
            nofile: Some(64),
            cpu: Some(Span::from_millis(100)),
            stack: Some(Size::from_mib(1)),
            ..Limits::default()
        };
        let expected = [
            (Resource::RLIMIT_NOFILE, 64, 64),
            (Resource::RLIMIT_STACK, 1 << 20, 1 << 20),
            (Resource::RLIMIT_CPU, 1, 1),
        ];
        assert_eq!(limits(&given), expected);
    }
}
