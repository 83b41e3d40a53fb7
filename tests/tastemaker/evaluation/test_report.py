from pathlib import Path

import mlflow

from tastemaker.core.home import Home
from tastemaker.evaluation.report import Report, bars, lines
from tastemaker.evaluation.tracking import Evaluation, find, record


def test_everything_is_escaped_and_inlined() -> None:
    report = Report("<b>title")
    report.text("<script>alert(1)</script>")
    report.table("t", [{"method": "<i>", "hr": 0.12345, "n": 3}])
    report.images("pictures", [("<u>label", [b"\xff\xd8"])])
    report.plot("plot", bars({"a": 0.1, "b": 0.2}, "HR"))
    html = report.html()
    for bad in ("<script>", "<b>title", "<i>", "<u>"):
        assert bad not in html
    assert "0.123" in html
    assert "data:image/png;base64," in html
    assert "http" not in html.replace("http-equiv", "")


def test_the_same_parts_give_the_same_page() -> None:
    pages = []
    for _ in range(2):
        report = Report("t")
        report.table("empty", [])
        report.plot("plot", lines({"model": [(0, 0), (1, 2)], "rest": [(0, 1)]}, "x", "y"))
        pages.append(report.html())
    assert pages[0] == pages[1]


def test_columns_of_numbers_stand_to_the_right_with_their_heading() -> None:
    report = Report("t")
    report.table("figures", [{"method": "a", "hr": 0.5}])
    page = report.html()
    assert '<th scope="col">method</th>' in page
    assert '<th scope="col" class="n">hr</th>' in page
    assert '<td class="n">0.500</td>' in page


def test_a_bundle_is_registered_once(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    for value in (0.5, 0.6):
        record(
            home,
            bundle_digest="abc",
            family="encoder",
            dataset="data",
            metrics={"hr@10": value},
            cases={"hr@10": {"user": value}},
            params={"width": 3},
            report_html="<html></html>",
        )
    found = find(home, "abc", "data")
    assert found == Evaluation({"hr@10": 0.6}, {"hr@10": {"user": 0.6}})
    assert find(home, "abc", "other data") is None
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    versions = client.search_model_versions("name='tastemaker-encoder'")
    assert [v.tags["bundle"] for v in versions] == ["abc"]
