import json

import pyarrow as pa

from tastemaker.data.themed_boards import themed_boards


def items(rows: list[dict[str, str]]) -> pa.Table:
    return pa.table(
        {
            "item_id": [f"i{n:02d}" for n in range(len(rows))],
            "category": [row.pop("category", "") for row in rows],
            "attributes": [json.dumps(row) for row in rows],
        }
    )


def test_items_of_a_board_share_its_theme() -> None:
    table = items(
        [
            {"category": c, "color": color, "code": f"{c}{color}{n}"}
            for c in ("lamp", "rug")
            for color in ("red", "blue")
            for n in range(6)
        ]
    )
    by_id = dict(zip(table["item_id"].to_pylist(), table.to_pylist(), strict=True))
    boards = themed_boards(table, 10)
    assert len(boards) == 4  # 2 categories x 2 colours; the codes name items, not themes
    for board in boards:
        category, color = board.title.lower().split()
        assert len(board.items) >= 4
        for item in board.items:
            assert by_id[item]["category"] == category
            assert json.loads(by_id[item]["attributes"])["color"] == color


def test_a_catalogue_without_attributes_has_no_themes() -> None:
    assert themed_boards(items([{} for _ in range(9)]), 10) == ()
