//! What providers at Google's Vertex AI are told.

use dialect::Endpoint;

use super::*;

/// All of a key file but a key.
const KEY_FILE: &str =
    r#"{"type":"service_account","client_email":"a@p.iam.gserviceaccount.com","private_key":"s3cret"}"#;

fn written(kind: &str, lines: &str) -> Result<String, ConfigErrors> {
    let environment = Environment::from([
        ("KEY", "s3cret"),
        ("ACCOUNT", KEY_FILE),
        ("USER", r#"{"type":"authorized_user","client_secret":"s3cret"}"#),
        ("GCE_METADATA_HOST", "127.0.0.1:1"),
    ]);
    let text = format!(
        "[[providers]]\nname = 'a'\nkind = '{kind}'\n{lines}\n[providers.contract]\n{CONTRACT}\
         [[routes]]\nmodel = 'm'\ntargets = [{{ provider = 'a', model = 'x@1' }}]\n"
    );
    Config::parse(&text, &environment, TODAY.parse().unwrap()).map(|config| {
        let provider = Arc::clone(&config.routes[0].targets[0].provider);
        assert!(!format!("{provider:?}").contains("s3cret"));
        let endpoint = provider.outbound(Endpoint::Messages).unwrap();
        provider.address(endpoint, "x@1", true).unwrap().to_string()
    })
}

const PLACE: &str = "project = 'p-1'\nlocation = 'europe-west1'";
const METADATA: &str = "credential = 'metadata'";

#[test]
fn they_are_told_a_project_a_location_and_one_credential() {
    let folder = "/projects/p-1/locations/europe-west1/publishers";
    for (kind, lines, address) in [
        (
            "vertex",
            format!("{PLACE}\n{METADATA}"),
            format!(
                "https://europe-west1-aiplatform.googleapis.com/v1{folder}/google/models/x@1:streamGenerateContent?alt=sse"
            ),
        ),
        (
            "vertex-anthropic",
            format!("{PLACE}\n{METADATA}"),
            format!(
                "https://europe-west1-aiplatform.googleapis.com/v1{folder}/anthropic/models/x@1:streamRawPredict"
            ),
        ),
        (
            "vertex",
            format!("{PLACE}\napi_key = 'env:KEY'\nbase_url = 'http://127.0.0.1:1/v1'"),
            format!("http://127.0.0.1:1/v1{folder}/google/models/x@1:streamGenerateContent?alt=sse"),
        ),
        (
            "vertex",
            "api_key = 'env:KEY'".to_owned(),
            "https://aiplatform.googleapis.com/v1/publishers/google/models/x@1:streamGenerateContent?alt=sse"
                .to_owned(),
        ),
    ] {
        assert_eq!(written(kind, &lines), Ok(address), "{lines}");
    }
}

#[test]
fn what_is_missing_or_out_of_place_is_named_with_what_to_do() {
    for (kind, lines, mistakes) in [
        (
            "vertex",
            String::new(),
            vec![
                "project: is missing; name the project",
                "location: is missing; name where",
                "service_account: is missing; give the key file of a service account, such as \"file:/run/secrets/vertex.json\", \
                 or credential = \"metadata\" on a machine of Google's, or an api_key",
            ],
        ),
        (
            "vertex-anthropic",
            "api_key = 'env:KEY'".to_owned(),
            vec!["project: is missing", "location: is missing", "api_key: is out of place; these models"],
        ),
        ("vertex", format!("project = 'p'\n{METADATA}"), vec!["location: is missing"]),
        ("vertex", format!("{PLACE}\n{METADATA}\napi_key = 'env:KEY'"), vec!["api_key: stands beside"]),
        (
            "vertex",
            format!("{PLACE}\n{METADATA}\nservice_account = 'env:ACCOUNT'"),
            vec![
                "credential: stands beside",
                "service_account: the key's `private_key` is no RSA key in PEM",
            ],
        ),
        (
            "vertex",
            format!("{PLACE}\ncredential = 'adc'"),
            vec!["credential: must be \"metadata\", is \"adc\""],
        ),
        (
            "vertex",
            format!("{PLACE}\nservice_account = 's3cret'"),
            vec!["service_account: must be a reference"],
        ),
        (
            "vertex",
            format!("{PLACE}\nservice_account = 'env:NONE'"),
            vec!["service_account: the environment variable NONE is not set"],
        ),
        (
            "vertex",
            format!("{PLACE}\nservice_account = 'env:KEY'"),
            vec!["service_account: the text is no JSON"],
        ),
        (
            "vertex",
            format!("{PLACE}\nservice_account = 'env:USER'"),
            vec!["service_account: the key is of type `authorized_user`"],
        ),
        (
            "vertex",
            format!("project = 'P 1'\nlocation = 'global'\n{METADATA}"),
            vec!["project: `P 1` is no project's id"],
        ),
        (
            "vertex",
            format!("project = 'p'\nlocation = 'EU'\n{METADATA}"),
            vec!["location: `EU` is no location of Google Cloud"],
        ),
        (
            "gemini",
            format!("{PLACE}\n{METADATA}"),
            vec!["project: is out of place", "location: is out of place", "credential: is out of place"],
        ),
        ("vertex", format!("{PLACE}\n{METADATA}\nregion = 'r'"), vec!["region: is out of place"]),
    ] {
        let errors = written(kind, &lines).unwrap_err().0;
        for mistake in &mistakes {
            assert!(
                errors.iter().any(|error| error.starts_with(&format!("providers[0].{mistake}"))),
                "{mistake}\nnot in {errors:#?}"
            );
        }
        let own = errors.iter().filter(|error| error.starts_with("providers[0]")).count();
        assert_eq!(own, mistakes.len(), "{errors:#?}");
        assert!(!errors.concat().contains("s3cret"), "{errors:#?}");
    }
}
