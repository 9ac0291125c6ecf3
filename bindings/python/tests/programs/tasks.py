"""Tasks of Celery. MIXPANEL is the server, QUEUE a folder for the messages."""

import os

from celery import Celery

from mpflags import Client

queue = os.environ["QUEUE"]
app = Celery("tasks", broker="filesystem://", backend=f"file://{queue}/results")
app.conf.update(
    broker_transport_options={
        "data_folder_in": f"{queue}/in",
        "data_folder_out": f"{queue}/in",
        "control_folder": f"{queue}/control",
    },
    broker_connection_retry_on_startup=True,
)
client = Client.local("token", api_host=os.environ["MIXPANEL"])


@app.task
def evaluate(user):
    # All greenlets get here at once: the first one starts the client, and all of them wait.
    client.start_polling_for_definitions()
    return client.is_enabled("steady", {"distinct_id": user})
