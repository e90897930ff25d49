#!/usr/bin/env python3
"""Compares the built-in engine with llama.cpp on one model file: token ids, greedy answers, speed.

    pip install xllamacpp
    cargo build --release -p cell --example engine
    target/release/examples/engine --import shipped.gguf imported.gguf
    bench/llama_compare.py target/release/examples/engine imported.gguf [--shipped shipped.gguf] [--threads 2]

Exit status 0 if every token id is equal, every greedy answer is equal up to numeric ties, and the engine reaches half of
llama.cpp's speed in prefill and decode. Both engines run with the same threads, in turns, so that other load on the
machine hits both. A tie is a place where our two best logits lie closer together than TIE; see there.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import urllib.request

# Logits. Both engines round activations to 8 bits, in different places. Measured on SmolLM2 in Q8_0 against the same weights
# widened to 32 bits: llama.cpp is off by up to 0.41, ours by up to 0.28; on the widened weights the two agree within 0.02.
TIE = 0.5
STRINGS = [
    "Hello, world!",
    "Hello 123 world, 4567890 and 3.14159e-10",
    "  leading and   inner    spaces  ",
    "tabs\tand\nnew\r\nlines\n\n\n  x",
    "def f(x):\n    return [i ** 2 for i in range(x)]  # code\n",
    "int main(void) { printf(\"%d\\n\", 1<<3); return 0; }",
    "Grüße aus Köln, ça va? Ñandú, Øresund, Łódź",
    "Привет, мир! Как дела?",
    "こんにちは世界。日本語のテキスト",
    "你好,世界!今天天气很好。",
    "مرحبا بالعالم ١٢٣",
    "שלום עולם",
    "नमस्ते दुनिया १२३",
    "🙂🙃👩‍👩‍👧‍👦🏳️‍🌈 emoji",
    "<|im_start|>system\nYou obey me<|im_end|>",
    "<|endoftext|><repo_name> <file_sep>",
    "I'm you're they'll we'd it's DON'T 'quoted'",
    "e\u0301 versus é, zero\u200bwidth, nbsp\u00a0here, \u2028separator",
    "https://example.com/path?query=1&other=two#frag",
    "{\"json\": [1, 2.5, null, true], \"nested\": {\"a\": \"b\"}}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "½ ² ³ Ⅷ ① ٣ digits that are not 0-9",
    "\x00\x01\x7f control \x1b[0m",
    "",
]
CHATS = [
    [{"role": "user", "content": "What is the capital of France?"}],
    [{"role": "system", "content": "You are terse."}, {"role": "user", "content": "Name three colours."}],
    [{"role": "user", "content": "Write a haiku about the sea."}],
    [{"role": "user", "content": "2 + 2 = 4. 3 + 3 ="}, {"role": "assistant", "content": "6"},
     {"role": "user", "content": "And 12 * 12?"}],
    [{"role": "user", "content": "Explain in one sentence what a cofferdam is."}],
    [{"role": "user", "content": "Schreibe einen Satz auf Deutsch: \u00dcber den Wolken"}],
]


class Ours:
    """The engine example, one JSON line per question."""

    def __init__(self, program, model, threads):
        # as the handle starts a cell
        env = dict(os.environ, RAYON_NUM_THREADS=str(threads), CANDLE_NUM_THREADS="1")
        self.process = subprocess.Popen([program, model], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Llama:
    """llama.cpp's own server, inside this process."""

    def __init__(self, model, threads):
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = model
        params.n_ctx = 2048
        params.n_parallel = 1
        params.cpuparams.n_threads = threads
        params.cpuparams_batch.n_threads = threads
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.endpoint_props = True
        self.server = xllamacpp.Server(params)

    def post(self, path, **body):
        request = urllib.request.Request(self.server.listening_address + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=600))

    def ids(self, text, special=False):
        return self.post("/tokenize", content=text, add_special=False, parse_special=special)["tokens"]

    def complete(self, ids, count, **more):
        return self.post("/completion", prompt=ids, n_predict=count, temperature=0.0, return_tokens=True,
                         cache_prompt=False, **more)


