//! The core's numbers for JavaScript: enums and bits by name, so that none is written there again.

use napi_derive::napi;

/// Declares an enum for JavaScript beside one of the core. A variant too many, too few or in another place does not
/// compile.
macro_rules! mirror {
    ($doc:literal $name:ident, $core:path { $($variant:ident),+ $(,)? }) => {
        #[doc = $doc]
        #[napi]
        pub enum $name { $($variant),+ }

        const _: () = { $(assert!($name::$variant as u32 == <$core>::$variant as u32);)+ };

        impl From<$name> for $core {
            fn from(given: $name) -> $core {
                match given { $($name::$variant => <$core>::$variant),+ }
            }
        }

        impl From<$core> for $name {
            fn from(given: $core) -> $name {
                match given { $(<$core>::$variant => $name::$variant),+ }
            }
        }
    };
}

mirror! {
    "The API a request is for."
    Endpoint, sidegate_core::request::endpoint::Endpoint {
        Chat, Embeddings, Messages, CountTokens, Generate, Responses, Rerank, Embed, Auxiliary,
    }
}

mirror! {
    "What each register of `inspect` holds."
    BodyRegister, sidegate_core::request::registers::Register {
        Status, FaultAt, FaultField, ModelStart, ModelEnd, Flags, TokensMax, Choices, TextBytes, TextChars, TextSpans,
        StreamOptionsStart, StreamOptionsEnd, FirstField, Fields, QuestionStart, QuestionEnd, Images, Values, Found, Counts,
    }
}

mirror! {
    "What becomes of a value of personal data."
    PiiAction, sidegate_core::pii::policy::Action { Off, Tokenise, Redact, Mask, Hash, Block, Report }
}

mirror! {
    "What becomes of a body."
    BodyStatus, sidegate_core::request::registers::Status {
        Fine, Invalid, NotUtf8, TooDeep, Duplicate, NotAnObject, WrongType, TooManyValues, TooManyStops,
    }
}

mirror! {
    "The form of a reply."
    Dialect, sidegate_core::reply::read::Dialect { OpenAi, Anthropic, Any, Gemini, Cohere, Auxiliary }
}

mirror! {
    "What each register of a reply or a stream holds."
    ReplyRegister, sidegate_core::reply::registers::Register {
        Call, State, Input, Output, Cached, CacheWrite, Finish, TextBytes, Events, Stripped, MediaInput, MediaOutput,
        SoundMs, Searches, CacheWriteHour, Service, CostLow, CostHigh,
        Reasoning, ModelStart, ModelEnd, LongestPrompt,
    }
}

mirror! {
    "Why generation ended."
    Finish, sidegate_core::reply::reading::Finish { None, Stop, Length, Tool, Filter, Other }
}

mirror! {
    "The class of service that a reply was given."
    Service, sidegate_core::reply::reading::Service { Standard, Flex, Priority, Fast }
}

mirror! {
    "How a meter counts."
    MeterAlgorithm, sidegate_core::limits::kind::Algorithm {
        TokenBucket, LeakyBucket, SlidingWindow, Concurrency, Budget,
    }
}

mirror! {
    "The numbers of an entry of `meterAdmit`."
    MeterAsked, sidegate_core::limits::entry::Asked { Id, Cost, Window, Left, Flags }
}

mirror! {
    "The numbers of an entry of `meterSettle`."
    MeterSettled, sidegate_core::limits::entry::Settled { Id, Reserved, Used, Window }
}

mirror! {
    "The numbers of an entry of `meterSweep`."
    MeterSwept, sidegate_core::limits::entry::Swept { Id, Window }
}

mirror! {
    "The numbers of an entry of `meterChanged`."
    MeterChanged, sidegate_core::limits::entry::Changed { Id, Window, Spent }
}

mirror! {
    "What came of a call."
    BreakerOutcome, sidegate_core::resilience::breaker::Outcome { Success, Failure, Abandoned }
}

mirror! {
    "What a breaker does with calls: lets them through, refuses them, or lets one through to decide."
    BreakerState, sidegate_core::resilience::breaker::State { Closed, Open, HalfOpen }
}

/// Declares constants of the core for JavaScript, in a namespace.
macro_rules! constants {
    ($module:ident, $namespace:literal, $core:path { $($name:ident),+ $(,)? }) => {
        /// Constants in a namespace.
        pub mod $module {
            use $core as core;
            use napi_derive::napi;

            $(
                #[napi(namespace = $namespace)]
                pub const $name: u32 = core::$name as u32;
            )+
        }
    };
}

constants!(
    body_flag,
    "bodyFlag",
    sidegate_core::request::facts::flag {
        STREAM,
        INCLUDE_USAGE,
        TOOLS,
        IMAGE,
        STRUCTURED,
        REASONING,
        FILE,
        MODEL_ESCAPED,
        SERVER_TOOLS,
        STREAM_OPTIONS,
        SAMPLED,
        QUESTION_ESCAPED,
        PRIORITY,
        FAST,
        CACHE_WRITE,
        CACHE_HOUR,
        BACKGROUND,
        RESIDENT,
        CONTINUED,
        AUDIO,
        QUESTION_PERSONAL,
        QUESTION_ALONE,
        CODE,
        TIER_SHIFT,
    }
);
constants!(body_size, "bodySize", sidegate_core::request::registers { INSPECT_HEAD, VALUE, ABSENT });
constants!(body_bound, "bodyBound", sidegate_core::request::facts { STOPS_MAX });
constants!(
    reply_state,
    "replyState",
    sidegate_core::reply::facts::state {
        CONTENT,
        FINISH,
        END,
        ERROR,
        MALFORMED,
        OVERFLOW,
        USAGE,
        TOOL,
        REFUSAL,
        COST,
        RESIDENT,
    }
);
constants!(reply_size, "replySize", sidegate_core::reply::registers { REGISTERS });
constants!(scanner_call, "scannerCall", crate::scanner::call { PASS, OUTPUT, EVENT });
constants!(meter_ask, "meterAsk", sidegate_core::limits::entry::ask { OBSERVED, SPENT, QUIET, ALONE, HELD });
constants!(
    meter_told,
    "meterTold",
    sidegate_core::limits::entry::told { CROSSED, SAY, WOULD_REFUSE, NOT_TAKEN }
);
constants!(meter_size, "meterSize", sidegate_core::limits::entry { ENTRY, SETTLE, SWEEP, CHANGED });
constants!(lease_size, "leaseSize", sidegate_core::limits::leases { REPORT, GRANT, VIEW });
