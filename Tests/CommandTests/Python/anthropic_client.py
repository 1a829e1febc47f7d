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
