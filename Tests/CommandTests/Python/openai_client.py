"""Talks to a running server with the official client; prints one line per check, and fails at the first wrong one."""
import json
import sys
from typing import Literal

import openai
from openai import OpenAI
from pydantic import BaseModel, Field

client = OpenAI(base_url=sys.argv[1] + "/v1", api_key=sys.argv[2], max_retries=0, timeout=60)
model = client.models.list().data[0].id
question = [{"role": "system", "content": "You tell stories."}, {"role": "user", "content": "Tell me about Lily"}]


def check(name, condition, detail=""):
    print("ok" if condition else "WRONG", name, detail if not condition else "")
    if not condition:
        sys.exit(1)


chat = client.chat.completions.create(model=model, messages=question, max_tokens=30, temperature=0)
check("chat", chat.choices[0].message.role == "assistant" and len(chat.choices[0].message.content) > 10)
check("usage", chat.usage.completion_tokens == 30 and chat.usage.total_tokens == chat.usage.prompt_tokens + 30)
check("finish", chat.choices[0].finish_reason == "length")

stream = client.chat.completions.create(
    model=model, messages=question, max_completion_tokens=30, temperature=0, stream=True,
    stream_options={"include_usage": True})
parts = list(stream)
text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
check("streamed chat", text == chat.choices[0].message.content, repr(text))
check("streamed usage", parts[-1].usage.completion_tokens == 30 and not parts[-1].choices)

whole = client.completions.create(model=model, prompt="Once upon a time", max_tokens=20, temperature=0)
check("completion", "a little girl named Lily" in whole.choices[0].text, whole.choices[0].text)
stop = client.completions.create(model=model, prompt="Once upon a time", max_tokens=20, temperature=0, stop=["girl"])
check("stop", stop.choices[0].text == ", there was a little " and stop.choices[0].finish_reason == "stop")

probabilities = client.chat.completions.create(
    model=model, messages=question, max_tokens=5, temperature=0, logprobs=True, top_logprobs=4)
content = probabilities.choices[0].logprobs.content
check("logprobs", len(content) == 5 and all(len(item.top_logprobs) == 4 and item.logprob <= 0 for item in content))

several = client.completions.create(model=model, prompt="Once", max_tokens=12, temperature=1, n=3, seed=1)
again = client.completions.create(model=model, prompt="Once", max_tokens=12, temperature=1, n=3, seed=1)
check("n", [choice.index for choice in several.choices] == [0, 1, 2])
check("seed", [choice.text for choice in several.choices] == [choice.text for choice in again.choices])

echo = client.completions.create(model=model, prompt="Once upon a time", max_tokens=0, echo=True, logprobs=1)
likelihoods = echo.choices[0].logprobs.token_logprobs
check("echo", likelihoods[0] is None and all(value < 0 for value in likelihoods[1:]) and len(likelihoods) == 5)

response = client.responses.create(
    model=model, instructions="You tell stories.", input="Tell me about Lily", max_output_tokens=30, temperature=0)
check("response", response.output_text == chat.choices[0].message.content, response.output_text)
events = list(client.responses.create(
    model=model, instructions="You tell stories.", input="Tell me about Lily", max_output_tokens=30, temperature=0,
    stream=True))
check("streamed response", "".join(event.delta for event in events if event.type == "response.output_text.delta")
      == response.output_text)
check("its end", events[-1].type == "response.incomplete" and events[-1].response.output_text == response.output_text)


class Weather(BaseModel):
    """Its members are not in the order of the alphabet."""
    town: Literal["Bonn", "Ulm"]
    days: int = Field(ge=1, le=9)
    city: Literal["yes", "no"]


def is_weather(text):
    return list(json.loads(text)) == ["town", "days", "city"] and Weather.model_validate_json(text)


