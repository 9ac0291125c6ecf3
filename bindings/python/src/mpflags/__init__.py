"""Evaluates Mixpanel feature flags in process: `Client` without OpenFeature, `mpflags.openfeature.MixpanelProvider` with it."""

from ._native import EvaluatedTable, version
from .abi import Item
from .client import Client
from .config import VERSION, FlagsConfig, LocalFlagsConfig, RemoteFlagsConfig, ServiceAccountCredentials
from .context import Context
from .errors import (
    BackendError,
    Closed,
    CredentialsRefused,
    InvalidArgument,
    InvalidConfig,
    InvalidContext,
    InvalidDefinitions,
    LibraryError,
    MpflagsError,
    QueueFull,
    SystemFailure,
    Timeout,
)
from .mixpanel import Mixpanel, MixpanelException
from .variants import FallbackReason, SelectedVariant, VariantSource

__version__ = VERSION

__all__ = [
    "BackendError",
    "Client",
    "Closed",
    "Context",
    "CredentialsRefused",
    "EvaluatedTable",
    "FallbackReason",
    "FlagsConfig",
    "InvalidArgument",
    "InvalidConfig",
    "InvalidContext",
    "InvalidDefinitions",
    "Item",
    "LibraryError",
    "LocalFlagsConfig",
    "Mixpanel",
    "MixpanelException",
    "MpflagsError",
    "QueueFull",
    "RemoteFlagsConfig",
    "SelectedVariant",
    "ServiceAccountCredentials",
    "SystemFailure",
    "Timeout",
    "VariantSource",
    "__version__",
    "version",
]
