"""Talks to a running server with Anthropic's official client; prints one line per check, and fails at the first wrong one."""
import sys

import anthropic
from anthropic import Anthropic

client = Anthropic(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0, timeout=60)
question = [{"role": "user", "content": "Tell me about Lily"}]


def check(name, condition, detail=""):
    print("ok" if condition else "WRONG", name, detail if not condition else "")
    if not condition:
        sys.exit(1)


message = client.messages.create(
    model="any", max_tokens=30, temperature=0, system="You tell stories.", messages=question)
check("message", message.role == "assistant" and len(message.content[0].text) > 10)
check("usage", message.usage.output_tokens == 30 and message.stop_reason == "max_tokens")

with client.messages.stream(
        model="any", max_tokens=30, temperature=0, system="You tell stories.", messages=question) as stream:
    text = "".join(stream.text_stream)
    final = stream.get_final_message()
check("streamed message", text == message.content[0].text, repr(text))
check("streamed end", final.stop_reason == "max_tokens" and final.usage.output_tokens == 30)

count = client.messages.count_tokens(model="any", system="You tell stories.", messages=question)
check("count", count.input_tokens == message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0))

word = message.content[0].text.split()[3]
stop = client.messages.create(
    model="any", max_tokens=30, temperature=0, system="You tell stories.", messages=question, stop_sequences=[word])
check("stop", stop.stop_reason == "stop_sequence" and stop.stop_sequence == word)

schema = {
    "type": "object", "required": ["town", "days", "city"], "additionalProperties": False, "properties": {
        "town": {"enum": ["Bonn", "Ulm"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9},
        "city": {"enum": ["yes", "no"]}}}
weather = [{"role": "user", "content": "How is the weather in Bonn?"}]
asked = {"model": "any", "max_tokens": 300, "messages": weather, "tools": [
    {"name": "get_weather", "description": "The weather.", "input_schema": schema}]}
forced = {"type": "any", "disable_parallel_tool_use": True}


def is_weather(value):
    return (list(value) == ["town", "days", "city"] and value["town"] in ["Bonn", "Ulm"] and 1 <= value["days"] <= 9
            and value["city"] in ["yes", "no"])


called = client.messages.create(**asked, tool_choice=forced)
[use] = called.content
check("tool call", called.stop_reason == "tool_use" and use.type == "tool_use" and use.name == "get_weather", called)
check("its input", is_weather(use.input), use)
with client.messages.stream(**asked, tool_choice=forced) as stream:
    parts = [event.partial_json for event in stream if event.type == "input_json"]
    final = stream.get_final_message()
check("streamed tool call", final.stop_reason == "tool_use" and is_weather(final.content[0].input) and parts, final)
result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "Rain."}]}
after = client.messages.create(
    **asked | {"messages": [*weather, {"role": "assistant", "content": called.content}, result], "max_tokens": 10},
    tool_choice={"type": "none"})
check("after the tool", after.content[0].type == "text" and len(after.content[0].text) > 0, after)
count = client.messages.count_tokens(model="any", messages=weather, tools=asked["tools"])
check("count with tools", count.input_tokens == called.usage.input_tokens + (called.usage.cache_read_input_tokens or 0))

try:
    client.messages.create(model="any", max_tokens=0, messages=[])
    check("bad request", False, "nothing was raised")
except anthropic.BadRequestError as error:
    check("bad request", error.body["type"] == "error")
try:
    Anthropic(base_url=sys.argv[1], api_key="wrong", max_retries=0).messages.create(
        model="any", max_tokens=5, messages=question)
    check("wrong key", False, "nothing was raised")
except anthropic.AuthenticationError:
    check("wrong key", True)
