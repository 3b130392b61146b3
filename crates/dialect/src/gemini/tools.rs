//! The tools of a request: which of them Google itself runs, and what that means for the bill.

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::answer::short;
use crate::json::{self, Name, Take};

/// What the tools of a request bring beside functions of the caller's.
#[derive(Default)]
pub(super) struct Tools {
    /// Searches of the web, charged for by the search.
    pub(super) web_search: bool,
    /// What Google fetches, which becomes input.
    pub(super) fetches: bool,
    /// The first tool that is charged for by something else, or that is not known.
    pub(super) charged: Option<String>,
}

impl<'de> Take<'de> for Tools {
    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(tool) = seq.next_element::<&RawValue>()? {
            json::check_depth(tool.get())?;
            // A tool that is no object is the provider's to refuse.
            drop(json::read(tool.get(), self));
        }
        Ok(())
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let value = map.next_value::<&RawValue>()?.get();
            json::check_depth(value)?;
            if value == "null" {
                continue;
            }
            match &*name {
                // What a machine of Google's runs is charged for by its tokens alone.
                "functionDeclarations"
                | "function_declarations"
                | "codeExecution"
                | "code_execution"
                | "computerUse"
                | "computer_use" => {}
                "googleSearch" | "google_search" | "googleSearchRetrieval" | "google_search_retrieval" => {
                    self.web_search = true;
                }
                "urlContext" | "url_context" | "fileSearch" | "file_search" | "mcpServers"
                | "mcp_servers" => self.fetches = true,
                _ => {
                    self.charged.get_or_insert_with(|| short(&name));
                }
            }
        }
        Ok(())
    }
}
