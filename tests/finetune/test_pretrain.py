import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, BertModel, OPTForCausalLM, PreTrainedTokenizerFast

from vouchrec.finetune import checkpoints
from vouchrec.finetune.batches import Batches
from vouchrec.finetune.corpus import Shards
from vouchrec.finetune.plot import plot_losses
from vouchrec.finetune.pretrain import PretrainConfig, new_model, pretrain
from vouchrec.finetune.trainer import Trainer
from vouchrec.finetune.warmstart import encoder_folder

STEP_TOKENS = 256


def config(out: Path, **changes: object) -> PretrainConfig:
    settings: dict[str, object] = {
        "data": out,
        "out": out,
        "minutes": 1e9,
        "tokens": 40 * STEP_TOKENS,
        "lengths": ((0.0, 32), (0.6, 64)),
        "batch_tokens": STEP_TOKENS,
        "micro_tokens": STEP_TOKENS // 2,
        "warmup": 3,
        "threads": 1,
        "warm_start": False,
        "eval_steps": 10,
        "hidden": 32,
        "layers": 2,
        "heads": 2,
        "intermediate": 64,
    }
    return PretrainConfig(**settings | changes)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny matrices lose time to a second one
    yield
    torch.set_num_threads(before)


def trainer(out: Path, tokenizer: PreTrainedTokenizerFast, shards: Shards, **changes: object) -> Trainer:
    chosen = config(out, **changes)
    return Trainer(chosen, new_model(chosen, tokenizer), shards)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_resumed_run_repeats_the_uninterrupted_one(
    tmp_path: Path, small_tokenizer: PreTrainedTokenizerFast, small_shards: Shards, optimizer: str
) -> None:
    whole = trainer(tmp_path / "a", small_tokenizer, small_shards, optimizer=optimizer, tokens=10 * STEP_TOKENS)
    expected = [whole.train_step() for _ in range(10)]
    first = trainer(tmp_path / "b", small_tokenizer, small_shards, optimizer=optimizer, tokens=10 * STEP_TOKENS)
    losses = [first.train_step() for _ in range(5)]
    first.save()
    second = trainer(
        tmp_path / "b", small_tokenizer, small_shards, optimizer=optimizer, tokens=10 * STEP_TOKENS, seed=0
    )
    assert second.resume()
    assert (second.step, second.tokens) == (5, 5 * STEP_TOKENS)
    losses += [second.train_step() for _ in range(5)]
    assert losses == expected


def test_half_written_checkpoint_is_not_loaded(
    tmp_path: Path, small_tokenizer: PreTrainedTokenizerFast, small_shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path, small_tokenizer, small_shards)
    assert not run.resume()
    run.train_step()
    whole = run.save()
    run.train_step()

    def power_cut(*_: object) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.os, "replace", power_cut)
        with pytest.raises(OSError, match="power cut"):
            run.save()
    assert checkpoints.newest(tmp_path / "checkpoints") == whole
    again = trainer(tmp_path, small_tokenizer, small_shards)
    assert again.resume()
    assert again.step == 1
    again.train_step()
    assert again.save().name == "step-0000002"  # what the cut left behind is in nobody's way


def test_checkpoint_of_another_shape_is_refused(
    tmp_path: Path, small_tokenizer: PreTrainedTokenizerFast, small_shards: Shards
) -> None:
    run = trainer(tmp_path, small_tokenizer, small_shards)
    run.train_step()
    run.save()
    with pytest.raises(ValueError, match="another shape"):
        trainer(tmp_path, small_tokenizer, small_shards, layers=1).resume()


def test_only_the_newest_checkpoints_stay(tmp_path: Path) -> None:
    for step in (1, 2, 10):
        checkpoints.write(tmp_path, step, {"a": torch.ones(1)}, {"step": step})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-0000002", "step-0000010"]


def test_small_updates_are_not_lost_to_bfloat16(
    tmp_path: Path, small_tokenizer: PreTrainedTokenizerFast, small_shards: Shards
) -> None:
    run = trainer(tmp_path, small_tokenizer, small_shards)
    run.train_step()
    for name, parameter in run.model.named_parameters():
        assert parameter.dtype == torch.bfloat16
        assert run.master[name].dtype == torch.float32
        assert torch.equal(run.master[name].bfloat16(), parameter)
    assert all(buffer.dtype == torch.float32 for buffer in run.model.buffers())


