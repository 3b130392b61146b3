//! The kinds of providers: which API each has, where, and what it wants otherwise than the API it follows.
//!
//! A table and nothing else: a provider that speaks a dialect of somebody else's is a row here, with its deviations. What
//! a deviation does to a body is the dialect's business.

use dialect::{Dialect, Endpoint, Manners};

use crate::vertex;

/// A kind of provider, as `kind` in the configuration names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Where its API is, up to and with `/v1` or the like; `None` where that differs from account to account.
    pub base_url: Option<&'static str>,
    /// The endpoints it has.
    pub endpoints: &'static [Endpoint],
    /// What its chats want otherwise.
    pub manners: Manners,
    /// What stands between the address and the endpoints of OpenAI's dialect, where the API is another one's.
    pub openai_path: &'static str,
    /// How it is told the credential.
    pub(crate) credential: Credential,
    /// Whether one may say which version of the API is meant, and a model is then a deployment in the path.
    pub has_deployments: bool,
    /// Whose models are called, at Google's Vertex AI, which serves each publisher's by another API.
    pub publisher: Option<&'static str>,
}

/// How a credential is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// `authorization: Bearer`.
    Bearer,
    /// In `api-key`.
    ApiKey,
    /// Anthropic's way: in `x-api-key`, but as a bearer token where it follows OpenAI's dialect.
    Anthropic,
    /// Amazon's two ways: an API key as a bearer token, or a signature by an access key of AWS.
    Aws,
    /// Google's way: in `x-goog-api-key`, but as a bearer token where it follows OpenAI's dialect.
    Google,
    /// The way of Google's cloud: an access token that ends, as a bearer token, or an API key in `x-goog-api-key`.
    GoogleCloud,
}

/// OpenAI's own way, of which the rows below say what is otherwise.
const OPENAI: Kind = Kind {
    name: "openai",
    base_url: Some("https://api.openai.com/v1"),
    endpoints: OWN,
    manners: Manners { cap: None, stream_options: true, preferences: false, version_in_body: None },
    openai_path: "",
    credential: Credential::Bearer,
    has_deployments: false,
    publisher: None,
};

/// All of OpenAI's own.
const OWN: &[Endpoint] = &[
    Endpoint::Chat,
    Endpoint::Responses,
    Endpoint::Embeddings,
    Endpoint::Moderations,
    Endpoint::Images,
    Endpoint::ImageEdits,
    Endpoint::Speech,
    Endpoint::Transcriptions,
    Endpoint::Translations,
];
/// What Azure's deployments have of them.
const DEPLOYED: &[Endpoint] = &[
    Endpoint::Chat,
    Endpoint::Responses,
    Endpoint::Embeddings,
    Endpoint::Images,
    Endpoint::ImageEdits,
    Endpoint::Speech,
    Endpoint::Transcriptions,
    Endpoint::Translations,
];
/// What others took up of them.
const NEWER: &[Endpoint] = &[Endpoint::Chat, Endpoint::Responses, Endpoint::Embeddings];
const CHAT: &[Endpoint] = &[Endpoint::Chat];
/// What servers have that follow both OpenAI's dialect and Anthropic's.
const BOTH: &[Endpoint] = &[Endpoint::Chat, Endpoint::Responses, Endpoint::Embeddings, Endpoint::Messages];
/// The same, and how long a prompt is.
const ALL: &[Endpoint] =
    &[Endpoint::Chat, Endpoint::Responses, Endpoint::Embeddings, Endpoint::Messages, Endpoint::CountTokens];
