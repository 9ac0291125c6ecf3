"""The modules that Mixpanel's tests import, with mpflags in place of Mixpanel's package."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import pathlib
import sys
import types
from dataclasses import replace

import httpx
import wire

import mpflags
import mpflags.openfeature


class Provider(mpflags.Client):
    """mpflags' client with the constructor of Mixpanel's flags providers, and a server on loopback in place of Mixpanel.

    Mixpanel's tests look for an exposure as soon as a call has returned, so these calls deliver the queue before they return.
    Where a test reads or replaces something private, it gets what the client really sends.
    """

    def __init__(self, token, config, version, tracker, credentials=None):
        self._traffic = wire.Traffic(tracker, self._fetched)
        self._loop = None
        options = {"init_timeout_ms": 500}
        super().__init__(replace(config, api_host=self._traffic.host, credentials=credentials, options=options), token)

    def get_variant(self, *arguments, **named):
        try:
            return super().get_variant(*arguments, **named)
        finally:
            self.flush()

    def get_variant_value(self, *arguments):
        try:
            return super().get_variant_value(*arguments)
        finally:
            self.flush()

    def track_exposure_event(self, *arguments):
        super().track_exposure_event(*arguments)
        self.flush()

    async def astart_polling_for_definitions(self):
        self._loop = asyncio.get_running_loop()
        await super().astart_polling_for_definitions()

    # Mixpanel's two tests of polling replace these, to count the fetches.

    def _fetch_flag_definitions(self):
        pass

    async def _afetch_flag_definitions(self):
        pass

    def _fetched(self):
        if self._loop is None:
            self._fetch_flag_definitions()
        elif not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._afetch_flag_definitions(), self._loop)

    # The HTTP client, and the query of its requests.

    def _request(self):
        if not self._traffic.requests:
            if self.is_local:
                self.start_polling_for_definitions()
            else:
                self.get_all_variants({"distinct_id": "user"})
        return self._traffic.requests[-1]

    @property
    def _sync_client(self):
        _, headers = self._request()
        auth = httpx.BasicAuth("", "") if headers["Authorization"].startswith("Basic ") else None
        return types.SimpleNamespace(auth=auth, is_closed=self._traffic.is_closed())

    _async_client = _sync_client

    @property
    def _request_params(self):
        return self._request()[0]

    _request_params_base = _request_params

    @property
    def _project_id(self):
        return self._request_params.get("project_id")

    def _prepare_query_params(self, context, flag_key=None):
        if flag_key is None:
            self.get_all_variants(context)
        else:
            self.get_variant_value(flag_key, None, context)
        query, _ = self._traffic.requests[-1]
        # With the white space that Python's `json` writes.
        return {**query, "context": json.dumps(json.loads(query["context"]))}


def _module(name, path=None, **members):
    module = types.ModuleType(name)
    if path is not None:
        module.__path__ = path
    vars(module).update(members)
    sys.modules[name] = module


def install():
    """Puts the modules into `sys.modules`. Returns the folder of Mixpanel's package that has its tests of flags."""
    folder = pathlib.Path(importlib.util.find_spec("mixpanel").origin).parent / "flags"
    # Only the classes that make a definitions document or a response are Mixpanel's.
    spec = importlib.util.spec_from_file_location("mixpanel_types", folder / "types.py")
    documents = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = documents
    spec.loader.exec_module(documents)
    ours = ("FallbackReason", "LocalFlagsConfig", "RemoteFlagsConfig", "SelectedVariant", "VariantSource")
    theirs = ("ExperimentationFlag", "ExperimentationFlags", "FlagTestUsers", "RemoteFlagsResponse", "Rollout")
    theirs += ("RuleSet", "Variant", "VariantOverride")
    _module("mixpanel", path=[])
    _module("mixpanel.credentials", ServiceAccountCredentials=mpflags.ServiceAccountCredentials)
    _module("mixpanel.flags", path=[str(folder)])
    _module(
        "mixpanel.flags.types",
        **{name: getattr(mpflags, name) for name in ours},
        **{name: getattr(documents, name) for name in theirs},
    )
    _module("mixpanel.flags.local_feature_flags", LocalFeatureFlagsProvider=Provider)
    _module("mixpanel.flags.remote_feature_flags", RemoteFeatureFlagsProvider=Provider)
    # Some tests patch it, without effect: Mixpanel's package imports the function by name.
    _module("mixpanel.flags.utils", normalized_hash=None)
    _module("mixpanel_openfeature", MixpanelProvider=mpflags.openfeature.MixpanelProvider)
    sys.modules["respx"] = wire.respx
    return folder
