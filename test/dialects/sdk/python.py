"""Python's SDKs for the suites: a question as a line of JSON on stdin, what came of it as a line on stdout."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock

import anthropic
import openai

at_once_max = 4


# Making a client takes Python longer than a call.
@cache
def openai_at(url):
    return openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)


@cache
def anthropic_at(url):
    return anthropic.Anthropic(base_url=url, api_key="k", max_retries=0)


def plain(value):
    """What an SDK gave, as JSON that it takes back."""
    return value.model_dump(mode="json", exclude_none=True, warnings=False)


def picture(asked):
    return f"data:image/png;base64,{asked['image']}"


def chat_params(asked):
    content = asked["prompt"]
    if asked["image"]:
        content = [
            {"type": "text", "text": content},
            {"type": "image_url", "image_url": {"url": picture(asked)}},
        ]
    params = {"model": asked["model"], "messages": [{"role": "user", "content": content}]}
    if asked["before"]:
        params["messages"].append(asked["before"]["raw"])
        for result in asked["before"]["results"]:
            answer = {"role": "tool", "tool_call_id": result["call"]["id"], "content": result["text"]}
            params["messages"].append(answer)
    if asked["tokensMax"]:
        params["max_completion_tokens"] = asked["tokensMax"]
    if asked["tools"]:
        params["tools"] = [{"type": "function", "function": tool} for tool in asked["tools"]]
        choice = asked["choice"]
        named = {"type": "function", "function": choice}
        params["tool_choice"] = choice if isinstance(choice, str) else named
    if asked["schema"]:
        form = {"name": "person", "schema": asked["schema"], "strict": True}
        params["response_format"] = {"type": "json_schema", "json_schema": form}
    return params


def chat(url, asked):
    client = openai_at(url)
    params = {**chat_params(asked), "extra_headers": asked["headers"]}
    pieces = 0
    if asked["stream"]:
        usage = {"include_usage": True}
        with client.chat.completions.stream(**params, stream_options=usage) as stream:
            for event in stream:
                pieces += event.type in ("content.delta", "tool_calls.function.arguments.delta")
            # The SDK's own end refuses a reply that was cut, which is what some cases want to see.
            reply = stream.current_completion_snapshot
    else:
        reply = client.chat.completions.create(**params)
    message = reply.choices[0].message
    calls = [
        {"id": call.id, "name": call.function.name, "input": json.loads(call.function.arguments)}
        for call in message.tool_calls or []
    ]
    finishes = {"stop": "stop", "length": "length", "tool_calls": "calls"}
    raw = plain(message)
    for call in raw.get("tool_calls", []):
        call["function"].pop("parsed_arguments", None)
        call.pop("index", None)
    raw.pop("parsed", None)
    return {
        "text": message.content or "",
        "calls": calls,
        "pieces": pieces,
        "finish": finishes.get(reply.choices[0].finish_reason, "none"),
        "inputTokens": reply.usage.prompt_tokens if reply.usage else 0,
        "outputTokens": reply.usage.completion_tokens if reply.usage else 0,
        "raw": raw,
    }


def responses_params(asked):
    content = [{"type": "input_text", "text": asked["prompt"]}]
    if asked["image"]:
        content.append({"type": "input_image", "image_url": picture(asked), "detail": "auto"})
    params = {"model": asked["model"], "input": [{"role": "user", "content": content}]}
    if asked["before"]:
        params["input"] += asked["before"]["raw"]
        for result in asked["before"]["results"]:
            answer = {"call_id": result["call"]["id"], "output": result["text"]}
            params["input"].append({"type": "function_call_output", **answer})
    if asked["tokensMax"]:
        params["max_output_tokens"] = asked["tokensMax"]
    if asked["tools"]:
        params["tools"] = [{"type": "function", "strict": False, **tool} for tool in asked["tools"]]
        choice = asked["choice"]
        params["tool_choice"] = choice if isinstance(choice, str) else {"type": "function", **choice}
    if asked["schema"]:
        form = {"type": "json_schema", "name": "person", "schema": asked["schema"], "strict": True}
        params["text"] = {"format": form}
    return params


def responses(url, asked):
    client = openai_at(url)
    params = {**responses_params(asked), "extra_headers": asked["headers"]}
    pieces = 0
    if asked["stream"]:
        deltas = ("response.output_text.delta", "response.function_call_arguments.delta")
        ends = ("response.completed", "response.incomplete")
        reply = None
        for event in client.responses.create(**params, stream=True):
            pieces += event.type in deltas
            if event.type in ends:
                reply = event.response
    else:
        reply = client.responses.create(**params)
    calls = [
        {"id": item.call_id, "name": item.name, "input": json.loads(item.arguments)}
        for item in reply.output
        if item.type == "function_call"
    ]
    finishes = {"completed": "calls" if calls else "stop", "incomplete": "length"}
    return {
        "text": reply.output_text,
        "calls": calls,
        "pieces": pieces,
        "finish": finishes.get(reply.status, "none"),
        "inputTokens": reply.usage.input_tokens if reply.usage else 0,
        "outputTokens": reply.usage.output_tokens if reply.usage else 0,
        "raw": [plain(item) for item in reply.output],
    }


def messages_params(asked):
    content = [{"type": "text", "text": asked["prompt"]}]
    if asked["image"]:
        source = {"type": "base64", "media_type": "image/png", "data": asked["image"]}
        content.insert(0, {"type": "image", "source": source})
    messages = [{"role": "user", "content": content}]
    if asked["before"]:
        messages.append({"role": "assistant", "content": asked["before"]["raw"]})
        results = [
            {"type": "tool_result", "tool_use_id": result["call"]["id"], "content": result["text"]}
            for result in asked["before"]["results"]
        ]
        messages.append({"role": "user", "content": results})
    params = {"model": asked["model"], "messages": messages, "max_tokens": asked["tokensMax"] or 1024}
    if asked["tools"]:
        params["tools"] = [
            {"name": tool["name"], "input_schema": tool["parameters"]} for tool in asked["tools"]
        ]
        choices = {"auto": {"type": "auto"}, "required": {"type": "any"}}
        choice = asked["choice"]
        params["tool_choice"] = choices[choice] if isinstance(choice, str) else {"type": "tool", **choice}
    if asked["schema"]:
        params["output_config"] = {"format": {"type": "json_schema", "schema": asked["schema"]}}
    return params


def messages(url, asked):
    client = anthropic_at(url)
    params = {**messages_params(asked), "extra_headers": asked["headers"]}
    pieces = 0
    if asked["stream"]:
        with client.messages.stream(**params) as stream:
            for event in stream:
                pieces += event.type in ("text", "input_json")
            reply = stream.get_final_message()
    else:
        reply = client.messages.create(**params)
    finishes = {"end_turn": "stop", "max_tokens": "length", "tool_use": "calls"}
    raw = [plain(block) for block in reply.content]
    for block in raw:
        block.pop("parsed_output", None)
    return {
        "text": "".join(block.text for block in reply.content if block.type == "text"),
        "calls": [
            {"id": block.id, "name": block.name, "input": block.input}
            for block in reply.content
            if block.type == "tool_use"
        ],
        "pieces": pieces,
        "finish": finishes.get(reply.stop_reason, "none"),
        "inputTokens": reply.usage.input_tokens,
        "outputTokens": reply.usage.output_tokens,
        "raw": raw,
    }


clients = {
    "Python openai, chat": chat,
    "Python openai, responses": responses,
    "Python anthropic": messages,
}
printing = Lock()


def answer(line):
    job = json.loads(line)
    try:
        came = {"heard": clients[job["client"]](job["url"], job["asked"])}
    except Exception as error:
        status = getattr(error, "status_code", None)
        came = {"failure": {"kind": type(error).__name__, "status": status, "message": str(error)}}
    with printing:
        print(json.dumps({"id": job["id"], **came}), flush=True)


with ThreadPoolExecutor(at_once_max) as pool:
    for line in sys.stdin:
        pool.submit(answer, line)
