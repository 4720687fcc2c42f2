"""Shared plumbing of the client conformance kit: settings, case registry, reporting. Standard library only."""

import asyncio
import inspect
import json
import os
import sys
import time
import traceback

BASE_URL = os.environ.get("KIT_BASE_URL", "http://127.0.0.1:4010/v1").rstrip("/")
ROOT_URL = BASE_URL.removesuffix("/v1")
ANTHROPIC_URL = os.environ.get("KIT_ANTHROPIC_BASE_URL", ROOT_URL).rstrip("/")
API_KEY = os.environ.get("KIT_API_KEY", "sk-good")
BAD_KEY = os.environ.get("KIT_BAD_KEY", "sk-wrong-key")
MODEL = os.environ.get("KIT_MODEL", "gpt-4o-mini")
ANTHROPIC_MODEL = os.environ.get("KIT_ANTHROPIC_MODEL", "claude-sonnet-4-5")
EMBED_MODEL = os.environ.get("KIT_EMBED_MODEL", "text-embedding-3-small")
UNKNOWN_MODEL = os.environ.get("KIT_UNKNOWN_MODEL", "kit-no-such-model")
EXACT_USAGE = os.environ.get("KIT_EXACT_USAGE", "1") == "1"
SIMULATOR = os.environ.get("KIT_SIMULATOR", "0") == "1"  # behind the server there is a prompt cache
MOCK_CACHE = os.environ.get("KIT_MOCK_CACHE", "0") == "1"
STRICT = os.environ.get("KIT_STRICT", "0") == "1"  # count optional cases too
ONLY = [s for s in os.environ.get("KIT_ONLY_CASES", "").split(",") if s]
CASE_TIMEOUT = float(os.environ.get("KIT_CASE_TIMEOUT", "30"))

HELLO = "PONG hello from the mock upstream"
UNICODE = "naïve Straße 日本語 €uro – end"
EMOJI = "🚀👩‍👩‍👧 end"
# a 1x1 red PNG
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
DATA_URL = "data:image/png;base64," + PNG
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
PERSON_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}

_cases = []


class Skip(Exception):
    pass


def user(text):
    """One message of a user's."""
    return [{"role": "user", "content": text}]


def case(name, optional=False):
    """Register a case; optional ones are reported, yet only counted as failures with KIT_STRICT=1."""

    def deco(fn):
        _cases.append((name, fn, optional))
        return fn

    return deco


def eq(got, want, what="value"):
    """Both must be the same."""
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def usage_is(got_in, got_out, want_in=11, want_out=7):
    """Usage must be there, and the mock's."""
    assert all((got_in, got_out)), f"usage missing: in={got_in!r} out={got_out!r}"
    if EXACT_USAGE:
        eq((got_in, got_out), (want_in, want_out), "usage (prompt, completion)")


def raises(kinds, fn, check=None):
    """Fn must raise one of kinds; check(exception) may assert more."""
    try:
        fn()
    except kinds as e:
        if check:
            check(e)
        return e
    raise AssertionError(f"no error raised, want {kinds}")


_loop = asyncio.new_event_loop()  # one loop for all: some clients cache their HTTP pool per process


def _run_one(fn):
    if inspect.iscoroutinefunction(fn):
        return _loop.run_until_complete(asyncio.wait_for(fn(), CASE_TIMEOUT))
    return fn()


def needs_simulator():
    """Skip a case of prompt caches, where nobody behind the server has one."""
    if not SIMULATOR:
        raise Skip("needs an upstream with a prompt cache (KIT_SIMULATOR=1)")


def needs_mock_cache():
    """Skip a case that wants a mock which reports the cache's tokens: none does yet."""
    if not MOCK_CACHE:
        raise Skip("needs a mock that reports cached tokens (KIT_MOCK_CACHE=1)")


def main(client, version=""):
    """Run the cases, print a line for each, and exit."""
    passed = failed = skipped = 0
    report = []
    for name, fn, optional in _cases:
        full = f"{client} {name}"
        if ONLY and not any(o in full for o in ONLY):
            continue
        t = time.perf_counter()
        status, why = "PASS", ""
        try:
            _run_one(fn)
        except Skip as e:
            status, why = "SKIP", str(e)
        except BaseException as e:
            if isinstance(e, KeyboardInterrupt):
                raise
            status = "FAIL" if (STRICT or not optional) else "OPTF"
            why = f"{type(e).__name__}: {e}".replace("\n", " ")[:300]
            if os.environ.get("KIT_TRACE"):
                traceback.print_exc()
        ms = int((time.perf_counter() - t) * 1000)
        passed += status == "PASS"
        failed += status == "FAIL"
        skipped += status in ("SKIP", "OPTF")
        report.append({"client": client, "version": version, "case": name, "status": status, "ms": ms, "why": why})
        print(f"{status} {full} {ms}ms{('  -- ' + why) if why else ''}", flush=True)
    print(f"{client}@{version}: {passed} passed, {failed} failed, {skipped} skipped", flush=True)
    out = os.environ.get("KIT_REPORT")
    if out:
        with open(out, "a", encoding="utf-8") as f:
            f.writelines(json.dumps(r) + "\n" for r in report)
    sys.exit(1 if failed else 0)
