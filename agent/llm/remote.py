"""An OpenAI-compatible server (vLLM, SGLang, Ollama, llama.cpp, `transformers serve`) behind the language-model seam.

The JSON schema is sent as `response_format`; servers exist that ignore it, so the caller validates what comes back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import httpx

from vouchrec.agent.llm.base import Completion, JsonSchema, Message
from vouchrec.retrieval.errors import ModelError

RETRIES = 2
"""Further attempts after a failed request (a lost connection, 429, 5xx)."""
_PARALLEL = 8


class RemoteModel:
    """A model served elsewhere.

    Args:
        name: What the server calls the model.
        base_url: Up to and including `/v1`.
        api_key: Sent as a bearer token; never logged.
        timeout: Seconds for one request.

    Raises:
        ModelError: The address or the key can't be one.
    """

    specialist = False

    def __init__(self, name: str, base_url: str, *, api_key: str = "", timeout: float = 60.0) -> None:
        self.name = name
        key = api_key.strip()
        if not (key.isascii() and key.isprintable()):
            raise ModelError("The API key has characters that no key has.", hint="Copy it again.")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._client = httpx.Client(base_url=base_url.rstrip("/") + "/", headers=headers, timeout=timeout)
        except httpx.InvalidURL as error:
            raise ModelError(
                f"'{base_url}' is no address: {error}.", hint="Give one like http://host:8000/v1."
            ) from error

    def generate(
        self,
        messages: Sequence[Message],
        *,
        constraint: JsonSchema | None = None,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """Yield the answer in pieces as the server sends them.

        Raises:
            ModelError: The server can't be reached or refuses.
        """
        body = self._body(messages, constraint, max_tokens, temperature, seed) | {"stream": True}
        try:
            with self._client.stream("POST", "chat/completions", json=body) as response:
                if response.is_error:
                    response.read()
                    raise _refused(self.name, response)
                for line in response.iter_lines():
                    if line.startswith("data:") and line[5:].strip() != "[DONE]":
                        yield _delta(line[5:])
        except httpx.HTTPError as error:
            raise _unreachable(self._client.base_url, error) from error

    def complete(
        self,
        batch: Sequence[Sequence[Message]],
        *,
        n: int = 1,
        constraint: JsonSchema | None = None,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[list[Completion]]:
        """Return n answers for each prompt, requested in parallel.

        Raises:
            ModelError: The server can't be reached, refuses, or answers in another format.
        """

        def one(job: tuple[Sequence[Message], int]) -> Completion:
            messages, sample = job
            body = self._body(messages, constraint, max_tokens, temperature, seed + sample)
            return _completion(self._post(body))

        jobs = [(messages, sample) for messages in batch for sample in range(n)]
        with ThreadPoolExecutor(max_workers=min(_PARALLEL, max(1, len(jobs)))) as pool:
            done = list(pool.map(one, jobs))
        return [done[i * n : (i + 1) * n] for i in range(len(batch))]

    def score(self, messages: Sequence[Message], choices: Sequence[str]) -> list[float]:
        """Not offered: chat servers give no log-probabilities of a given answer.

        Raises:
            ModelError: Always.
        """
        del messages, choices
        raise ModelError(f"{self.name} is served elsewhere and can't score given answers.", hint="Use a local model.")

    def tokens(self, messages: Sequence[Message]) -> int:
        """Return an estimate: four characters per token."""
        return sum(len(m.content) for m in messages) // 4

    def _body(
        self, messages: Sequence[Message], constraint: JsonSchema | None, max_tokens: int, temperature: float, seed: int
    ) -> dict[str, object]:
        body: dict[str, object] = {
            "model": self.name,
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
        }
        if constraint is not None:
            schema = {"name": "answer", "schema": dict(constraint), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def _post(self, body: dict[str, object]) -> dict[str, object]:
        for attempt in range(RETRIES + 1):
            last = attempt == RETRIES
            try:
                response = self._client.post("chat/completions", json=body)
            except httpx.HTTPError as error:
                if last:
                    raise _unreachable(self._client.base_url, error) from error
            else:
                if response.is_success:
                    return _json(response)
                if last or response.status_code not in (429, 500, 502, 503, 504):
                    raise _refused(self.name, response)
            time.sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable")


def _json(response: httpx.Response) -> dict[str, object]:
    try:
        return cast("dict[str, object]", response.json())
    except ValueError as error:
        raise ModelError("The model server answered with something that is not JSON.") from error


def _completion(data: dict[str, object]) -> Completion:
    try:
        choice = cast("list[dict[str, object]]", data["choices"])[0]
        text = cast("dict[str, object]", choice["message"])["content"]
        finished = choice.get("finish_reason") != "length"
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ModelError("The model server's answer has no choices[0].message.content.") from error
    return Completion(_unfenced(text if isinstance(text, str) else ""), finished=finished)


def _unfenced(text: str) -> str:
    """Take off the code fence that some models put around JSON."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```"):
        return stripped.removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    return stripped


def _delta(line: str) -> str:
    try:
        choices = json.loads(line)["choices"]  # empty in the last piece of some servers, which carries the usage
        return choices[0]["delta"].get("content") or "" if choices else ""
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError("The model server streamed something that is not a chat completion.") from error


def _refused(name: str, response: httpx.Response) -> ModelError:
    hint = {
        401: "Check the API key.",
        403: "Check the API key.",
        404: "Check the model's name and that the address ends in /v1.",
    }.get(response.status_code, "Look at the server's log.")
    return ModelError(f"The model server refused '{name}': {response.status_code} {response.text[:200]!r}.", hint=hint)


def _unreachable(url: httpx.URL, error: httpx.HTTPError) -> ModelError:
    return ModelError(f"The model server at {url} can't be reached: {error}.", hint="Is it running?")
