import os

from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from mpflags import LocalFlagsConfig
from mpflags.openfeature import MixpanelProvider

config = LocalFlagsConfig(api_host="api.mixpanel.com")
api.set_provider(MixpanelProvider.from_local_config(os.environ["MPFLAGS_TOKEN"], config))
flags = api.get_client()
user = EvaluationContext(attributes={"distinct_id": "user-1", "custom_properties": {"plan": "premium"}})

if flags.get_boolean_value("new-checkout", False, user):
    print("the new checkout")

api.shutdown()  # sends the exposure
