"""The page of all reports: made of what lies in their folder, whatever state that is in, and safe to open anywhere."""

import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flannb.experiments.reproduce import project_root
from flannb.files import sha256, write_sealed
from flannb.markdown import escaped
from flannb.report.catalogue import KINDS, catalogue
from flannb.report.grids import READERS, grid_of
from flannb.report.limits import limits
from flannb.report.site import origin, warnings, write_site
from flannb.trust.browser import NAMES, browser_page

COMMITTED = project_root() / "reports"


@pytest.fixture
def reports(tmp_path):
    """Those of the repository at smoke, with Table 1 at a second scale, whose row was trained twice."""
    left_out = shutil.ignore_patterns("*.log", "micro*")
    folder = Path(shutil.copytree(COMMITTED, tmp_path / "reports", ignore=left_out))
    at_scale(folder, "micro", lambda p: p["evaluations"]["flan2022"].append("runs/micro/m-0/flan2022-repeat1/evaluate"))
    return folder


def look(seen, path, width, dark):
    """Opens a page of so many pixels in width, in one of the two colour schemes."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    seen.command("Emulation.setDeviceMetricsOverride", **size)
    seen.command("Emulation.setEmulatedMedia", features=[scheme])
    seen.open(path.as_uri())
    seen.run("new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))")


def at_scale(folder, scale, change=lambda parameters: None):
    shutil.copytree(folder / "table1/smoke", folder / f"table1/{scale}", dirs_exist_ok=True)
    path = folder / f"table1/{scale}/inputs.json"
    inputs = json.loads(path.read_text())
    inputs["parameters"] |= {"scale": scale, "source": "/data/mirror"}
    change(inputs["parameters"])
    del inputs["digest"]
    write_sealed(path, inputs)


def page(reports):
    write_site(reports)
    return (reports / "index.html").read_text()


def test_every_report_of_the_repository_is_whole():
    found = catalogue(COMMITTED)
    assert not found.problems
    assert {report.artefact for report in found.reports} >= {name for name in KINDS if name.startswith(("t", "f"))}
    for report in found.reports:
        assert grid_of(report) is not None, report.folder
        assert {f"{report.artefact}.md", f"{report.artefact}.html"} <= set(report.files)


def test_the_committed_page_is_that_of_the_committed_reports(tmp_path):
    copy = Path(shutil.copytree(COMMITTED, tmp_path / "reports", ignore=shutil.ignore_patterns("*.log")))
    for path in write_site(copy):
        same = path.read_bytes() == (COMMITTED / path.name).read_bytes()
        assert same, "run nox -s site"  # pytest would compare megabytes line by line


def test_scales_stand_side_by_side_and_numbers_lead_to_their_runs(reports):
    text = page(reports)
    assert text.index('<th scope="col">smoke</th>') < text.index('<th scope="col">micro</th>')
    assert "micro, mirror, seed 0" in text
    whole = (reports / "table1/smoke/table1.csv").read_text().splitlines()[1].split(",")
    assert whole[:3] == ["flan2022", "held_in", "zs"]
    number = f'<a href="#table1-smoke-run-flan2022">{float(whole[3]):.1f}</a>'
    assert number in text and 'id="table1-smoke-run-flan2022"' in text
    assert "runs/smoke/mini-0/flan2022/evaluate/predictions/held_in.zs.*.parquet" in text
    assert "runs/micro/m-0/flan2022-repeat1/evaluate/predictions" in text
    manifest = json.loads((reports / "table1/smoke/manifest.json").read_text())
    assert manifest["needs"]["flan2022/evaluate"]["key"] in text


def test_a_report_says_on_what_its_steps_ran(reports):
    path = reports / "table1/smoke/manifest.json"
    manifest = {name: value for name, value in json.loads(path.read_text()).items() if name != "digest"}
    manifest["needs"] = {
        name: {"key": need["key"], "seconds": 60.0, "device": "NVIDIA H200" if "train" in name else "a CPU"}
        for name, need in manifest["needs"].items()
    }
    write_sealed(path, manifest)
    (report,) = [report for report in catalogue(reports).of("table1") if report.scale == "smoke"]
    assert re.search(
        r"the \d+ steps that it needs took [\d.]+ minutes in all on a CPU and NVIDIA H200\.", origin(report)
    )


def test_a_mirror_named_mini_is_not_the_embedded_collection(reports):
    at_scale(reports, "micro", lambda parameters: parameters.update(source="/data/mini"))
    (report,) = [report for report in catalogue(reports).of("table1") if report.scale == "micro"]
    assert report.source == "mini" and warnings(report) == limits("micro", "flan2022")


def test_no_link_is_dead_and_nothing_is_asked_of_a_network(reports):
    text = page(reports)
    ids = set(re.findall(r'id="([^"]+)"', text))
    for address in re.findall(r'(?:href|src)="([^"]+)"', text):
        if address.startswith("#"):
            assert address[1:] in ids, address
        elif not address.startswith("data:"):
            assert (reports / address).is_file(), address
    assert "default-src 'none'" in text and "http://" not in text and "https://" not in text
    for address in re.findall(r"\]\(([^)]+)\)", (reports / "README.md").read_text()):
        assert (reports / address).is_file(), address


def test_equal_reports_give_equal_bytes_and_are_not_written_again(reports):
    paths = write_site(reports)
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths]
    assert before == [(path.read_bytes(), path.stat().st_mtime_ns) for path in write_site(reports)]


def test_an_empty_folder_has_a_page_that_says_what_to_run(tmp_path):
    text = page(tmp_path)
    assert "nox -s reproduce_table1" in text and "Not whole" not in text
    assert "`nox -s reproduce_table1`" in (tmp_path / "README.md").read_text()


def cut(path):
    path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda r: (r / "table1/smoke/manifest.json").unlink(), "table1/smoke/: half there: manifest.json missing"),
        (lambda r: (r / "table1/smoke/table1.html").unlink(), "table1.html missing; nox -s reproduce_table1 makes"),
        (lambda r: cut(r / "table1/smoke/table1.csv"), "table1/smoke/: table1.csv missing or not as written"),
        (lambda r: cut(r / "table1/smoke/claims.csv"), "table1/smoke/: claims.csv"),
        (lambda r: cut(r / "table1/smoke/inputs.json"), "table1/smoke/: inputs.json is not as it was written"),
        (lambda r: cut(r / "figure4/smoke/manifest.json"), "figure4/smoke/: manifest.json is not as it was written"),
        (lambda r: (r / "figure3/smoke/figure3.csv").write_bytes(b"\xff\xfe\0"), "figure3.csv cannot be read"),
        (lambda r: shutil.rmtree(r / "figure2"), None),
        (lambda r: (r / "mystery").mkdir(), "mystery/: unknown"),
        (lambda r: (r / "table2/large").mkdir(), "table2/large/: half there: table2.html, table2.md, table2.csv"),
        (
            lambda r: (shutil.rmtree(r / "figure7"), (r / "figure7").mkdir()),
            "figure7/: empty; nox -s reproduce_figure7",
        ),
        (lambda r: (r / "performance/README.md").unlink(), "performance/README.md: missing"),
    ],
)
def test_what_is_half_there_damaged_or_unknown_is_named(reports, harm, told):
    harm(reports)
    text = page(reports)
    assert told is None or (told in text and escaped(told) in (reports / "README.md").read_text())
    assert '<a href="#table2-smoke">8 of 8 rows, mini, seed 0</a>' in text  # the others are shown as before


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(READERS)), data=st.data())
def test_no_table_of_numbers_stops_the_page(reports, name, data):
    """Values of a CSV file that is as flannb writes it in all but some cells."""
    (report,) = catalogue(reports).of(name)[:1] or [None]
    if report is None:
        return
    path = reports / report.folder / f"{report.kind.table}.csv"
    lines = path.read_text().splitlines()[:20]
    for _ in range(3):
        at = data.draw(st.integers(0, len(lines) - 1))
        cells = lines[at].split(",")
        cells[data.draw(st.integers(0, len(cells) - 1))] = data.draw(
            st.sampled_from(["", "nan", "inf", "-1", "x", "<b>", "1e400", '"'])
        )
        lines[at] = ",".join(cells)
    whole = path.read_bytes()
    path.write_text("\n".join(lines))
    text = page(reports)
    path.write_bytes(whole)
    assert "<b>" not in text and 'id="what"' in text


def test_texts_of_reports_are_escaped(reports):
    evil = '<img src=x onerror="document.documentElement.dataset.pwned=1">'
    path = reports / "figure2/figure2.csv"
    path.write_text(path.read_text().replace("CrossFit", evil.replace('"', "")))
    at_scale(reports, "x](javascript:alert(1))")
    (reports / evil.replace("/", "")).mkdir()
    text = page(reports)
    assert "<img src=x" not in text and "&lt;img src=x" in text
    assert not re.search(r"(?<!\\)\]\(javascript", (reports / "README.md").read_text())


@pytest.mark.skipif(not any(map(shutil.which, NAMES)), reason="there is no Chromium")
def test_in_a_browser(reports):
    """On a phone the page does not scroll sideways; in both schemes texts stand out; a click sorts by value."""
    write_site(reports)
    with browser_page() as seen:
        seen.command("Network.enable")
        for width in (390, 1280):
            for dark in (False, True):
                look(seen, reports / "index.html", width, dark)
                assert seen.run("document.documentElement.scrollWidth <= innerWidth")
                ink, paper = (
                    seen.run(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor")
                )
                light = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper)]
                assert (light[0] - light[1] > 400) if dark else (light[1] - light[0] > 400)
                assert seen.run("getComputedStyle(document.querySelector('figure img')).backgroundColor") == (
                    "rgb(255, 255, 255)"  # figures are drawn for paper
                )
        assert {url for url in seen.requests if not url.startswith("data:")} == {(reports / "index.html").as_uri()}
        column = "[...document.querySelectorAll('#table1-smoke .grid tbody tr')].map(row => row.cells[1].innerText)"
        head = "document.querySelectorAll('#table1-smoke .grid thead button')[1].click()"
        before = [text.split("\n")[0] for text in seen.run(column)]
        numbers = sorted(float(text) for text in before if text != "–")
        for order in (numbers, numbers[::-1]):
            seen.run(head)
            after = [text.split("\n")[0] for text in seen.run(column)]
            assert [float(text) for text in after if text != "–"] == order and after[len(order) :] == ["–"] * 3


def test_hashes_of_figures_decide_what_is_shown_once(reports):
    assert sha256(reports / "table1/smoke/figure1.svg") == sha256(reports / "figure1/smoke/figure1.svg")
    text = page(reports)
    assert 'Its figure is that of <a href="#table1-smoke">table1/smoke</a>' in text


def test_what_trainings_started_from_is_no_scale(reports):
    for name in ("micro", "micro-from-pretrained"):
        shutil.copytree(COMMITTED / "sweep" / name, reports / "sweep" / name)
    found = catalogue(reports)
    assert found.scales() == ["smoke", "micro"]
    assert [(report.scale, report.start) for report in found.of("sweep")] == [("micro", ""), ("micro", "pretrained")]
    text = page(reports)
    assert re.search(
        '<a href="#sweep-micro">[^<]+</a><br><a href="#sweep-micro-from-pretrained">[^<]*from pretrained', text
    )
    assert "<h3>micro, from pretrained" in text
    line = next(line for line in (reports / "README.md").read_text().splitlines() if line.startswith("| Sweep"))
    assert re.search(
        r"\[[^]]+\]\(sweep/micro/sweep.md\); \[[^]]*from pretrained[^]]*\]\(sweep/micro-from-pretrained", line
    )


def test_claims_lead_to_the_report_that_says_what_its_trainings_started_from(reports):
    shutil.rmtree(reports / "table1/micro")
    shutil.copytree(COMMITTED / "table1/smoke", reports / "table1/micro-from-mine")
    text = page(reports)
    row = re.search('<tr id="C1">.*?</tr>', text, re.DOTALL)[0]
    assert '<a href="#table1-smoke">' in row and '<a href="#table1-micro-from-mine">' in row


def test_what_is_unknown_is_named_in_one_order(reports):
    names = [f"unknown{letter}" for letter in "abcdefgh"]
    for name in reversed(names):
        (reports / name).mkdir()
    told = [problem.partition("/")[0] for problem in catalogue(reports).problems]
    assert [name for name in told if name in names] == names
