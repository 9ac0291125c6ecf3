"""A definitions document, the flag in it that is evaluated, and what its definition alone decides."""
import json
from dataclasses import dataclass
from functools import cached_property

from model import faults


@dataclass
class Document:
    kind: str
    text: str
    key: str
    contexts: list
    # Typed evaluations through OpenFeature, as pairs of type and context: one for each context, or none at all.
    reads: list
    # Whether the Python SDK can read the flag. Set by rows.py.
    complete: bool = None

    @cached_property
    def flags(self):
        return json.loads(self.text)["flags"]

    @cached_property
    def place(self):
        """The index of the flag, None without one. Of two flags with the same key the later counts."""
        found = [i for i, flag in enumerate(self.flags) if isinstance(flag, dict) and flag.get("key") == self.key]
        return found[-1] if found else None

    @cached_property
    def flag(self):
        return None if self.place is None else self.flags[self.place]

    @cached_property
    def flag_text(self):
        return json.dumps(self.flag)

    @cached_property
    def faults(self):
        return faults(self.flag)

    @cached_property
    def outcome(self):
        """The outcome for every user, None if it depends on the context."""
        if self.flag is None:
            return "not_found"
        if self.faults:
            return "malformed"
        return "disabled" if self.flag.get("status") in ("disabled", "archived") else None

    @cached_property
    def has_conditions(self):
        """Counts empty ones: the SDKs do not agree on whether they are conditions."""
        fields = ("runtime_evaluation_rule", "runtime_evaluation_definition")
        return any(group.get(field) is not None for group in self.flag["ruleset"]["rollout"] for field in fields)

    @cached_property
    def has_capitals(self):
        """Both SDKs differ from mpflags in the same way here, by a row marked †, so their agreement proves nothing."""
        groups = self.flag["ruleset"]["rollout"]
        return any(name != name.lower() for group in groups for name in group.get("runtime_evaluation_definition") or {})
