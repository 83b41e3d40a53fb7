"""Run one flow now: `python -m pipelines.flows.run NAME [KEY=VALUE ...]`.

With a Prefect server it is a flow run there; without one the plain function is called.
"""

import argparse
import json
import sys
from typing import Any

from pipelines.flows.deployments import PLANS
from pipelines.flows.loop import call
from tastemaker.core.errors import ConfigError, TastemakerError

FLOWS = {plan.flow.name: plan.flow for plan in PLANS}


def main(arguments: list[str]) -> int:
    """Returns 2 where the flow says what a person can mend."""
    parser = argparse.ArgumentParser(prog="pipelines.flows.run", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("parameters", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_args(arguments)
    try:
        call(_flow(given.name), **dict(_parameter(text) for text in given.parameters))
    except TastemakerError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _flow(name: str) -> Any:
    if name not in FLOWS:
        raise ConfigError(f"no flow {name!r}; the flows are: {', '.join(FLOWS)}")
    return FLOWS[name]


def _parameter(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"a parameter is KEY=VALUE, got {text!r}")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
