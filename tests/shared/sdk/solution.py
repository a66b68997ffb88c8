"""A solution's process for tests: reads a question a line, answers a line; all by the sync form of the SDK."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from center_sdk import CenterError, Credentials, Decision, Validator


def main() -> None:
    told = json.loads(sys.argv[1])
    credentials = Credentials.certificate(ca=told["ca"], certificate=told["certificate"], key=told["key"])
    with Validator.connect(told["address"], told["solution_id"], credentials, journal=told["journal"]) as validator:
        say("ready")
        for line in sys.stdin:
            try:
                say(answer(validator, json.loads(line)))
            except CenterError as error:
                say({"error": error.reason})


def answer(validator: Validator, question: dict[str, Any]) -> Any:
    token, action = question.get("token", ""), question.get("action", "search")
    match question["do"]:
        case "validate":
            cost = question.get("cost", 1)
            return [validator.validate(token, action, cost=cost).code.name for _ in range(question.get("times", 1))]
        case "until refused":
            allowed = 0
            while (decision := validator.validate(token, action)).allowed:
                allowed += 1
            return [allowed, decision.code.name]
        case "refused at":
            # When this process first refuses, by the clock that all processes of a machine share.
            while (decision := validator.validate(token, action, cost=0)).allowed:
                pass
            return [time.monotonic(), decision.code.name]
        case "threads":
            with ThreadPoolExecutor(question["threads"]) as pool:
                mine = range(question["times"])
                work = [
                    pool.submit(lambda: sum(validator.validate(token, action).allowed for _ in mine))
                    for _ in range(question["threads"])
                ]
                return sum(each.result() for each in work)
        case "fork":
            return [forked(validator.validate, token), forked(validator.peek, token)]
    raise ValueError(question)


def forked(decide: Callable[[str, str], Decision], token: str) -> str:
    """What a child gets of its parent's validator; empty when it gets no answer."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        signal.alarm(10)
        try:
            word = decide(token, "search").code.name
        except CenterError as error:
            word = type(error).__name__
        os.write(writing, word.encode())
        os._exit(0)
    os.close(writing)
    word = os.read(reading, 100).decode()
    os.waitpid(child, 0)
    return word


def say(word: Any) -> None:
    sys.stdout.write(json.dumps(word) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
