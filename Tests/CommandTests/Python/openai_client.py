"""Talks to a running server with the official client; prints one line per check, and fails at the first wrong one."""
import sys

import openai
from openai import OpenAI

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
