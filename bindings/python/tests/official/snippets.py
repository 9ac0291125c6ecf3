"""Runs the snippets of the README of Mixpanel's provider, with Mixpanel's package or with mpflags.

    snippets.py README mixpanel|mpflags [as-written]

Prints a JSON object: for each section of the README, the results of its snippet as Python writes them, or the error that it
ends with. For mpflags, only the imports change. Both packages get the host of a stand-in for Mixpanel. Mixpanel's configurations
have no `token`, so it is removed for that package, unless the snippets are to run as written.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import pathlib
import re
import sys
import tempfile
import typing
import warnings

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, OpenFeatureError
from openfeature.provider import FeatureProvider
from stand_in import StandIn, flag

Names = dict[str, typing.Any]

IMPORTS = {
    "from mixpanel_openfeature import": "from mpflags.openfeature import",
    "from mixpanel.flags.types import": "from mpflags import",
    "from mixpanel import": "from mpflags import",
}
# The snippets take the user from the API-level context, apart from the provider's own methods.
USER = {"distinct_id": "user-1"}
EVALUATED = "provider.resolve_boolean_details('my-feature', False, user).value"
ERROR = ["printed", "details.error_code.value", "details.reason.value", "details.error_message"]

QUICK_START = "Quick Start"
MIXPANEL = "Accessing the Underlying Mixpanel Instance"
NOT_READY = "PROVIDER_NOT_READY"
RECEIVED = "received"
#: By section: what the table shows, and the expressions to evaluate after the snippet. `printed` is what it printed.
SNIPPETS = {
    QUICK_START: ("value", ["show_new_feature"]),
    "Local Evaluation": ("value, from the provider itself", [EVALUATED]),
    "Remote Evaluation": (
        "value, at once after `set_provider`",
        ["api.set_provider(provider) or api.get_client().get_boolean_value('my-feature', False)"],
    ),
    "Using an Existing Mixpanel Instance": ("value, `provider.mixpanel`", [EVALUATED, "provider.mixpanel"]),
    "Basic Boolean Flag": ("value", ["is_feature_enabled"]),
    "Mixpanel Flag Types and OpenFeature Evaluation Methods": (
        "the five values",
        ["is_feature_on", "button_color", "max_items", "threshold", "feature_config"],
    ),
    "Getting Full Resolution Details": (
        "value, variant, reason, error code, flag metadata",
        [
            "details.value",
            "details.variant",
            "details.reason.value",
            "details.error_code",
            "dict(details.flag_metadata)",
        ],
    ),
    "Setting Context": (
        "value and reason, of a flag with a rule for `plan`",
        ["value", "client.get_boolean_details('premium-feature', False, context).reason.value"],
    ),
    MIXPANEL: (
        "results of `track`, `people_set` and `local_flags.is_enabled`, and what Mixpanel receives",
        [
            "mp.track('user-1', 'Signed up', {'plan': 'pro'}, meta={})",
            "mp.people_set('user-1', {'plan': 'pro'})",
            "mp.local_flags.is_enabled('my-feature', {'distinct_id': 'user-1'})",
        ],
    ),
    "Shutdown": ("value of an evaluation after it", ["client.get_boolean_value('my-feature', False)"]),
    "Async Exposure Tracking": ("warnings", ["warned"]),
    "All Properties Passed Directly": (
        "error code and message: the targeting key is not the user",
        [
            f"provider.resolve_boolean_details('my-feature', False, context).{name}"
            for name in ("error_code.value", "error_message")
        ],
    ),
    # The message is the SDK's own until the provider has reported the failure.
    NOT_READY: ("printed, error code, reason, while Mixpanel is down", ERROR[:3]),
    "FLAG_NOT_FOUND": ("printed, error code, reason, message", ERROR),
    "TYPE_MISMATCH": ("printed, error code, reason, message", ERROR),
}
#: These make a provider. The others continue where the Quick Start ends.
FACTORIES = (QUICK_START, "Local Evaluation", "Remote Evaluation", "Using an Existing Mixpanel Instance")

VALUES = {
    "new-feature-flag": True,
    "my-feature": True,
    "new-checkout": True,
    "button-color-test": "red",
    "max-items": 25,
    "score-threshold": 0.75,
    "homepage-layout": {"layout": "grid"},
    "premium-feature": True,
    "my-flag": "text",
}
PREMIUM = {"rollout_percentage": 1.0, "runtime_evaluation_rule": {"==": [{"var": "plan"}, "premium"]}}


def definitions() -> typing.Any:
    """The flags of the README, with every field that Mixpanel's package needs."""
    document = []
    for key, value in VALUES.items():
        served = flag(key, value, id=key, name=key, status="enabled", project_id=1)
        ruleset: typing.Any = served["ruleset"]
        ruleset["variants"][0]["is_control"] = False
        if key == "premium-feature":
            ruleset["rollout"] = [PREMIUM]
        document.append(served)
    return {"flags": document}


