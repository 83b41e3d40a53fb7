"""`tastemaker plan upgrade`: what another encoder takes, and doing it."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tastemaker.core.errors import ConfigError
from tastemaker.core.home import Home

if TYPE_CHECKING:
    from tastemaker.jobs.upgrade_costs import Cost
    from tastemaker.jobs.upgrade_plan import Plan, PlannedStep

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def add_to(app: typer.Typer, core_hour_cents: Callable[[], float]) -> None:
    """Offer the verb.

    Args:
        app: Gets it.
        core_hour_cents: What a core costs for an hour, by the price list.
    """
    plans = typer.Typer(no_args_is_help=True, help="What a change takes, before it is made.")

    @plans.callback()
    def group() -> None:
        """A group of one verb stays a group."""

    @plans.command()
    def upgrade(
        model: Annotated[str, typer.Argument(help="encoder: what all vectors come from.")],
        bundle: Annotated[str, typer.Argument(help="Digest of the bundle that is to be live.")],
        environment: Annotated[str, typer.Option(help="Where.")] = "local",
        gates: Annotated[str, typer.Option(help="Preset of the gates' thresholds.")] = "default",
        execute: Annotated[bool, typer.Option("--execute", help="Do it; resumes.")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    ) -> None:
        """Say what must be rebuilt for another encoder, in order, and what it costs."""
        from tastemaker.jobs import upgrade_plan, upgrade_run

        if model != "encoder":
            raise ConfigError(
                f"model={model!r}: only another encoder needs a plan, everything else is promoted"
            )
        work = upgrade_run.run if execute else upgrade_plan.make
        plan = work(Home.open(), bundle, environment, gates)
        cents = core_hour_cents()
        typer.echo(json.dumps(body(plan, cents), indent=1) if as_json else text(plan, cents))

    app.add_typer(plans, name="plan", rich_help_panel="What is live")


def text(plan: "Plan", core_hour_cents: float) -> str:
    """The plan for people."""
    total, unknown = _total(plan)
    head = f"encoder {plan.encoder} in {plan.environment}: {plan.num_items} items"
    lines = [head, *(_line(n, step, core_hour_cents) for n, step in enumerate(plan.steps, 1))]
    if not plan.to_do:
        return "\n".join([*lines, "nothing is left to do: it is live"])
    lines.append(f"left: {len(plan.to_do)} steps, {_told(total, core_hour_cents)}")
    if unknown:
        lines.append(f"never measured in this home, and not in the sum: {', '.join(unknown)}")
    return "\n".join(lines)


def body(plan: "Plan", core_hour_cents: float) -> dict[str, object]:
    """The plan for programs."""
    total, unknown = _total(plan)
    cents = total.cpu_s / 3600 * core_hour_cents
    sums = {**asdict(total), "cents": round(cents, 6), "not_measured": unknown}
    return {**asdict(plan), "left": len(plan.to_do), "total": sums}


def _total(plan: "Plan") -> tuple["Cost", list[str]]:
    """Of all steps that are left, and those of which nothing is known."""
    from tastemaker.jobs.upgrade_costs import Cost

    known = [step.cost for step in plan.to_do if step.cost]
    seconds, cpu_s = sum(one.seconds for one in known), sum(one.cpu_s for one in known)
    total = Cost(seconds, cpu_s, sum(one.num_bytes for one in known))
    return total, [_name(step) for step in plan.to_do if step.cost is None]


def _line(number: int, step: "PlannedStep", core_hour_cents: float) -> str:
    if step.made:
        state = "live" if step.made == "live" else f"there: {step.made}"
    elif step.cost is None:
        state = "to do, never measured here"
    else:
        state = f"to do, {_told(step.cost, core_hour_cents)}"
    return f"{number:3}. {_name(step):24} {step.role:24} {state}"


def _name(step: "PlannedStep") -> str:
    return f"{step.step} {step.arguments['model']}" if step.step == "gate" else step.step


def _told(cost: "Cost", core_hour_cents: float) -> str:
    size = next(
        (f"{cost.num_bytes / n:.1f} {unit}" for n, unit in _UNITS if cost.num_bytes >= n),
        f"{cost.num_bytes} bytes",
    )
    long = f"{cost.seconds / 60:.1f} min" if cost.seconds >= 90 else f"{cost.seconds:.0f} s"
    cents = cost.cpu_s / 3600 * core_hour_cents
    return f"about {long}, {cost.cpu_s / 3600:.3g} core hours, {size}, {cents:.2g} cents"
