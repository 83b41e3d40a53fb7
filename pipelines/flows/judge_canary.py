"""Flow `judge_canary`: a canary gets more, becomes the stable one, or ends, by commit."""

from prefect import flow

from pipelines.flows.loop import PRESET, open_loop


@flow(name="judge_canary", timeout_seconds=600, retries=2, retry_delay_seconds=30)
def judge_canary(preset: str = PRESET) -> list[str]:
    """Judge every canary of the environment; what is decided is a commit, so it counts once."""
    from tastemaker.jobs import flow_canary

    with open_loop(preset) as loop:
        found = flow_canary.judge_all(loop.home, loop.engine, loop.config)
        for one in found:
            loop.say(one.text())
            if one.commit:
                details = {"model": one.trial.model, "decision": one.verdict.decision}
                loop.tell("judged", {**details, "commit": one.commit})
        if not found:
            loop.say("no canary runs; nothing to do")
    return [one.text() for one in found]