tool = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather.", "parameters": Weather.model_json_schema()}}
weather = [{"role": "user", "content": "How is the weather in Bonn?"}]
forced = {"model": model, "messages": weather, "tools": [tool], "tool_choice": "required", "max_tokens": 300, "seed": 3}
called = client.chat.completions.create(**forced, parallel_tool_calls=False)
message = called.choices[0].message
check("tool call", called.choices[0].finish_reason == "tool_calls" and len(message.tool_calls) == 1, called)
check("its arguments", is_weather(message.tool_calls[0].function.arguments), message)
with client.chat.completions.stream(**forced, parallel_tool_calls=False) as stream:
    kinds = {event.type for event in stream}
    final = stream.get_final_completion().choices[0]
check("streamed tool call", final.message.tool_calls[0].function.arguments == message.tool_calls[0].function.arguments
      and final.finish_reason == "tool_calls" and "tool_calls.function.arguments.done" in kinds, kinds)
result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Rain."}
after = client.chat.completions.create(
    model=model, messages=[*weather, message, result], tools=[tool], tool_choice="none", max_tokens=10)
check("after the tool", after.choices[0].message.content and not after.choices[0].message.tool_calls, after)
parsed = client.chat.completions.parse(model=model, messages=weather, response_format=Weather, max_tokens=300)
check("structured output", is_weather(parsed.choices[0].message.content) and parsed.choices[0].message.parsed.days > 0)
free = client.chat.completions.create(
    model=model, messages=weather, response_format={"type": "json_object"}, max_tokens=3)
check("JSON mode", free.choices[0].message.content.lstrip().startswith("{"), free)

function = {"type": "function", "name": "get_weather", "parameters": Weather.model_json_schema(), "strict": False}
asked = {"model": model, "input": weather, "tools": [function], "tool_choice": "required", "max_output_tokens": 300}
response = client.responses.create(**asked, parallel_tool_calls=False)
[call] = response.output
check("response with a call", call.type == "function_call" and is_weather(call.arguments), response)
with client.responses.stream(**asked, parallel_tool_calls=False) as stream:
    arguments = "".join(event.delta for event in stream if event.type == "response.function_call_arguments.delta")
    final = stream.get_final_response()
check("streamed response with a call", is_weather(arguments) and final.output[0].arguments == arguments, final)
after = client.responses.create(
    model=model, tools=[function], tool_choice="none", max_output_tokens=10,
    input=[*weather, call, {"type": "function_call_output", "call_id": call.call_id, "output": "Rain."}])
check("response after the tool", len(after.output_text) > 0, after)
parsed = client.responses.parse(model=model, input=weather, text_format=Weather, max_output_tokens=300)
check("structured response", is_weather(parsed.output_text) and parsed.output_parsed.days > 0, parsed)
small = client.completions.create(
    model=model, prompt="Once", max_tokens=100, temperature=0, extra_body={"morphkv": {"policy": "h2o", "capacity": 64}})
check("extension", small.model_extra["morphkv"]["cache"]["policy"] == "h2o:capacity=64")


def raises(kind, name, call):
    try:
        call()
    except kind as error:
        check(name, True)
        return error
    except Exception as error:
        check(name, False, repr(error))
    check(name, False, "nothing was raised")


raises(openai.BadRequestError, "bad request", lambda: client.chat.completions.create(model=model, messages=[]))
error = raises(
    openai.BadRequestError, "bad parameter",
    lambda: client.completions.create(model=model, prompt="x", extra_body={"temperature": 9}))
check("parameter is named", error.param == "temperature")
raises(openai.NotFoundError, "unknown model", lambda: client.models.retrieve("none"))
other = client.completions.create(model="gpt-4.1", prompt="Once upon a time", max_tokens=20, temperature=0)
check("any model", other.choices[0].text == whole.choices[0].text and other.model == model)
stranger = OpenAI(base_url=sys.argv[1] + "/v1", api_key="wrong", max_retries=0)
raises(openai.AuthenticationError, "wrong key", lambda: stranger.models.list())
