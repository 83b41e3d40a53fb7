from pathlib import Path

import pyarrow as pa
import pytest

from tastemaker.core.errors import DataError, NotFound
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, load_dataset, table_digest, write_table


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_version_reads_back_in_order(home: Home) -> None:
    rows = pa.table({"item_id": ["b", "a", "c"], "n": [1, 2, 3]})
    digest = Dataset(home, "x", {"items": write_table(home, "items", rows)}, notes={"k": 1}).save()
    found = load_dataset(home, digest)
    assert found.digest == digest
    assert found.notes == {"k": 1}
    assert found.read("items").equals(rows)
    assert found.read("items", ["n"]).column_names == ["n"]


def test_equal_content_is_one_table_however_it_is_chunked(home: Home) -> None:
    whole = pa.table({"n": [1, 2, 3]})
    pieces = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    assert table_digest(whole) == table_digest(pieces)
    assert write_table(home, "items", whole) == write_table(home, "items", pieces)
    assert table_digest(whole) != table_digest(pa.table({"n": [1, 2, 4]}))


def test_what_is_missing_is_named(home: Home) -> None:
    with pytest.raises(NotFound, match="no dataset version 'abc'"):
        load_dataset(home, "abc")
    data = Dataset(home, "x", {"items": write_table(home, "items", pa.table({"n": [1]}))})
    with pytest.raises(NotFound, match="no table 'events'; it has: items"):
        data.read("events")
    with pytest.raises(NotFound, match="holds no vectors of embedding space s1"):
        data.vector_column("s1")


def test_a_version_whose_file_was_changed_is_refused(home: Home) -> None:
    digest = Dataset(home, "x", {}).save()
    path = home.path("datasets", f"{digest}.yaml")
    path.write_text(path.read_text().replace("name: x", "name: y"))
    with pytest.raises(DataError, match=rf"{digest}\.yaml is corrupted"):
        load_dataset(home, digest)
