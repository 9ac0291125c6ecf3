//! Two flags for a user, through OpenFeature's client.
//!
//!     cargo run --features openfeature --example openfeature -- YOUR_PROJECT_TOKEN

use std::error::Error;
use std::time::Duration;

use mpflags::MixpanelProvider;
use open_feature::{EvaluationContext, EvaluationContextFieldValue, OpenFeature, StructValue};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let token = std::env::args().nth(1).ok_or("usage: openfeature TOKEN [OPTIONS]")?;
    run(&token, &std::env::args().nth(2).unwrap_or_default()).await
}

pub(crate) async fn run(token: &str, options: &str) -> Result<(), Box<dyn Error>> {
    let provider = MixpanelProvider::local(token, options)?;
    let mixpanel = provider.client().clone();
    OpenFeature::singleton_mut().await.set_provider(provider).await;
    // Registering a provider does not wait for its first definitions. This does, on a thread that may.
    let client = mixpanel.clone();
    tokio::task::spawn_blocking(move || client.wait_ready(Duration::from_secs(10))).await??;

    let flags = OpenFeature::singleton().await.create_client();
    let properties = StructValue::default().with_field("plan", "premium").with_field("country", "FR");
    let user = EvaluationContext::default()
        .with_custom_field("distinct_id", "user-1")
        .with_custom_field("custom_properties", EvaluationContextFieldValue::new_struct(properties));

    // The default is the program's: this SDK hands none on, so whatever has no value is an error.
    let chat = flags.get_bool_value("premium-chat", Some(&user), None).await.unwrap_or(false);
    println!("premium-chat: {}", if chat { "on" } else { "off" });

    match flags.get_string_details("button-color", Some(&user), None).await {
        Ok(color) => {
            println!("button-color: {}, variant {:?}, {:?}", color.value, color.variant, color.reason)
        }
        Err(error) => println!("button-color: the default ({}: {:?})", error.code, error.message),
    }

    // Delivers the exposures and ends the threads. The SDK keeps providers in a static, which nothing drops.
    tokio::task::spawn_blocking(move || mixpanel.shutdown(Duration::from_secs(5))).await??;
    Ok(())
}
