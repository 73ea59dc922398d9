"""The base of a fine-tuning: what it is, whether it can be adapted, how it is loaded; every failure has its own error."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from transformers.configuration_utils import PretrainedConfig
from transformers.utils import logging as transformers_logging

from vouchrec.agent.llm.local import BUILTIN_DIR, load_tokenizer
from vouchrec.retrieval.errors import ConfigError

Quantise: TypeAlias = Literal["auto", "on", "off"]
BUILTIN = "builtin"
PLAIN_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
"""Template for a base that has none; it is kept with the adapter, which brings it to serving."""
_WRITES = ("CausalLM", "LMHead", "ConditionalGeneration")
_MARKER = "[[rec1]]"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "vocab.txt")


@dataclass(frozen=True, slots=True)
class Base:
    """A base that can be adapted.

    Attributes:
        name: As the user wrote it.
        path: What to load: a folder or a Hugging Face name.
        tokenizer: With a chat template; the built-in one stands in where `borrowed`.
        template: The plain template where the base has none of its own, else empty.
        borrowed: The folder has no tokenizer: counts of tokens are estimates, and nothing can be trained.
        knows_format: The tokenizer has Vouch's reserved tokens: their embeddings are trained with the adapter.
    """

    name: str
    path: str
    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerFast
    template: str = ""
    borrowed: bool = False
    knows_format: bool = False


def inspect_base(name: str, *, borrow: bool = False) -> Base:
    """Look at a base without loading its weights.

    Args:
        borrow: Let the built-in tokenizer stand in for one that is missing, for estimates.

    Raises:
        ConfigError: It is absent, gated, an encoder, or has no tokenizer or no end token.
    """
    path = str(BUILTIN_DIR / "base") if name == BUILTIN else str(Path(name).expanduser() if _is_path(name) else name)
    config = _config(name, path)
    _check_writes(name, config)
    borrowed = False
    try:
        tokenizer = _tokenizer(name, path)
    except ConfigError:
        if not borrow:
            raise
        tokenizer, borrowed = load_tokenizer(str(BUILTIN_DIR / "base")), True
    template = "" if tokenizer.chat_template or borrowed else PLAIN_TEMPLATE
    if template:
        if not tokenizer.eos_token:
            hint = "Use an instruction-tuned model, or set eos_token in its tokenizer."
            raise ConfigError(f"{name} has neither a chat template nor an end token.", hint=hint)
        tokenizer.chat_template = template
    knows = any(token.content == _MARKER for token in tokenizer.added_tokens_decoder.values())
    return Base(name, path, config, tokenizer, template, borrowed, knows)


def load_for_training(base: Base, *, dtype: torch.dtype, four_bit: bool, checkpointing: bool) -> PreTrainedModel:
    """Load the frozen base as it is trained on: in 4-bit NF4 where asked (QLoRA, Dettmers et al., NeurIPS 2023).

    Raises:
        ConfigError: It can't be loaded.
    """
    options: dict[str, object] = {"dtype": dtype}
    if four_bit:
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        options["device_map"] = {"": torch.cuda.current_device()}
    with quiet_transformers():
        try:
            model = cast("PreTrainedModel", AutoModelForCausalLM.from_pretrained(base.path, **options))
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise _unloadable(base.name, error) from error
    model.config.use_cache = False
    if four_bit:
        import peft

        return cast(
            "PreTrainedModel", peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=checkpointing)
        )
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    return model


def empty_model(config: PretrainedConfig) -> PreTrainedModel:
    """Return the model of a config without weights (on the meta device), to count with."""
    with torch.device("meta"), quiet_transformers():
        return cast("PreTrainedModel", AutoModelForCausalLM.from_config(config))


def use_four_bit(wanted: Quantise) -> bool:
    """Return whether to quantise: where CUDA and bitsandbytes are there, unless switched off.

    Raises:
        ConfigError: It is switched on and one of them is missing.
    """
    cuda, library = torch.cuda.is_available(), importlib.util.find_spec("bitsandbytes") is not None
    if wanted == "on" and not (cuda and library):
        problem = "there is no CUDA device" if not cuda else "bitsandbytes is not installed"
        hint = "Leave --four-bit out." if not cuda else "pip install 'vouchrec[qlora]'"
        raise ConfigError(f"4-bit training is not possible: {problem}.", hint=hint)
    return wanted != "off" and cuda and library


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep loading free of bars and warnings; what matters is checked."""
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(level)


# ---- what can be wrong ------------------------------------------------------------------------------------------


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or Path(name).exists()


def _config(name: str, path: str) -> PretrainedConfig:
    if _is_path(path) and not (Path(path) / "config.json").is_file():
        problem = "there is no such folder" if not Path(path).exists() else "it has no config.json"
        raise ConfigError(f"{name} is not a model: {problem}.", hint="Give a folder in Hugging Face format or a name.")
    try:
        return cast("PretrainedConfig", AutoConfig.from_pretrained(path))
    except (OSError, ValueError, KeyError) as error:
        raise _unloadable(name, error) from error


def _check_writes(name: str, config: PretrainedConfig) -> None:
    kinds: list[str] = list(config.architectures or ())
    encodes = bool(kinds) and not any(part in kind for kind in kinds for part in _WRITES)
    if encodes or getattr(config, "is_encoder_decoder", False):
        what = kinds[0] if kinds else config.model_type
        hint = "Use a causal language model: Qwen, Llama, Gemma, SmolLM, GPT-2 and the like."
        raise ConfigError(f"{name} is a {what}, which does not write text from left to right.", hint=hint)


def _tokenizer(name: str, path: str) -> PreTrainedTokenizerFast:
    folder = Path(path)
    if folder.is_dir() and not any((folder / file).is_file() for file in _TOKENIZER_FILES):
        hint = f"A tokenizer is one of {', '.join(_TOKENIZER_FILES)}."  # transformers would make an empty one
        raise ConfigError(f"{name} has no tokenizer.", hint=hint)
    try:
        with quiet_transformers():
            return cast("PreTrainedTokenizerFast", AutoTokenizer.from_pretrained(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{name} has no tokenizer that can be loaded: {_first_line(error)}.") from error


def _unloadable(name: str, error: Exception) -> ConfigError:
    text = str(error)
    if "gated" in text.lower() or "401" in text or "403" in text:
        hint = f"Accept its licence on the page of {name}, then log in with `hf auth login`; or give a local folder."
        return ConfigError(f"{name} is gated: its owner gives it only to those who ask.", hint=hint)
    hint = "Give a folder with config.json, tokenizer and weights, or a Hugging Face name with a network."
    return ConfigError(f"{name} can't be loaded as a language model: {_first_line(error)}.", hint=hint)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


__all__ = [
    "BUILTIN",
    "PLAIN_TEMPLATE",
    "Base",
    "Quantise",
    "empty_model",
    "inspect_base",
    "load_for_training",
    "quiet_transformers",
    "use_four_bit",
]
