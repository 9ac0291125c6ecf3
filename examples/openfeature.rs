//! Evaluates two flags for a user, through OpenFeature's client.
//!
//!     cargo run --features openfeature --example openfeature -- YOUR_PROJECT_TOKEN [API_HOST]
#![allow(clippy::print_stdout, reason = "an example prints what it got")]

use std::error::Error;
use std::time::Duration;

use mpflags::{Config, MixpanelProvider};
use open_feature::{EvaluationContext, EvaluationContextFieldValue, OpenFeature, StructValue};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let token = arguments.next().ok_or("usage: openfeature TOKEN [API_HOST]")?;
    run(&token, &arguments.next().unwrap_or_else(|| "api.mixpanel.com".to_owned())).await
}

pub(crate) async fn run(token: &str, api_host: &str) -> Result<(), Box<dyn Error>> {
    let provider = MixpanelProvider::new(Config::builder(token).api_host(api_host).build()?)?;
    let mixpanel = provider.client().clone();
    OpenFeature::singleton_mut().await.set_provider(provider).await;
    // set_provider does not wait for the first definitions. This does, on a thread that may block.
    let client = mixpanel.clone();
    tokio::task::spawn_blocking(move || client.wait_ready(Duration::from_secs(10))).await??;

    let flags = OpenFeature::singleton().await.create_client();
    let properties = StructValue::default().with_field("plan", "premium").with_field("country", "FR");
    let user = EvaluationContext::default()
        .with_custom_field("distinct_id", "user-1")
        .with_custom_field("custom_properties", EvaluationContextFieldValue::new_struct(properties));

    // This SDK does not pass the default to providers: an evaluation without a value is an error.
    let chat = flags.get_bool_value("premium-chat", Some(&user), None).await.unwrap_or(false);
    println!("premium-chat: {}", if chat { "on" } else { "off" });

    match flags.get_string_details("button-color", Some(&user), None).await {
        Ok(color) => {
            println!("button-color: {}, variant {:?}, {:?}", color.value, color.variant, color.reason)
        }
        Err(error) => println!("button-color: the default ({}: {:?})", error.code, error.message),
    }

    // Delivers the exposures and ends the threads. The SDK keeps providers in a static, which is never dropped.
    tokio::task::spawn_blocking(move || mixpanel.shutdown(Duration::from_secs(5))).await??;
    Ok(())
}
