"""Does a user's next recommendation follow what they just saved, without any training?

    python -m benchmarks.personalisation [URL]        (with `make up` running; 5 minutes)

For each of 100 simulated users: the style that they show least of is drawn among those with
enough items; "something for me" is asked, three items of that style are saved
(`POST /api/events`), and it is asked again in the same conversation: the very next turn. The gain
is the share of the style among the items shown after, minus before. Control: the same with saves
of three items of other styles, made first. Intervals: bootstrap over users, 95 %. Everything runs
through the gateway: features, recommender, router. The saves stay in the home's log of events.
"""

import sys

import httpx
import numpy as np

from benchmarks.rows import row, save
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.core.home import Home
from tastemaker.core.progress import track

COMMAND = "python -m benchmarks.personalisation"
USERS, SAVES, MIN_ITEMS, SEED = 100, 3, 20, 17
QUESTION = "something for me"


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8400"
    catalogue = Catalogue.live(Home.open(), "local")
    by_style: dict[str, list[str]] = {}
    for item in catalogue.items:
        if style := item.attributes.get("style"):
            by_style.setdefault(style, []).append(item.item_id)
    by_style = {style: ids for style, ids in by_style.items() if len(ids) >= MIN_ITEMS}
    if len(by_style) < 2:
        raise SystemExit(f"the catalogue has {len(by_style)} styles of {MIN_ITEMS} items or more")
    style_of = {item.item_id: item.attributes.get("style", "") for item in catalogue.items}
    users = sorted(set(catalogue.dataset.read("events", ["user_id"])["user_id"].to_pylist()))
    rng = np.random.default_rng(SEED)
    drawn = rng.choice(len(users), min(USERS, len(users)), replace=False)
    gains: dict[str, list[float]] = {"style": [], "control": []}
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        for place in track(drawn, "users", len(drawn)):
            user = users[place]
            known = http.get(f"/api/users/{user}").raise_for_status().json()["styles"]
            new = min(sorted(by_style), key=lambda style: known.get(style, 0.0))
            own = rng.choice(by_style[new], SAVES, replace=False).tolist()
            others = [i for style, ids in by_style.items() if style != new for i in ids]
            any_style = rng.choice(others, SAVES, replace=False).tolist()
            for kind, saved in (("control", any_style), ("style", own)):
                gains[kind].append(_gain(http, user, saved, new, style_of))
    _report(gains)


def _gain(
    http: httpx.Client, user: str, saved: list[str], style: str, style_of: dict[str, str]
) -> float:
    """Share of the style after the saves minus before; the user's history stays with both."""
    before, conversation = _share(http, user, None, style, style_of)
    events = [{"item_id": item_id, "action": "save"} for item_id in saved]
    body = {"user": user, "conversation": conversation, "events": events}
    taken = http.post("/api/events", json=body).raise_for_status().json()
    assert taken == {"accepted": len(saved), "pushed": True}, taken
    after, _ = _share(http, user, conversation, style, style_of)
    return after - before


def _share(
    http: httpx.Client, user: str, conversation: str | None, style: str, style_of: dict[str, str]
) -> tuple[float, str]:
    body = {
        "messages": [{"role": "user", "content": QUESTION}],
        "user": user,
        "tastemaker": {"conversation": conversation},
    }
    ours = http.post("/v1/chat/completions", json=body).raise_for_status().json()["tastemaker"]
    shown = [style_of[item["item_id"]] for item in ours["items"]]
    assert shown, ours
    return shown.count(style) / len(shown), str(ours["conversation"])


def _report(gains: dict[str, list[float]]) -> None:
    rng = np.random.default_rng(SEED)
    rows = []
    means = {kind: float(np.mean(values)) for kind, values in gains.items()}
    style = np.array(gains["style"])
    resampled = rng.choice(style, (10_000, len(style))).mean(1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    print(
        f"gain {means['style']:+.3f} (95 %: {low:+.3f} to {high:+.3f}), "
        f"control {means['control']:+.3f}"
    )
    figures = (("", means["style"], means["control"]), (", 95 % low", float(low), None))
    for label, value, baseline in (*figures, (", 95 % high", float(high), None)):
        rows.append(
            row(
                f"style_share_gain{label}, {len(style)} users",
                value,
                baseline=baseline,
                goal=0.0 if label == ", 95 % low" else None,
                unit="fraction",
                seeds=1,
                command=COMMAND,
            )
        )
    save("personalisation", rows)


if __name__ == "__main__":
    main()
