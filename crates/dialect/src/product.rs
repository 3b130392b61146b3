//! What a call makes that is no text: how much of it, as far as the request alone says.

use domain::Usage;

/// How an image is to look, as far as that is named and not left to the model: its price may depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Such as `1024x1024`, or `2k`.
    pub size: Option<String>,
    /// Such as `hd`.
    pub quality: Option<String>,
}

/// What one call has made. Nothing of it for chats and their like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Product {
    /// How images are to look, of calls for some.
    pub(crate) look: Option<Box<Look>>,
    /// Images.
    pub(crate) images: u64,
    /// The output tokens that one image is reckoned at where the provider does not tell them.
    pub(crate) image_tokens: u64,
    /// The most output tokens of each choice, of all sorts. The request decides, and no cap lowers it.
    pub(crate) output_tokens: u64,
}

impl Product {
    /// What of it an answer's images come to, in tokens that nobody counted.
    pub(crate) const fn reckoned(&self, images: u64) -> Usage {
        let mut usage = Usage::from_counts([0; Usage::NAMES.len()]);
        usage.image_output = self.image_tokens.saturating_mul(images);
        usage
    }
}
