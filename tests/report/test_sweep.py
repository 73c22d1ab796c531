from flannb.report.sweep import write_sweep


def trial(size, rate, loss, **more):
    return {
        **{"size": size, "parameters": 1000, "rate": rate, "dropout": 0.1, "steps": 50, "tokens": 4000},
        **{"training_loss": loss, "held_out_loss": loss, "best_step": 25, "best_loss": loss, "seconds": 12.0},
        **{"mfu": None, "curve": [] if loss is None else [[0, 9.0], [25, loss], [50, loss]]},
        **more,
    }


NOTHING = dict.fromkeys(("parameters", "tokens", "training_loss", "best_step", "best_loss", "seconds"))


def test_the_best_setting_is_named_and_divergence_told(tmp_path):
    results = [trial("micro", 0.01, 2.5), trial("micro", 0.003, 2.25, mfu=0.41), trial("small", 0.01, None, **NOTHING)]
    for name in "ab":
        paths = write_sweep(tmp_path / name, results, "micro", "mirror", 0, 0.02, "random")
    for path in paths:
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes()
    text = (tmp_path / "a/sweep.md").read_text()
    assert "micro at a learning rate of 0.003 and dropout 0.1: 2.250 nats" in text and "2% of the records" in text
    assert "| micro | 1,000 | 0.003 | 0.1 | 50 | 4,000 | 2.250 | 2.250 | 2.250 at 25 | 12 | 41% |" in text
    assert "| small |  | 0.01 | 0.1 | 50 |  | diverged | diverged |  |  |  |" in text


def test_where_all_diverge_none_is_chosen(tmp_path):
    write_sweep(tmp_path, [trial("micro", 1.0, None, **NOTHING)], "micro", "mirror", 0, 0.02, "random")
    assert "Every training diverged." in (tmp_path / "sweep.md").read_text()
