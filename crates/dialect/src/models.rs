//! A list of models, as servers of OpenAI's dialect tell it at `GET /v1/models`.
//!
//! It knows the members by which such servers tell a model's names and its context; what a missing model means it must
//! never know.

use serde_json::Value;

/// The models that a server says it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelList(Vec<ListedModel>);

/// A model of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedModel {
    /// The name by which it is called.
    pub id: String,
    /// Other names by which it may be called (llama.cpp).
    pub aliases: Vec<String>,
    /// The tokens that a call may have there, prompt and answer together, where the server says so.
    pub context: Option<u64>,
}

/// Of many models so many are named in a message, and so many characters of each.
const NAMED_MAX: usize = 5;
/// See there.
const NAME_CHARS_MAX: usize = 128;
/// The tag that Ollama means where none is said.
const LATEST: &str = ":latest";

impl ModelList {
    /// Reads the body of an answer; `None` when it is no such list.
    pub fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let data = body.get("data")?;
        // Ollama says so where it has none.
        if data.is_null() {
            return Some(Self::default());
        }
        data.as_array()?.iter().map(ListedModel::read).collect::<Option<_>>().map(Self)
    }

    /// The model that is called by this name.
    pub fn find(&self, name: &str) -> Option<&ListedModel> {
        self.0.iter().find(|model| model.is_called(name))
    }

    /// The models' names, as a message can say them.
    pub fn named(&self) -> String {
        let shown = |model: &ListedModel| {
            let plain = model.id.chars().filter(|character| !character.is_control());
            format!("`{}`", plain.take(NAME_CHARS_MAX).collect::<String>())
        };
        let names: Vec<String> = self.0.iter().take(NAMED_MAX).map(shown).collect();
        match self.0.len().saturating_sub(NAMED_MAX) {
            0 if names.is_empty() => "none".to_owned(),
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }

    /// The models, in the server's order.
    pub fn iter(&self) -> impl Iterator<Item = &ListedModel> {
        self.0.iter()
    }
}

impl ListedModel {
    /// Reads a card. Whoever writes one adds members of their own: of what is not understood nothing is taken.
    fn read(card: &Value) -> Option<Self> {
        let id = card.get("id")?.as_str()?.to_owned();
        let aliases = card.get("aliases").and_then(Value::as_array).into_iter().flatten();
        let aliases = aliases.filter_map(|alias| alias.as_str().map(str::to_owned)).collect();
        // vLLM and SGLang, llama.cpp, others. 0 is said where nobody knows.
        let told = ["/max_model_len", "/meta/n_ctx", "/context_window", "/context_length"];
        let tokens = |place: &&str| card.pointer(place)?.as_u64().filter(|tokens| *tokens > 0);
        Some(Self { id, aliases, context: told.iter().find_map(tokens) })
    }

    /// Whether this is a name of it. Ollama's tag `:latest` need not be said, and case means nothing there.
    pub fn is_called(&self, name: &str) -> bool {
        fn plain(name: &str) -> &str {
            name.strip_suffix(LATEST).unwrap_or(name)
        }
        std::iter::once(&self.id)
            .chain(&self.aliases)
            .any(|known| plain(known).eq_ignore_ascii_case(plain(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(body: &str) -> Vec<(String, Option<u64>)> {
        let list = ModelList::read(body.as_bytes()).unwrap();
        list.iter().map(|model| (model.id.clone(), model.context)).collect()
    }

    #[test]
    fn each_server_tells_its_models_and_their_context_in_its_own_way() {
        let vllm = r#"{"object":"list","data":[
            {"id":"meta-llama/Llama-3.1-8B","object":"model","created":1,"owned_by":"vllm","root":"/w","parent":null,
             "max_model_len":8192,"permission":[{"id":"p"}]},
            {"id":"sql-lora","object":"model","root":"/l","parent":"meta-llama/Llama-3.1-8B","max_model_len":null}]}"#;
        assert_eq!(
            contexts(vllm),
            [("meta-llama/Llama-3.1-8B".to_owned(), Some(8192)), ("sql-lora".to_owned(), None)]
        );
        let llama_cpp = r#"{"models":[{"name":"q"}],"object":"list","data":[{"id":"q","aliases":["q","qwen"],"tags":[],
            "object":"model","created":1,"owned_by":"llamacpp","meta":{"n_vocab":9,"n_ctx":4096,"n_ctx_train":40960}}]}"#;
        assert_eq!(contexts(llama_cpp), [("q".to_owned(), Some(4096))]);
        // What a model was made for is no promise of the server's.
        assert_eq!(
            contexts(r#"{"data":[{"id":"q","meta":{"n_ctx_train":40960}}]}"#),
            [("q".to_owned(), None)]
        );
        assert_eq!(contexts(r#"{"data":[{"id":"q","meta":null,"context_length":512}]}"#)[0].1, Some(512));
        assert_eq!(
            contexts(r#"{"data":[{"id":"q","context_window":512,"context_length":0}]}"#)[0].1,
            Some(512)
        );
        assert_eq!(contexts(r#"{"object":"list","data":null}"#), []);
    }

    #[test]
    fn members_of_another_type_are_no_word_on_the_context() {
        let odd =
            r#"{"data":[{"id":"q","meta":"x","aliases":"y","max_model_len":"8192","context_length":-1}]}"#;
        assert_eq!(contexts(odd), [("q".to_owned(), None)]);
    }

    #[test]
    fn a_model_has_all_its_names_and_ollamas_tag_need_not_be_said() {
        let list = ModelList::read(
            br#"{"data":[{"id":"llama3.2:latest"},{"id":"phi4"},{"id":"a","aliases":["b"]},{"id":"m:7b"}]}"#,
        );
        let list = list.unwrap();
        for (name, id) in [
            ("llama3.2", Some("llama3.2:latest")),
            ("llama3.2:latest", Some("llama3.2:latest")),
            ("phi4:latest", Some("phi4")),
            ("Llama3.2", Some("llama3.2:latest")),
            ("b", Some("a")),
            ("m", None),
            ("llama3", None),
            ("", None),
        ] {
            assert_eq!(list.find(name).map(|model| &*model.id), id, "{name}");
        }
    }

    #[test]
    fn a_list_is_named_in_a_few_words_of_no_harm() {
        let named = |names: &[&str]| {
            let cards: Vec<Value> = names.iter().map(|name| serde_json::json!({ "id": name })).collect();
            ModelList::read(serde_json::json!({ "data": cards }).to_string().as_bytes()).unwrap().named()
        };
        assert_eq!(named(&[]), "none");
        assert_eq!(named(&["a", "b\u{1b}[31m"]), "`a`, `b[31m`");
        assert_eq!(named(&["a", "b", "c", "d", "e"]), "`a`, `b`, `c`, `d`, `e`");
        assert_eq!(named(&["a", "b", "c", "d", "e", "f", "g"]), "`a`, `b`, `c`, `d`, `e` and 2 more");
        assert_eq!(named(&[&"x".repeat(500)]).len(), NAME_CHARS_MAX + 2);
    }

    #[test]
    fn what_is_no_list_is_none() {
        for body in ["", "<html>", "[]", "{\"data\":[{}]}", "{\"data\":{}}", "{\"data\":[{\"id\":1}]}", "{}"]
        {
            assert_eq!(ModelList::read(body.as_bytes()), None, "{body}");
        }
    }
}