def test_whole_run_learns_logs_and_exports(small_data: Path, tmp_path: Path) -> None:
    model_folder = pretrain(config(tmp_path, data=small_data, matrix_rate=0.05, rate=0.01, export_minutes=1e-9))
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == list(range(1, 41))
    held_out = [entry["held_out"]["all"] for entry in entries if "held_out" in entry]
    assert held_out[-1] < held_out[0] - 0.5
    assert entries[-1]["loss"] < entries[0]["loss"] - 1
    for folder in (model_folder, tmp_path / "latest"):
        model = AutoModelForCausalLM.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert model.dtype == torch.bfloat16
        assert model.config.eos_token_id == tokenizer.eos_token_id == model.generation_config.eos_token_id
        assert json.loads((folder / "training.json").read_text())["step"] == 40
        prompt = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], return_tensors="pt")
        assert model.generate(**prompt, max_new_tokens=3, do_sample=False).shape[1] >= prompt["input_ids"].shape[1]
    assert (tmp_path / "loss.png").stat().st_size > 1000
    assert not list(tmp_path.rglob("*.pt")) + list(tmp_path.rglob("*.part"))


def test_log_after_the_checkpoint_is_dropped_on_resume(small_data: Path, tmp_path: Path) -> None:
    pretrain(config(tmp_path, data=small_data, tokens=4 * STEP_TOKENS))
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": 5, "tokens": 1, "seconds": 0, "loss": 99}) + "\n")
    pretrain(config(tmp_path, data=small_data, tokens=6 * STEP_TOKENS))
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert entries[4]["loss"] < 99


def test_batches_pass_over_every_token_once_before_repeating(small_shards: Shards) -> None:
    ids = small_shards.train["books"]
    batches = Batches(Shards({"books": ids}, {}), seed=3)
    blocks = (len(ids) - 1) // 1024
    rows = batches.rows(0, blocks, 1024)
    assert rows.shape == (blocks, 1025)
    assert rows.dtype == torch.int64
    places = torch.from_numpy(ids.astype("int64")).roll(0)
    assert set(rows.flatten().tolist()) <= set(places.tolist())
    assert batches.taken == {"books": blocks * 1024}


def test_batches_need_tokens() -> None:
    with pytest.raises(ValueError, match="no training tokens"):
        Batches(Shards({}, {}), seed=0)


def warm_model(tokenizer: PreTrainedTokenizerFast) -> OPTForCausalLM:
    settings = PretrainConfig(data=Path("none"), out=Path("none"))
    return new_model(settings, tokenizer).eval()


def test_warm_words_are_alike_where_their_meanings_are(small_tokenizer: PreTrainedTokenizerFast) -> None:
    rows = warm_model(small_tokenizer).model.decoder.embed_tokens.weight.detach()
    vocabulary = small_tokenizer.get_vocab()

    def alike(one: str, two: str) -> float:
        return float(torch.cosine_similarity(rows[vocabulary[one]], rows[vocabulary[two]], dim=0))

    assert alike("film", "movie") > alike("film", "null") + 0.1
    assert rows.std(dim=1).min() > 0.1  # reserved tokens are as long as the others


def test_warm_decoder_thinks_as_its_encoder(small_tokenizer: PreTrainedTokenizerFast) -> None:
    """Of a text of one word the causal mask hides nothing: the decoder must say what the encoder says.

    Away from the first place, whose vector the encoder has learnt for its own first token.
    """
    place = torch.tensor([[7]])
    encoder = BertModel.from_pretrained(encoder_folder(), add_pooling_layer=False).eval()
    pieces = Tokenizer.from_file(str(encoder_folder() / "tokenizer.json"))
    pieces.no_padding()
    decoder = warm_model(small_tokenizer).model.decoder
    with torch.no_grad():
        for word in ("film", "movie", "horror", "comedy"):
            ours = decoder(
                input_ids=torch.tensor([[small_tokenizer.get_vocab()[word]]]), position_ids=place
            ).last_hidden_state[0, 0]
            piece = pieces.encode(word, add_special_tokens=False).ids
            theirs = encoder(input_ids=torch.tensor([piece]), position_ids=place).last_hidden_state[0, 0]
            assert torch.cosine_similarity(ours, theirs, dim=0) > 0.98


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minutes": 0.0}, "must be positive"),
        ({"lengths": ((0.5, 64),)}, "share 0.0"),
        ({"lengths": ((0.0, 2048),)}, "1024"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(tmp_path, **changes)


def test_width_must_fit_the_encoder(tmp_path: Path, small_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ValueError, match="384"):
        new_model(config(tmp_path, warm_start=True), small_tokenizer)


def test_plot_without_matplotlib_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"vouchrec\[train\]"):
        plot_losses(tmp_path / "log.jsonl", tmp_path / "loss.png")


def test_plot_of_an_empty_log_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("")
    with pytest.raises(ValueError, match="no entries"):
        plot_losses(tmp_path / "log.jsonl", tmp_path / "loss.png")
