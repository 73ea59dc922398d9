"""The real loading and decoding code on tiny models of two architectures, made here with their own tokenizer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import peft
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from vouchrec.agent.link import Linker, Screen
from vouchrec.agent.llm.base import Message
from vouchrec.agent.llm.local import MARK, LocalModel
from vouchrec.agent.prompts import parse_reading, reading_schema, understand_prompt
from vouchrec.retrieval.errors import ModelError

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks transformers
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
TEXTS = [
    '{"act":"recommend","roles":{"s1":"like","s2":"exclude"}}',
    "I loved Amélie, not horror 🎬 映画",
    "task: understand",
]
ASK = [Message("user", "something like Amélie, please")]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(TEXTS * 10, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<|pad|>", eos_token="<|end|>")
    made.chat_template = TEMPLATE
    return made


def llama(vocabulary: int, layers: int = 2, hidden: int = 32) -> PreTrainedModel:
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=48, num_hidden_layers=layers,
        num_attention_heads=2, max_position_embeddings=512, eos_token_id=1, pad_token_id=0, initializer_range=0.4,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def gpt2(vocabulary: int) -> PreTrainedModel:
    config = GPT2Config(
        vocab_size=vocabulary, n_embd=32, n_layer=2, n_head=2, n_positions=512, bos_token_id=1, eos_token_id=1,
        initializer_range=0.4,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


def save(folder: Path, make: Callable[[int], PreTrainedModel], *, template: bool = True) -> Path:
    torch.manual_seed(7)
    tokenizer = make_tokenizer()
    if not template:
        tokenizer.chat_template = None
    tokenizer.save_pretrained(str(folder))
    make(len(tokenizer)).save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("llama"), llama)


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("gpt2"), gpt2)


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def model(request: pytest.FixtureRequest) -> LocalModel:
    return LocalModel(str(request.getfixturevalue(f"{request.param}_folder")), dtype=torch.float32)


# ---- decoding ---------------------------------------------------------------------------------------------------


def test_constrained_answers_are_always_valid(model: LocalModel, linker: Linker) -> None:
    shown = ("heat-1995", "alien-1979")
    for text in (
        "hi",
        "loved Blade Runner, no horror",
        "70s or 80s, the second one, under two hours, funny, [s1| ]] <|end|>",
    ):
        spans = linker.link(text, Screen(shown))
        prompt = understand_prompt(text, spans, shown=2)
        (answers,) = model.complete([prompt], constraint=reading_schema(spans), max_tokens=400)
        assert parse_reading(answers[0].text, spans) is not None, answers[0].text
        assert answers[0].finished
        assert answers[0].logprob <= 0
        assert 0 <= answers[0].mass <= 1
        assert "".join(model.generate(prompt, constraint=reading_schema(spans), max_tokens=400)) == answers[0].text


def test_a_stranger_to_the_format_has_little_mass(model: LocalModel, linker: Linker) -> None:
    spans = linker.link("no horror")
    assert model.complete([ASK], constraint=reading_schema(spans), max_tokens=400)[0][0].mass < 0.5


def test_constrained_answer_that_is_cut_is_not_finished(model: LocalModel, linker: Linker) -> None:
    spans = linker.link("no horror, no comedy, no western, no drama")
    answer = model.complete([ASK], constraint=reading_schema(spans), max_tokens=8)[0][0]
    assert not answer.finished
    assert parse_reading(answer.text, spans) is None


def test_schema_that_is_none(model: LocalModel) -> None:
    with pytest.raises(ModelError, match="schema"):
        model.complete([ASK], constraint={"type": "no such type"})


def test_batch_equals_single_at_temperature_zero(model: LocalModel) -> None:
    batch = [[Message("user", "a" * n)] for n in (1, 40, 7)]
    together = model.complete(batch, max_tokens=12)
    for messages, (answer,) in zip(batch, together, strict=True):
        ((alone,),) = model.complete([messages], max_tokens=12)
        assert (answer.text, answer.finished) == (alone.text, alone.finished)
        assert answer.logprob == pytest.approx(alone.logprob, abs=1e-4)
        assert answer.logprob < 0
    assert model.complete([]) == []


def test_several_samples_are_seeded(model: LocalModel) -> None:
    first = model.complete([ASK, ASK], n=3, max_tokens=8, temperature=1.0, seed=5)
    again = model.complete([ASK, ASK], n=3, max_tokens=8, temperature=1.0, seed=5)
    other = model.complete([ASK, ASK], n=3, max_tokens=8, temperature=1.0, seed=6)
    assert [len(row) for row in first] == [3, 3]
    assert first == again
    assert first != other
    assert len({a.text for row in first for a in row}) > 1


@pytest.mark.parametrize("temperature", [0.0, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_streamed_pieces_join_to_the_whole(model: LocalModel, temperature: float, seed: int) -> None:
    ((whole,),) = model.complete([ASK], max_tokens=30, temperature=temperature, seed=seed)
    pieces = list(model.generate(ASK, max_tokens=30, temperature=temperature, seed=seed))
    assert "".join(pieces) == whole.text


def test_a_waiting_stream_blocks_nobody(model: LocalModel) -> None:
    stream = model.generate(ASK, max_tokens=30, temperature=1.0)
    next(stream)
    assert not torch.is_inference_mode_enabled()
    assert len(model.complete([ASK], max_tokens=2)[0]) == 1
    stream.close()  # type: ignore[attr-defined]


def test_score_is_the_sum_over_the_tokens(model: LocalModel) -> None:
    ((greedy,),) = model.complete([ASK], max_tokens=4)
    scores = model.score(ASK, ["recommend", "like", "recommend"])
    assert scores[0] == scores[2]
    assert all(s < 0 for s in scores)
    ids = model._ids(ASK)
    answer = model._tokenizer.encode("recommend", add_special_tokens=False)
    with torch.inference_mode():
        logits = model._model(torch.tensor([ids + answer])).logits[0].float().log_softmax(-1)
    expected = sum(float(logits[len(ids) - 1 + i, token]) for i, token in enumerate(answer))
    assert scores[0] == pytest.approx(expected, abs=1e-4)
    assert greedy.logprob <= 0


def test_tokens(model: LocalModel) -> None:
    assert model.tokens(ASK) == len(model._ids(ASK)) > 5


# ---- loading ----------------------------------------------------------------------------------------------------


def test_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="can't be loaded as a language model"):
        LocalModel(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="can't be loaded"):
        LocalModel(str(tmp_path))


def test_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"\x00\xff" * 50)
    with pytest.raises(ModelError, match="can't be loaded"):
        LocalModel(str(path))


@pytest.mark.parametrize("kind", [BertModel, BertForMaskedLM])
def test_encoder_is_refused(tmp_path: Path, kind: type[PreTrainedModel]) -> None:
    def bert(vocabulary: int) -> PreTrainedModel:
        return kind(
            BertConfig(
                vocab_size=vocabulary, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
            )
        )

    with pytest.raises(ModelError, match="not a causal language model"):
        LocalModel(str(save(tmp_path, bert)))


def test_no_chat_template(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no chat template"):
        LocalModel(str(save(tmp_path, llama, template=False)))


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, None])
def test_damaged_weights(tmp_path: Path, llama_folder: Path, content: bytes | None) -> None:
    shutil.copytree(llama_folder, tmp_path / "m")
    weights = tmp_path / "m" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100] if content is None else content)
    with pytest.raises(ModelError, match="can't be loaded"):
        LocalModel(str(tmp_path / "m"))


# ---- adapters ---------------------------------------------------------------------------------------------------


def adapter(folder: Path, base: PreTrainedModel, *, scale: float = 0.5) -> Path:
    transposed = base.config.model_type == "gpt2"
    config = peft.LoraConfig(
        r=2, lora_alpha=4, target_modules="all-linear", task_type="CAUSAL_LM", fan_in_fan_out=transposed
    )
    wrapped = peft.get_peft_model(base, config)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn_like(parameter) * scale)
    wrapped.save_pretrained(str(folder))
    return folder


def vocabulary() -> int:
    return len(make_tokenizer())


def test_adapter_changes_the_answers(tmp_path: Path, llama_folder: Path) -> None:
    path = adapter(tmp_path / "spice", llama(vocabulary()))
    plain = LocalModel(str(llama_folder), dtype=torch.float32)
    tuned = LocalModel(str(llama_folder), adapter=path, dtype=torch.float32)
    assert tuned.name.endswith("+spice")
    assert plain.score(ASK, ["like"]) != pytest.approx(tuned.score(ASK, ["like"]), abs=1e-3)
    assert (plain.specialist, tuned.specialist) == (False, False)
    (path / MARK).write_text(json.dumps({"specialist": True}))
    assert LocalModel(str(llama_folder), adapter=path, dtype=torch.float32).specialist
    (path / MARK).write_text("broken")
    assert not LocalModel(str(llama_folder), adapter=path, dtype=torch.float32).specialist


@pytest.mark.parametrize(
    "other",
    [
        lambda: llama(vocabulary(), hidden=64),
        lambda: llama(vocabulary(), layers=3),
        lambda: gpt2(vocabulary()),
    ],
    ids=["width", "more layers", "architecture"],
)
def test_adapter_of_another_base(tmp_path: Path, llama_folder: Path, other: Callable[[], PreTrainedModel]) -> None:
    path = adapter(tmp_path / "other", other())
    with pytest.raises(ModelError, match="does not fit"):
        LocalModel(str(llama_folder), adapter=path)


@pytest.mark.parametrize("damage", ["config", "not an object", "weights", "cut", "no weights"])
def test_damaged_adapter(tmp_path: Path, llama_folder: Path, damage: str) -> None:
    path = adapter(tmp_path / "bad", llama(vocabulary()))
    weights = path / "adapter_model.safetensors"
    if damage == "config":
        (path / "adapter_config.json").write_text("{")
    elif damage == "not an object":
        (path / "adapter_config.json").write_text("[]")
    elif damage == "weights":
        weights.write_bytes(b"\xff" * 200)
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-10])
    else:
        weights.unlink()
    with pytest.raises(ModelError, match=r"does not fit|not a LoRA adapter"):
        LocalModel(str(llama_folder), adapter=path)


def test_folder_that_is_no_adapter(tmp_path: Path, llama_folder: Path) -> None:
    with pytest.raises(ModelError, match="not a LoRA adapter"):
        LocalModel(str(llama_folder), adapter=tmp_path)
