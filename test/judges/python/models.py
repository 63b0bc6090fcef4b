"""The clients of providers for Python, with the SDK of an agent for their requests. Prints in JSON what each saw.

Its arguments: the address of the gateway's models, and the grants: one that pays, and one that is nearly spent.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import litellm
import openai
from bailiwick import Agent
from bailiwick.httpx2 import Auth

at, rich, poor = sys.argv[1:]
model = "small"
agent = Agent.from_env()


def hello(content: str = "Hi") -> list[Any]:
    return [{"role": "user", "content": content}]


def http(grant: str = rich, **settings: Any) -> httpx2.Client:
    return httpx2.Client(auth=Auth(agent, grant, patience=0), **settings)


def of_openai(grant: str = rich, **settings: Any) -> openai.OpenAI:
    settings = {"max_retries": 0, **settings}
    return openai.OpenAI(base_url=f"{at}/acme/v1", api_key="none", http_client=http(grant), **settings)


def of_anthropic(grant: str = rich) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=f"{at}/claudish", api_key="none", http_client=http(grant), max_retries=0)


def chat(client: openai.OpenAI, content: str = "Hi", **more: Any) -> str:
    made = client.chat.completions.create(model=model, messages=hello(content), max_completion_tokens=50, **more)
    return str(made.choices[0].message.content)


def streamed(client: openai.OpenAI, content: str = "Hi") -> str:
    chunks = client.chat.completions.create(model=model, messages=hello(content), max_completion_tokens=50, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def responded() -> str:
    return of_openai().responses.create(model=model, input="Hi", max_output_tokens=50).output_text


def response_types() -> list[str]:
    events = of_openai().responses.create(model=model, input="Hi", max_output_tokens=50, stream=True)
    return [event.type for event in events]


def embedded() -> list[float]:
    made = of_openai().embeddings.create(model="vectors", input=["a"], encoding_format="float")
    return made.data[0].embedding


def in_asyncio() -> list[str]:
    async def both() -> list[str]:
        async with httpx2.AsyncClient(auth=Auth(agent, rich)) as client:
            sdk = openai.AsyncOpenAI(base_url=f"{at}/acme/v1", api_key="none", http_client=client)
            asked = [
                sdk.chat.completions.create(model=model, messages=hello(), max_completion_tokens=50) for _ in range(2)
            ]
            return [str(made.choices[0].message.content) for made in await asyncio.gather(*asked)]

    return asyncio.run(both())


def message() -> str:
    made = of_anthropic().messages.create(model=model, messages=hello(), max_tokens=50)
    return str(made.content[0].text)


def message_streamed() -> list[Any]:
    with of_anthropic().messages.stream(model=model, messages=hello(), max_tokens=50) as stream:
        final = stream.get_final_message()
    return [final.content[0].text, final.usage.output_tokens]


def counted() -> int:
    return of_anthropic().messages.count_tokens(model=model, messages=hello()).input_tokens


def through_litellm(**more: Any) -> Any:
    return litellm.completion(model=f"openai/{model}", messages=hello(), max_tokens=50, client=of_openai(), **more)


def litellm_whole() -> str:
    return through_litellm().choices[0].message.content


def litellm_streamed() -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in through_litellm(stream=True))


def fault(run: Callable[[], Any]) -> list[Any]:
    """What a client says of an answer that is none: the class of its error, and the status and code if there are any."""
    try:
        return ["answered", run()]
    except Exception as error:  # noqa: BLE001: the test is about the errors of the client
        return [type(error).__name__, getattr(error, "status_code", None), getattr(error, "code", None)]


seen = {
    "chat": lambda: chat(of_openai()),
    "chat streamed": lambda: streamed(of_openai()),
    "response": responded,
    "response streamed": lambda: response_types()[-1],
    "vectors": embedded,
    "models": lambda: [each.id for each in of_openai().models.list()],
    "in asyncio": in_asyncio,
    "message": message,
    "message streamed": message_streamed,
    "counted": counted,
    "litellm": litellm_whole,
    "litellm streamed": litellm_streamed,
    "a member without a rule": lambda: fault(lambda: chat(of_openai(), n=2)),
    "an empty budget": lambda: fault(lambda: chat(of_openai(poor))),
    "an empty budget, of Anthropic": lambda: fault(
        lambda: of_anthropic(poor).messages.create(model=model, messages=hello(), max_tokens=50)
    ),
    "no usage": lambda: streamed(of_openai(), "omit"),
    "a lie about usage": lambda: chat(of_openai(), "lie"),
    "cut in the middle of an event": lambda: fault(lambda: streamed(of_openai(), "cut")),
    "cut in the middle of an answer": lambda: fault(lambda: chat(of_openai(), "break")),
    "a stall": lambda: fault(lambda: streamed(of_openai(timeout=httpx2.Timeout(10, read=1)), "stall")),
    "429 of the provider": lambda: fault(lambda: chat(of_openai(), "slow down")),
}
print(json.dumps({name: run() for name, run in seen.items()}))