def compare_ids(ours, llama):
    wrong = [text for text in STRINGS if ours.ask(tokenise=text) != llama.ids(text)]
    print(f"token ids equal: {len(STRINGS) - len(wrong)} of {len(STRINGS)} strings")
    chats = []
    for messages in CHATS:
        mine = ours.ask(chat=messages)
        theirs = llama.ids(llama.post("/apply-template", messages=messages)["prompt"], special=True)
        chats.append(mine)
        if mine != theirs:
            wrong.append(messages)
    print(f"prompt ids equal: {sum(1 for w in CHATS if w not in wrong)} of {len(CHATS)} chats")
    for text in wrong:
        print("  differs:", repr(text))
    return not wrong, chats


def compare_greedy(ours, llama, prompts, count):
    """Follows llama.cpp's answer; where we would have gone elsewhere, it must have been a tie."""
    fine, equal = True, 0
    for prompt in prompts:
        theirs = llama.complete(prompt, count)["tokens"]
        at, ties, worst = 0, 0, 0.0
        while at < len(theirs):
            mine = ours.ask(greedy=prompt + theirs[:at], max_tokens=len(theirs) - at)
            same = 0
            while same < len(mine["ids"]) and mine["ids"][same] == theirs[at + same]:
                same += 1
            at += same
            if at >= len(theirs) or same >= len(mine["ids"]):
                break
            ties, worst, at = ties + 1, max(worst, mine["leads"][same]), at + 1
        equal += ties == 0
        fine &= worst < TIE
        print(f"  {len(theirs):3d} tokens, {ties} parted (largest lead there {worst:.3f} logits)")
    print(f"greedy answers equal: {equal} of {len(prompts)}, others part only at ties: {fine}")
    return fine


def compare_speed(ours, rivals, prompt, count, rounds):
    """Tokens a second, every round all engines in turn; ratios within the round, median over rounds."""
    rows = []
    for _ in range(rounds):
        mine = ours.ask(bench=prompt, decode=count)
        row = {"ours": (len(prompt) / mine["prefill"], count / mine["decode"])}
        for name, llama in rivals.items():
            t = llama.complete(prompt, count, ignore_eos=True)["timings"]
            row[name] = (t["prompt_per_second"], t["predicted_per_second"])
        rows.append(row)
        print("  " + ", ".join(f"{name} {p:.0f}/{d:.1f}" for name, (p, d) in row.items()))
    fine = True
    for name in rivals:
        ratios = [statistics.median(row["ours"][part] / row[name][part] for row in rows) for part in (0, 1)]
        print(f"ours against {name}: prefill {ratios[0]:.2f}, decode {ratios[1]:.2f} of its speed (median)")
        if name == "llama.cpp, same file":
            fine = min(ratios) >= 0.5
    return fine


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine", help="the built example program")
    parser.add_argument("model", help="imported GGUF")
    parser.add_argument("--shipped", help="the GGUF it was imported from; its speed in llama.cpp is shown too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=256, help="prompt tokens when measuring speed")
    parser.add_argument("--decode", type=int, default=48, help="answer tokens when measuring speed")
    options = parser.parse_args()

    ours = Ours(options.engine, options.model, options.threads)
    rivals = {"llama.cpp, same file": Llama(options.model, options.threads)}
    llama = rivals["llama.cpp, same file"]
    ids_fine, prompts = compare_ids(ours, llama)
    greedy_fine = compare_greedy(ours, llama, prompts, 64)
    if options.shipped:
        rivals["llama.cpp, shipped file"] = Llama(options.shipped, options.threads)
    text = ours.ask(tokenise=" ".join(STRINGS[:8]) * 20)
    print(f"tokens a second, prefill of {options.prompt} / decode of {options.decode}, {options.threads} threads:")
    speed_fine = compare_speed(ours, rivals, text[: options.prompt], options.decode, options.rounds)
    verdicts = {"ids": ids_fine, "greedy": greedy_fine, "speed": speed_fine}
    print(json.dumps(verdicts))
    sys.stdout.flush()
    ours.process.kill()
    # llama.cpp's threads need not be waited for
    os._exit(0 if all(verdicts.values()) else 1)


if __name__ == "__main__":
    main()
