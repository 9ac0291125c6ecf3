//! Remote evaluation, by the core itself, so that local and remote clients get the same variant.

use std::collections::BTreeMap;
use std::str;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mpflags::{Client, Config, Context, EvaluateOptions, Evaluation};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::lock::lock;

/// A client with the definitions of the last request, reused while they stay the same.
#[derive(Default)]
pub(crate) struct Remote {
    held: Mutex<Option<(Bytes, Arc<Client>)>>,
    context: ContextForm,
}

/// The form of the contexts that a client gets.
#[derive(Clone, Copy, Default)]
pub(crate) enum ContextForm {
    /// As Mixpanel has it.
    #[default]
    Mixpanel,
    /// As OpenFeature has it: a targeting key, and attributes at the top.
    OpenFeature,
}

/// A flag in a response.
#[derive(Serialize)]
pub(crate) struct Assignment {
    variant_key: String,
    variant_value: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    experiment_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_experiment_active: Option<bool>,
    is_qa_tester: bool,
}

pub(crate) type Assignments = BTreeMap<String, Assignment>;

impl Remote {
    pub(crate) fn new(context: ContextForm) -> Self {
        Self { held: Mutex::default(), context }
    }

    /// Fails if the document is not definitions. A malformed flag is merely left out.
    pub(crate) fn client(&self, document: Bytes) -> Result<Arc<Client>, String> {
        let mut held = lock(&self.held);
        if let Some((of, client)) = held.as_ref()
            && *of == document
        {
            return Ok(Arc::clone(client));
        }
        let client = client_for(&document, self.context)?;
        let client = Arc::new(client);
        *held = Some((document, Arc::clone(&client)));
        Ok(client)
    }
}

/// A client with these definitions. Never started, so it opens no connection, starts no thread and sends no event.
pub(crate) fn client(document: &[u8]) -> Result<Client, String> {
    client_for(document, ContextForm::Mixpanel)
}

fn client_for(document: &[u8], context: ContextForm) -> Result<Client, String> {
    let form = match context {
        ContextForm::Mixpanel => "",
        ContextForm::OpenFeature => {
            r#""targeting_key_as": "distinct_id", "attributes_as_custom_properties": true,"#
        }
    };
    let text = str::from_utf8(document).map_err(|error| format!("definitions: {error}"))?;
    let config = format!(
        r#"{{"token": "mpflags-dev", "api_host": "http://127.0.0.1:1", "enable_polling": false, "report_exposures": false,
            {form} "definitions": {text}}}"#
    );
    Config::from_json(&config).and_then(Client::new).map_err(|error| error.to_string())
}

/// The flags that the user has a variant of, or `flag_key` alone. Fails if the context cannot be read.
pub(crate) fn evaluate(
    client: &Client,
    context: &str,
    flag_key: Option<&str>,
) -> Result<Assignments, mpflags::Error> {
    let context = Context::from_json(context)?;
    let evaluations = match flag_key {
        Some(key) => vec![client.evaluate(key, &context, EvaluateOptions::new())],
        None => client.evaluate_all(&context, EvaluateOptions::new()).as_slice().to_vec(),
    };
    Ok(evaluations.iter().filter_map(assignment).collect())
}

fn assignment(evaluation: &Evaluation) -> Option<(String, Assignment)> {
    let assignment = Assignment {
        variant_key: evaluation.variant()?.to_owned(),
        variant_value: RawValue::from_string(evaluation.json()?.to_owned()).ok()?,
        experiment_id: evaluation.experiment_id().map(str::to_owned),
        is_experiment_active: evaluation.is_experiment_active(),
        is_qa_tester: evaluation.is_qa_tester(),
    };
    Some((evaluation.key().to_owned(), assignment))
}