def blocks(readme: str) -> list[tuple[str, str, str]]:
    """The blocks of code: the section, the language, the text."""
    found, section = [], ""
    for title, language, code in re.findall(r"^#+ ([^\n]+)$|^```(\w+)\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL):
        section = title or section
        if language:
            found.append((section, language, code))
    return found


class Runner:
    def __init__(self, snippets: dict[str, str], package: str, as_written: bool, server: StandIn) -> None:
        self.snippets, self.package, self.as_written, self.server = snippets, package, as_written, server
        # Mixpanel's package always writes the scheme itself.
        self.host = server.url if package == "mpflags" else server.url.removeprefix("https://")

    def adapted(self, code: str, more: str) -> str:
        if self.package == "mpflags":
            for theirs, ours in IMPORTS.items():
                code = code.replace(theirs, ours)
        elif not self.as_written:
            code = code.replace('token="YOUR_PROJECT_TOKEN"', "")
        return re.sub(r"(?<=FlagsConfig\()", f"api_host={self.host!r}, {more}", code)

    def run(self, section: str, names: Names, more: str = "") -> Names:
        """Runs a snippet. `more` are arguments of its configurations."""
        output = io.StringIO()
        with contextlib.redirect_stdout(output), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            exec(compile(self.adapted(self.snippets[section], more), "README.md", "exec"), names)
        names["printed"] = output.getvalue().strip()
        names["warned"] = [str(warning.message) for warning in caught]
        return names

    def start(self, section: str = QUICK_START, more: str = "") -> Names:
        """Runs a snippet that makes a provider, with what the README's snippets use without importing it."""
        names: Names = {"api": api, "ErrorCode": ErrorCode, "EvaluationContext": EvaluationContext}
        return self.run(section, {**names, "user": EvaluationContext(attributes=USER)}, more)

    def section(self, section: str, quick: Names) -> list[str]:
        if section in FACTORIES:
            names = self.start(section)
        elif section == NOT_READY:
            self.server.fail_fetches("status", status=503)
            names = self.run(section, self.start(more="init_timeout_ms=300, " if self.package == "mpflags" else ""))
            self.server.heal()
        else:
            names = self.run(section, dict(quick))
        # Messages name the host.
        results = [
            repr(eval(expression, names)).replace(self.server.url.partition("//")[2], "api.mixpanel.com")
            for expression in SNIPPETS[section][1]
        ]
        if section == MIXPANEL:
            names["provider"].shutdown()
            results += sorted(repr(name) for name in self.sent("user-1"))
        return results

    def sent(self, user: str) -> list[str]:
        """The events and profile updates of a user, apart from exposures."""
        records = [event["json"] for event in self.server.events(at_least=1)["events"]]
        events = [record["event"] for record in records if record.get("properties", {}).get("distinct_id") == user]
        updates = [
            name for record in records if record.get("$distinct_id") == user for name in record if name == "$set"
        ]
        return [event for event in events if event != "$experiment_started"] + updates

    def received(self) -> dict[str, typing.Any]:
        """What Mixpanel receives of three evaluations of one flag."""
        names = self.start()
        for _ in range(3):
            names["client"].get_boolean_value(
                "my-feature", False, EvaluationContext(attributes={"distinct_id": "user-2"})
            )
        names["provider"].shutdown()
        arrived = [
            event
            for event in self.server.events(at_least=1)["events"]
            if event["json"].get("properties", {}).get("distinct_id") == "user-2"
        ]
        events = [event["json"]["properties"] for event in arrived]
        first = {name: events[0].get(name, "left out") for name in ("mp_lib", "$is_qa_tester", "$experiment_id")}
        latency = "Variant fetch latency (ms)"
        return {
            "exposures of three evaluations of one flag by one user": len(events),
            "requests with them": len({event["request"] for event in arrived}),
            **{f"`{name}` of an exposure": value for name, value in first.items()},
            f"`{latency}` of a local evaluation": "a number" if latency in events[0] else "left out",
        }

    def all(self) -> dict[str, typing.Any]:
        api.set_evaluation_context(EvaluationContext(attributes=USER))
        results: dict[str, typing.Any] = {}
        if self.as_written:
            for section in FACTORIES:
                try:
                    self.start(section)
                    results[section] = None
                except TypeError as error:
                    results[section] = str(error)
            return results
        for section in SNIPPETS:
            results[section] = self.section(section, self.start() if section not in FACTORIES else {})
        return results | {RECEIVED: self.received()}


def set_provider(provider: FeatureProvider) -> None:
    """`api.set_provider`, but returns once the provider is initialised.

    The SDK initialises providers of both packages on a thread of its own, so on a busy machine the next line of a snippet may
    come too early for either.
    """
    with contextlib.suppress(OpenFeatureError):
        api.set_provider_and_wait(provider)


def main(readme: str, package: str, *rest: str) -> None:
    logging.disable()
    api.set_provider = set_provider
    snippets = {
        section: code for section, language, code in blocks(pathlib.Path(readme).read_text()) if language == "python"
    }
    with tempfile.TemporaryDirectory() as folder:
        tls = []
        if package == "mixpanel":
            import mixpanel

            certificate = os.path.join(folder, "ca.pem")
            tls = ["--tls", "good", "--ca-file", certificate]
            os.environ |= {"SSL_CERT_FILE": certificate, "REQUESTS_CA_BUNDLE": certificate}
        with StandIn(definitions(), *tls) as server:
            runner = Runner(snippets, package, rest == ("as-written",), server)
            if package == "mixpanel":
                consumer = mixpanel.Consumer
                mixpanel.Consumer = lambda **options: consumer(api_host=runner.host, **options)
            print(json.dumps(runner.all()))
            api.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
