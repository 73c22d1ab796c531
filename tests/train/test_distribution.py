"""Devices and processes: the losses of one, whatever the layout; checkpoints that another number takes up."""

import json
import shutil
import socket

import keras
import pandas as pd
import pytest

from flannb.errors import UserError
from flannb.train import LOSS_CSV, train
from flannb.train.distribution import distribute, idle_gpu, join_processes, layouts, of_all_processes

PROCESS = """
train(stream, config, options, folder, quiet=True)
import jax
print(jax.process_count(), jax.device_count())
"""

FOUR_DEVICES = """
from dataclasses import replace
from flannb.model import build_model
from flannb.train import Adafactor, distribute

try:
    train(stream, config, replace(options, shape=BatchShape(6, 128, 48)), folder, quiet=True)
except UserError as error:
    print(error)
for parallel in (1, 4, 2):
    train(stream, config, replace(options, model_parallel=parallel), folder / str(parallel), quiet=True)
with distribute(config.with_vocabulary(400), 4).scope():
    model = build_model(config.with_vocabulary(400), 0)
    optimizer = Adafactor(0.1, min_dim_size_to_factor=8)
    optimizer.build(model.trainable_variables)
    print(json.dumps({
        variable.path.removeprefix(optimizer.name + "/"): list(variable.value.sharding.shard_shape(variable.shape))
        for variable in [*model.trainable_variables, *optimizer.variables]
    }))
"""


def losses(folder):
    return pd.read_csv(folder / LOSS_CSV)["loss"].tolist()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_two_processes_give_the_losses_of_one_which_goes_on_from_their_checkpoint(
    stream, config, options, start, tmp_path
):
    shape, chosen = config(), options(4, 6, checkpoint_every=3, average=0.9)
    address = f"127.0.0.1:{free_port()}"
    processes = [
        start(
            PROCESS,
            tmp_path / "two",
            shape,
            chosen,
            JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES="2",
            JAX_PROCESS_ID=str(number),
        )
        for number in range(2)
    ]
    for process in processes:
        output, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        assert output.splitlines()[-1] == "2 2"
    train(stream, shape, chosen, tmp_path / "one", quiet=True)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)

    shutil.copytree(tmp_path / "two" / "checkpoints" / "3", tmp_path / "then" / "checkpoints" / "3")
    train(stream, shape, chosen, tmp_path / "then", quiet=True)
    assert losses(tmp_path / "then")[:3] == losses(tmp_path / "two")[:3]
    assert losses(tmp_path / "then") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)


def test_four_devices_give_the_same_losses_in_every_layout(stream, config, options, start, tmp_path):
    shape, chosen = config(), options(4, 4)
    flags = "--xla_force_host_platform_device_count=4"
    process = start(FOUR_DEVICES, tmp_path, shape, chosen, XLA_FLAGS=flags)
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    refused, placed = output.splitlines()
    assert refused == "batch size 6 is not divisible by 4 devices; choose a multiple"
    for parallel in ("4", "2"):
        assert losses(tmp_path / parallel) == pytest.approx(losses(tmp_path / "1"), abs=1e-5)
    shards = json.loads(placed)
    layer = "transformer_decoder_layer_0/"
    slot = "transformer_decoder_layer_0_input_projector_kernel_"
    expected = {
        "token_embedding/embeddings": [100, 16],
        "token_embedding/reverse_embeddings": [16, 100],
        layer + "self_attention/embeddings": [32, 1],
        layer + "self_attention/query_projector/kernel": [16, 4],
        layer + "cross_attention/output_projector/kernel": [4, 16],
        layer + "input_projector/kernel": [16, 8],
        layer + "output_projector/kernel": [8, 16],
        layer + "layer_norm/weight": [16],
        slot + "v_row": [16],
        slot + "v_column": [8],
    }
    assert {name: shards.get(name) for name in expected} == expected


def test_devices_that_do_not_come_apart_are_a_user_error(config):
    with pytest.raises(UserError, match="devices are not divisible by model_parallel=64; choose another"):
        distribute(config(), 64)


def test_an_indivisible_vocabulary_stays_whole(config):
    mesh = keras.distribution.DeviceMesh((1, 2), ("batch", "model"), devices=["cpu:0", "cpu:1"])
    assert layouts(mesh, config(vocabulary_size=401))["token_embedding/embeddings"] is None
    assert layouts(mesh, config(vocabulary_size=402))["token_embedding/embeddings"].axes == ("model", None)


def test_one_process_has_the_values_of_all():
    assert of_all_processes({"lanes": {"0": [1, "ä"]}}) == [{"lanes": {"0": [1, "ä"]}}]


@pytest.mark.parametrize(
    "environment",
    [{}, {"SLURM_NTASKS": "4"}, {"SLURM_STEP_NUM_TASKS": "1"}, {"TPU_WORKER_HOSTNAMES": "localhost"}],
)
def test_a_process_that_is_alone_joins_nobody(environment):
    join_processes(environment)
    assert of_all_processes(1) == [1]


@pytest.mark.parametrize("others", [{}, {"JAX_NUM_PROCESSES": "two", "JAX_PROCESS_ID": "0"}])
def test_half_an_address_is_a_user_error(others):
    with pytest.raises(UserError, match="JAX_NUM_PROCESSES and JAX_PROCESS_ID must be numbers"):
        join_processes({"JAX_COORDINATOR_ADDRESS": "127.0.0.1:1"} | others)


def test_a_gpu_that_jax_does_not_use_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    (tmp_path / "version").touch()
    if keras.distribution.list_devices()[0].startswith("cpu"):
        assert "JAX sees only CPUs: install its CUDA packages" in idle_gpu(tmp_path / "version")
    assert idle_gpu(tmp_path / "none") is None
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert idle_gpu(tmp_path / "version") is None
