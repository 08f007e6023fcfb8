//! The ControlHost wire protocol: 16-byte prefix, tag, opaque body.

mod control;
mod prefix;
mod splitter;
mod subscription;
mod tag;

pub use control::Control;
pub use prefix::{BODY_BYTES_MAX_DEFAULT, FrameError, PREFIX_BYTES, Prefix, encode_frame};
pub use splitter::{Frame, FrameRange, Frames, Splitter};
pub use subscription::{
    Mode, SUBSCRIPTION_BYTES_MAX, SUBSCRIPTIONS_MAX, Subscription, SubscriptionError, Subscriptions,
};
pub use tag::{TAG_BYTES, Tag, TagError, tags};
