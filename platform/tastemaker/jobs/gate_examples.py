"""What a case looks like: for the cases that the live bundle did and the candidate does not."""

from collections.abc import Mapping
from dataclasses import dataclass

from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.evaluation.cases import Cases
from tastemaker.router.dialogue_files import Dialogue, open_dialogues

SHOWN = 8
HISTORY = 6  # pictures of a user's last items


@dataclass(frozen=True)
class Lost:
    """A case that went worse than with the live bundle, or went wrong where nothing is live."""

    metric: str
    case: str
    ours: float
    theirs: float | None


def worst(ours: Cases, theirs: Cases | None, metrics: list[str]) -> list[Lost]:
    """Some cases of each metric, those that lost most first."""
    found = []
    for metric in metrics:
        mine, live = ours.get(metric, {}), (theirs or {}).get(metric, {})
        lost = [
            Lost(metric, case, value, live.get(case))
            for case, value in mine.items()
            if value < live.get(case, 1.0 if theirs is None else value)
        ]
        lost.sort(key=lambda one: one.ours - (1.0 if one.theirs is None else one.theirs))
        found += lost[: max(2, SHOWN // max(1, len(metrics)))]
    return found[: 2 * SHOWN]


def pictures(
    home: Home, family: str, dataset: str, lost: list[Lost]
) -> list[tuple[str, list[bytes]]]:
    """A row a case: its words, and pictures of its items.

    Args:
        home: Where everything lives.
        family: encoder, index or sequence.
        dataset: Dataset version of the cases.
        lost: Which.
    """
    data = load_dataset(home, dataset)
    table = data.read("items", ["item_id", "title", "image"]).to_pydict()
    title = dict(zip(table["item_id"], table["title"], strict=True))
    image = dict(zip(table["item_id"], table["image"], strict=True))
    users = _last_items(home, dataset, lost) if family == "sequence" else {}
    rows = []
    for one in lost:
        items = users.get(one.case) or [_item(one.case)]
        known = [item for item in items if item in image]
        words = f"{one.case}: then {title[known[-1]]}" if users and known else _words(one, title)
        rows.append((f"{one.metric} - {words} ({_change(one)})", [image[item] for item in known]))
    return rows


def calls(home: Home, dialogues: str, lost: list[Lost]) -> list[dict[str, str]]:
    """Rows of a table: what was said, and the call that was wanted."""
    read = open_dialogues(home.fetch("dialogues", dialogues)).read("test")
    return [{"metric": one.metric, **_call(read, one.case), "was": _change(one)} for one in lost]


def _call(read: list[Dialogue], case: str) -> dict[str, str]:
    number, _, call = case.partition(".")
    turns = read[int(number)].turns
    places = [place for place, turn in enumerate(turns) if turn.role == "assistant"]
    place = places[int(call)]
    before = turns[place - 1].text or "a tool's result"
    return {"after": before, "wanted": f"{turns[place].name} {turns[place].arguments}"}


def _item(case: str) -> str:
    """An item's own case, or the hidden item of `board/item`."""
    return case.rpartition("/")[2].partition("#")[0]


def _words(one: Lost, title: Mapping[str, str]) -> str:
    return title.get(_item(one.case), one.case)


def _change(one: Lost) -> str:
    return f"{one.theirs:g} to {one.ours:g}" if one.theirs is not None else f"{one.ours:g}"


def _last_items(home: Home, dataset: str, lost: list[Lost]) -> dict[str, list[str]]:
    """The last positive items of each user that is shown; the last one is the target."""
    from tastemaker.sequence.histories import POSITIVE

    events = load_dataset(home, dataset).read("events", ["user_id", "item_id", "action", "time"])
    wanted = {one.case for one in lost}
    found: dict[str, list[str]] = {}
    for event in events.sort_by("time").to_pylist():
        if event["user_id"] in wanted and event["action"] in POSITIVE:
            found.setdefault(event["user_id"], []).append(event["item_id"])
    return {user: items[-HISTORY - 1 :] for user, items in found.items()}