/// <https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html>: the same, and transcripts.
const HEARING: &[Endpoint] = &[
    Endpoint::Chat,
    Endpoint::Responses,
    Endpoint::Embeddings,
    Endpoint::Messages,
    Endpoint::CountTokens,
    Endpoint::Transcriptions,
    Endpoint::Translations,
];
/// What the simulated provider has: everything.
const EVERY: &[Endpoint] = &[
    Endpoint::Chat,
    Endpoint::Responses,
    Endpoint::Embeddings,
    Endpoint::Moderations,
    Endpoint::Images,
    Endpoint::ImageEdits,
    Endpoint::Speech,
    Endpoint::Transcriptions,
    Endpoint::Translations,
    Endpoint::Messages,
    Endpoint::CountTokens,
    Endpoint::GenerateContent,
    Endpoint::CountContent,
];
/// Chats, embeddings and moderations, but no responses: <https://docs.mistral.ai/api/#tag/classifiers>.
const JUDGING: &[Endpoint] = &[Endpoint::Chat, Endpoint::Embeddings, Endpoint::Moderations];
/// <https://console.groq.com/docs/responses-api>, <https://console.groq.com/docs/speech-to-text> and
/// <https://console.groq.com/docs/text-to-speech>: responses and audio, but no embeddings.
const ANSWERS: &[Endpoint] = &[
    Endpoint::Chat,
    Endpoint::Responses,
    Endpoint::Speech,
    Endpoint::Transcriptions,
    Endpoint::Translations,
];
/// <https://docs.x.ai/docs/api-reference>: the same, and images.
const IMAGINING: &[Endpoint] = &[Endpoint::Chat, Endpoint::Responses, Endpoint::Images];
/// <https://docs.together.ai/docs/inference/openai-compatibility>
const OPEN: &[Endpoint] = &[Endpoint::Chat, Endpoint::Embeddings, Endpoint::Images];

/// This project's own simulated provider, `tollkeeper mock`.
const SIMULATED: Kind = Kind { name: "simulated", base_url: None, endpoints: EVERY, ..OPENAI };

/// Every kind, by the vendors' own documentation.
pub const KINDS: &[Kind] = &[
    OPENAI,
    // <https://learn.microsoft.com/azure/ai-foundry/openai/reference>: the path names a deployment and the query a
    // version; the newer /openai/v1 takes the model from the body, like OpenAI's own.
    Kind {
        name: "azure",
        base_url: None,
        endpoints: DEPLOYED,
        credential: Credential::ApiKey,
        has_deployments: true,
        ..OPENAI
    },
    Kind {
        name: "anthropic",
        base_url: Some("https://api.anthropic.com/v1"),
        endpoints: &[Endpoint::Messages, Endpoint::CountTokens],
        credential: Credential::Anthropic,
        ..OPENAI
    },
    // <https://ai.google.dev/gemini-api/docs/openai>: it follows OpenAI's dialect, too, a folder deeper, and has its
    // embeddings there in a form that needs no conversion.
    Kind {
        name: "gemini",
        base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
        endpoints: &[Endpoint::GenerateContent, Endpoint::CountContent, Endpoint::Embeddings],
        openai_path: "/openai",
        credential: Credential::Google,
        ..OPENAI
    },
    // <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference>: the same as the last one's, but for
    // embeddings, by a project and in a location.
    Kind {
        name: "vertex",
        base_url: None,
        endpoints: &[Endpoint::GenerateContent, Endpoint::CountContent],
        credential: Credential::GoogleCloud,
        publisher: Some("google"),
        ..OPENAI
    },
    // <https://docs.anthropic.com/en/api/claude-on-vertex-ai>
    Kind {
        name: "vertex-anthropic",
        base_url: None,
        endpoints: &[Endpoint::Messages, Endpoint::CountTokens],
        manners: Manners { version_in_body: Some("vertex-2023-10-16"), ..OPENAI.manners },
        credential: Credential::GoogleCloud,
        publisher: Some("anthropic"),
        ..OPENAI
    },
    Kind { name: "groq", base_url: Some("https://api.groq.com/openai/v1"), endpoints: ANSWERS, ..OPENAI },
    Kind {
        name: "openrouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        endpoints: BOTH,
        manners: Manners { preferences: true, ..OPENAI.manners },
        ..OPENAI
    },
    // Refuses members it does not know: a stream always tells its usage, and the cap has its old name.
    Kind {
        name: "mistral",
        base_url: Some("https://api.mistral.ai/v1"),
        endpoints: JUDGING,
        manners: Manners { cap: Some("max_tokens"), stream_options: false, ..OPENAI.manners },
        ..OPENAI
    },
    // <https://api-docs.deepseek.com/api/create-chat-completion>: knows max_tokens, and passes over the newer name.
    Kind {
        name: "deepseek",
        base_url: Some("https://api.deepseek.com/v1"),
        endpoints: CHAT,
        manners: Manners { cap: Some("max_tokens"), ..OPENAI.manners },
        ..OPENAI
    },
    Kind { name: "xai", base_url: Some("https://api.x.ai/v1"), endpoints: IMAGINING, ..OPENAI },
    // Both know max_tokens under their own documentation, and pass over the newer name.
    Kind {
        name: "together",
        base_url: Some("https://api.together.xyz/v1"),
        endpoints: OPEN,
        manners: Manners { cap: Some("max_tokens"), ..OPENAI.manners },
        ..OPENAI
    },
    Kind {
        name: "fireworks",
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        endpoints: NEWER,
        manners: Manners { cap: Some("max_tokens"), ..OPENAI.manners },
        ..OPENAI
    },
    // <https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html>
    Kind {
        name: "bedrock",
        base_url: None,
        endpoints: &[Endpoint::Converse],
        credential: Credential::Aws,
        ..OPENAI
    },
    Kind { name: "vllm", base_url: None, endpoints: HEARING, ..OPENAI },
    Kind {
        name: "ollama",
        base_url: Some("http://127.0.0.1:11434/v1"),
        endpoints: BOTH,
        manners: Manners { cap: Some("max_tokens"), ..OPENAI.manners },
        ..OPENAI
    },
    Kind { name: "llamacpp", base_url: Some("http://127.0.0.1:8080/v1"), endpoints: ALL, ..OPENAI },
    SIMULATED,
    // Whatever else says that it speaks OpenAI's dialect.
    Kind { name: "openai-compatible", base_url: None, ..OPENAI },
];

