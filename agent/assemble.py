"""open_agent(): configuration -> a ready agent. The only place where the parts are wired."""

from __future__ import annotations

import threading
from pathlib import Path

from vouchrec.agent.link import Linker
from vouchrec.agent.llm.base import LanguageModel
from vouchrec.agent.opinion import SecondReader
from vouchrec.agent.verify import Verifier
from vouchrec.retrieval.interactions import is_explicit
from vouchrec.retrieval.types import Item
from vouchrec.retrieval.workspace import Workspace

BUILTIN_MODEL = "builtin"


class Agent:
    """A workspace, a language model and what links them; shared by all conversations of a process.

    Args:
        workspace: An open workspace.
        model: Any implementation of the language-model seam.
        second: Checks the model's reading of messages; none for models that need no help.
        reranks: The model orders the best candidates of every list; see `vouchrec.agent.rerank`.
    """

    def __init__(
        self,
        workspace: Workspace,
        model: LanguageModel,
        second: SecondReader | None = None,
        *,
        reranks: bool = False,
    ) -> None:
        self.workspace = workspace
        self.model = model
        self.second = second
        self.reranks = reranks
        self.linker = Linker(workspace.catalogue, workspace.standing)
        self.verifier = Verifier(workspace.catalogue, self.linker.gazetteer)
        self.explicit_ratings = is_explicit([i.value for i in workspace.store.interactions()])
        self._lock = threading.Lock()

    def add_items(self, items: list[Item]) -> int:
        """Add or change items; each can be recommended and named when this returns. Returns how many."""
        with self._lock:
            count = self.workspace.add_items(items)
            for item in items:
                self.linker.gazetteer.add_item(self.workspace.catalogue.row(item.id))
        return count


def open_agent(
    workspace: Workspace,
    *,
    model: str = BUILTIN_MODEL,
    adapter: Path | None = None,
    base_url: str = "",
    api_key: str = "",
    reranks: bool = False,
) -> Agent:
    """Return an agent.

    Args:
        model: `builtin`, a folder or Hugging Face name, or with `base_url` the name that the server knows.
        adapter: Folder of a LoRA adapter for a local model.
        base_url: Address of an OpenAI-compatible server, such as `http://127.0.0.1:8000/v1`.
        reranks: The model orders the best candidates; worth it only where `vouchrec.evals.reranking` shows that it wins.

    Raises:
        ModelError: The model, adapter or server can't be used.
    """
    opened = open_model(model, adapter=adapter, base_url=base_url, api_key=api_key)
    return Agent(workspace, opened, open_second(model, base_url=base_url), reranks=reranks)


def open_second(model: str = BUILTIN_MODEL, *, base_url: str = "") -> SecondReader | None:
    """Return the second reader that belongs to a model: only the built-in one has one.

    Raises:
        ModelError: Its packaged weights are absent or damaged.
    """
    if base_url or model != BUILTIN_MODEL:
        return None
    from vouchrec.agent.llm.local import BUILTIN_DIR
    from vouchrec.agent.llm.tagger import SpanTagger

    return SpanTagger(BUILTIN_DIR / "tagger")


def open_model(
    model: str = BUILTIN_MODEL, *, adapter: Path | None = None, base_url: str = "", api_key: str = ""
) -> LanguageModel:
    """Return a language model; see `open_agent`."""
    if base_url:
        from vouchrec.agent.llm.remote import RemoteModel

        return RemoteModel(model, base_url, api_key=api_key)
    # torch and transformers are loaded only where a local model is wanted.
    from vouchrec.agent.llm.local import LocalModel, builtin_model

    if model == BUILTIN_MODEL:
        return builtin_model(adapter=adapter)
    return LocalModel(model, adapter=adapter)
