import os
import stat

import pytest

from flannb.errors import UserError
from flannb.experiments.__main__ import main
from flannb.experiments.devices import GPUS, at_hand, default_workers, gpu_names, gpus, has_accelerator, named, share

EIGHT = tuple(map(str, range(8)))


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes this a machine on which ``nvidia-smi`` lists so many GPUs and JAX's plugin is installed."""

    def have(number, visible=None):
        program = tmp_path / "nvidia-smi"
        lines = "".join(f"echo 'GPU {i}: NVIDIA H100 80GB HBM3 (UUID: GPU-{i}a)'\n" for i in range(number))
        program.write_text(f"#!/bin/sh\n{lines}")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        (tmp_path / "jax_cuda13_plugin.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delenv("JAX_PLATFORMS", raising=False)
        monkeypatch.delenv(GPUS, raising=False)
        if visible is not None:
            monkeypatch.setenv(GPUS, visible)

    return have


@pytest.mark.parametrize(("platforms", "found"), [("cpu", False), ("cuda,cpu", True), ("tpu", True)])
def test_jax_platforms_decides_on_accelerators(monkeypatch, platforms, found):
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    assert has_accelerator() == found
    assert default_workers(8) == (1 if found else len(os.sched_getaffinity(0)))


def test_gpus_are_named_as_the_driver_does(machine):
    machine(2)
    assert gpu_names() == ["NVIDIA H100 80GB HBM3"] * 2
    machine(3, "GPU-1a")
    assert gpu_names() == ["NVIDIA H100 80GB HBM3"]


def test_rows_have_a_gpu_each_unless_there_are_more_gpus_than_rows(machine):
    machine(4)
    assert gpus() == ("0", "1", "2", "3")
    assert [default_workers(rows) for rows in (1, 3, 4, 8)] == [1, 1, 4, 4]


def test_gpus_that_are_hidden_do_not_count(machine, monkeypatch):
    machine(8, visible="2, 5")
    assert gpus() == ("2", "5") and default_workers(8) == 2
    for none in ("", "-1"):
        monkeypatch.setenv(GPUS, none)
        assert gpus() == () and not has_accelerator() and default_workers(8) == len(os.sched_getaffinity(0))
    monkeypatch.setenv(GPUS, "2,-1,5")  # CUDA looks no further
    assert gpus() == ("2",)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert gpus() == () and not has_accelerator()


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_every_gpu_is_seen_by_one_process(workers):
    seen = [share(slot, workers, EIGHT)[GPUS].split(",") for slot in range(workers)]
    assert sorted(gpu for own in seen for gpu in own) == list(EIGHT)
    assert all(share(slot, workers, EIGHT).keys() == {GPUS} for slot in range(workers))


def test_processes_that_share_a_gpu_share_its_memory():
    environments = [share(slot, 4, ("0", "3")) for slot in range(4)]
    assert [each[GPUS] for each in environments] == ["0", "3", "0", "3"]
    assert {each["XLA_PYTHON_CLIENT_MEM_FRACTION"] for each in environments} == {"0.45"}


def test_one_process_has_all_devices_and_processors_are_not_shared_out():
    assert share(0, 1, EIGHT) == {} and share(1, 2, ()) == {}


def test_devices_are_those_of_jax():
    found = at_hand()
    assert found.here and found.count >= 1 and str(found).endswith(found.kind)


def test_devices_elsewhere_are_named():
    for text in (" 8 x H100 ", "8XH100"):
        found = named(text)
        assert (found.kind, found.count, found.fused, found.here) == ("H100", 8, True, False)
    for text in ("H100", "0xH100", "2x"):
        with pytest.raises(UserError, match=f"--devices {text}: write 8xH100; kinds are B200"):
            named(text)
    with pytest.raises(UserError, match="--devices 2xAbacus: Abacus is unknown; kinds are B200"):
        named("2xAbacus")


@pytest.mark.parametrize(("name", "option"), [("RLIMIT_DATA", "-d"), ("RLIMIT_AS", "-v")])
def test_a_limit_below_what_any_run_takes_is_told_before_anything_runs(name, option, monkeypatch, tmp_path, capsys):
    resource = pytest.importorskip("resource")
    limits = {getattr(resource, name): (300 * 2**20, resource.RLIM_INFINITY)}
    endless = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits.get(which, endless))
    assert main(["data", "--scale", "tiny", "--runs", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"may use 300 MiB of memory only, and a run takes at least 1,536; raise the limit (ulimit {option}" in said
    assert not list(tmp_path.iterdir())