impl Kind {
    /// The kind of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// OpenAI's own kind, which servers that say nothing of themselves are taken for.
    pub const fn openai() -> &'static Self {
        &OPENAI
    }

    /// The kind of the simulated provider.
    pub const fn simulated() -> &'static Self {
        &SIMULATED
    }

    /// Where its API is in this region, or location, if that is all that its address depends on.
    pub fn base_url_in(&self, region: &str) -> Option<String> {
        if self.publisher.is_some() {
            return vertex::base_url(region);
        }
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_one = !region.is_empty() && region.bytes().all(is_plain);
        (self.signs() && is_one).then(|| format!("https://bedrock-runtime.{region}.amazonaws.com"))
    }

    /// Where a key is taken that needs neither project nor location, if there is such a way.
    pub fn express_url(&self) -> Option<&'static str> {
        (self.publisher == Some("google")).then_some(vertex::GLOBAL_URL)
    }

    /// Whether calls can be signed by an access key of AWS in place of a key that is sent along.
    pub fn signs(&self) -> bool {
        self.credential == Credential::Aws
    }

    /// Whether a server of this kind tells at `/models`, in OpenAI's dialect, which models can be called there. The
    /// simulator does not: it answers under any name.
    pub(crate) fn lists_its_models(&self) -> bool {
        matches!(self.name, "openai" | "vllm" | "ollama" | "llamacpp" | "openai-compatible")
    }

    /// The dialect that its API is in, of several the one that it names first.
    pub fn dialect(&self) -> Dialect {
        self.endpoints.first().map_or(Dialect::OpenAi, |endpoint| endpoint.dialect())
    }

    /// The headers in which it is told the credential: in OpenAI's dialect, and in its own if that is another.
    pub fn credential_headers(&self) -> &'static [&'static str] {
        match self.credential {
            Credential::Bearer | Credential::Aws => &["authorization"],
            Credential::ApiKey => &["api-key"],
            Credential::Anthropic => &["authorization", "x-api-key"],
            Credential::Google => &["authorization", "x-goog-api-key"],
            Credential::GoogleCloud if self.express_url().is_some() => &["authorization", "x-goog-api-key"],
            Credential::GoogleCloud => &["authorization"],
        }
    }
}
