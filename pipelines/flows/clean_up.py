"""Flow `clean_up`: what nobody references any more goes, its cache entry with it."""

from prefect import flow

from pipelines.flows.loop import PRESET, open_loop


@flow(name="clean_up", timeout_seconds=3600)
def clean_up(preset: str = PRESET, dry_run: bool = False) -> list[str]:
    """Remove, or say what would be; a second run finds nothing."""
    from tastemaker.jobs import retention

    with open_loop(preset) as loop:
        gone = retention.clean_up(loop.home, loop.config, dry_run=dry_run)
        for line in gone:
            loop.say(f"{'would remove' if dry_run else 'removed'} {line}")
        loop.say(f"{len(gone)} things{' would go' if dry_run else ' removed'}")
    return gone
