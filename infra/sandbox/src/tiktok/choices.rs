//! The choices that settings offer.

use serde::{Deserialize, Serialize};

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
    )+};
}

choices! {
    /// What a refresh does to the refresh token that it used.
    Rotation {
        /// A new one is given and the used one dies.
        Strict,
        /// The same one is given back.
        None,
    }
    /// The body of a successful revoke.
    RevokeBody {
        /// `{}`.
        Object,
        /// Nothing.
        Empty,
    }
    /// PKCE on web redirects.
    WebPkce {
        /// Not needed; hexadecimal when sent.
        Optional,
        /// Needed, as some reports say (tiktok.md, addenda).
        Required,
    }
    /// The meaning of MB in the chunk rules (tiktok.md §4.6 does not say).
    Megabyte {
        /// Refuses only what both readings refuse.
        Either,
        /// 10⁶ bytes.
        Decimal,
        /// 2²⁰ bytes.
        Binary,
        /// Refuses what one of the readings refuses.
        Both,
    }
    /// The number in the upload's `Content-Range: bytes 0-{n}/{total}`.
    ProgressHeader {
        /// Bytes received.
        Count,
        /// Index of the last byte received.
        LastByte,
    }
    /// What befalls one pull.
    PullFault {
        /// Nothing: it is really fetched.
        None,
        /// As if the address answered 404.
        NotFound,
        /// As if it answered a redirect, which is never followed.
        Redirect,
        /// As if it answered 500.
        ServerError,
        /// As if the connection broke half-way.
        Cut,
        /// As if no byte ever came; only the time limit or a cancel ends it.
        Hang,
    }
    /// What an accepted cancel does (tiktok.md §4.8: best effort).
    CancelEffect {
        /// The pull ends before the answer.
        AtOnce,
        /// The pull ends after the time that processing takes, if it is still going on then.
        Later,
        /// Nothing: the post is made.
        TooLate,
    }
    /// Whether brand toggles must be sent.
    Toggles {
        /// As the tables of the papers say.
        Required,
        /// As their examples do.
        Optional,
    }
    /// Whose calls a limit counts.
    LimitBy {
        /// Those with one access token.
        Token,
        /// All of one app.
        App,
    }
    /// The order in which a receiver first hears of one post.
    WebhookOrder {
        /// As it happens to be.
        Any,
        /// `complete`, then `publicly_available`.
        CompleteFirst,
        /// `publicly_available`, then `complete`.
        AvailableFirst,
    }
    /// Whether something happens by itself.
    Pace {
        /// After its delay.
        Auto,
        /// When a control call says so.
        Held,
    }
    /// How an id is written in JSON.
    IdType {
        /// As a number above 2⁵³.
        Number,
        /// As a string.
        String,
    }
    /// How the status spells its post id field.
    PostIdSpelling {
        /// `publicaly_available_post_id`, the real misspelling.
        Publicaly,
        /// `publicly_available_post_id`.
        Publicly,
    }
    /// When a draft stops counting as pending.
    PendingRelease {
        /// When the user posts or discards it, or it fails.
        Post,
        /// When it reaches the inbox.
        Delivery,
        /// Only after 24 hours.
        Never,
    }
}
