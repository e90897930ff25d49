"""The official Python SDK, unmodified, against a running gateway. Base URL and keys come from the environment."""

import os

import openai
from openai import OpenAI

model = os.environ["MODEL"]
tools_model = os.environ["TOOLS_MODEL"]
client = OpenAI(max_retries=0, timeout=120)  # OPENAI_BASE_URL and OPENAI_API_KEY

listed = [m.id for m in client.models.list()]
assert model in listed, listed
assert client.models.retrieve(model).id == model

hello = [{"role": "user", "content": "Say hello."}]
plain = client.chat.completions.create(model=model, messages=hello, max_tokens=24, temperature=0)
assert plain.choices[0].message.content, plain
assert plain.usage.total_tokens == plain.usage.prompt_tokens + plain.usage.completion_tokens, plain.usage
assert plain.model == model, plain.model

text, usage, finish = "", None, None
with client.chat.completions.create(
    model=model, messages=hello, max_tokens=24, temperature=0, stream=True, stream_options={"include_usage": True}
) as stream:
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
assert text == plain.choices[0].message.content, (text, plain)
assert finish == plain.choices[0].finish_reason, finish
assert usage and usage.completion_tokens == plain.usage.completion_tokens, usage

weather = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
asked = [{"role": "user", "content": "What is the weather in Oslo?"}]
first = client.chat.completions.create(model=tools_model, messages=asked, tools=[weather], tool_choice="auto")
call = first.choices[0].message.tool_calls[0]
assert first.choices[0].finish_reason == "tool_calls", first
assert call.function.name == "weather", call
second = client.chat.completions.create(
    model=tools_model,
    messages=asked
    + [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": '{"celsius": 4}'}],
    tools=[weather],
)
assert second.choices[0].message.content, second
pieces = []
for chunk in client.chat.completions.create(model=tools_model, messages=asked, tools=[weather], stream=True):
    for choice in chunk.choices:
        for part in choice.delta.tool_calls or []:
            pieces.append(part.function.arguments or "")
assert "".join(pieces) == call.function.arguments, pieces


def refused(kind, status, code, **call):
    try:
        call.pop("client", client).chat.completions.create(**call)
    except kind as error:
        assert error.status_code == status, error
        assert error.code == code, (error.code, error)
        assert error.request_id, "no request id"
        return
    raise AssertionError(f"{kind.__name__} was expected")


refused(openai.AuthenticationError, 401, "invalid_api_key", client=client.with_options(api_key="wrong"), model=model, messages=hello)
refused(openai.NotFoundError, 404, "model_not_found", model="no-such-model", messages=hello)
refused(openai.BadRequestError, 400, "unknown_parameter", model=model, messages=hello, extra_body={"api_base": "http://x"})
refused(openai.BadRequestError, 400, "invalid_type", model=model, messages=hello, extra_body={"temperature": "warm"})
print("chatted: plain, streamed, tools, errors")
